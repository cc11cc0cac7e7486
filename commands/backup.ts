import { backUp, listSnapshots, type Snapshot } from "../backup";
import { findStackEngine, type StackEngine } from "../docker/stack";
import { projectName } from "../program/project";
import { defaultStack } from "../program/stack-config";
import { parseFlags } from "../terminal/arguments";
import { CommandError, createProgress, formatDuration, runMain, styleFor, table } from "../terminal/terminal";

const usage = `Backs a stack up now, beside its schedule, or lists what there is.

  npm run backup [-- --stack S] [--list [--json]] [--new-repository]

  --stack S         the stack (default: ${defaultStack}), on the engine that DOCKER_HOST names
  --list            show the snapshots in the repository, newest last
  --json            with --list: as one JSON array
  --new-repository  where the one that was there is gone for good: make a new one
  --help            show this

Needs the configuration key backup (docs/backup.md). Exit code 0 done, 1 no backup was made, 2 could not be tried.
`;

/** @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  const flags = parseFlags("npm run backup --", args, {
    stack: { type: "string" },
    list: { type: "boolean" },
    json: { type: "boolean" },
    "new-repository": { type: "boolean" },
    help: { type: "boolean", short: "h" },
  });
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (flags.json && !flags.list) throw new CommandError("--json is for --list.", 2);
  const engine = await findStackEngine(projectName(), flags.stack ?? defaultStack);
  if (flags.list) {
    const snapshots = await listSnapshots(engine);
    process.stdout.write(
      flags.json ? `${JSON.stringify(snapshots, null, 2)}\n` : snapshotTable(snapshots, engine, new Date()),
    );
    return 0;
  }
  const progress = createProgress();
  try {
    await backUp(engine, progress, { newRepository: flags["new-repository"] });
  } finally {
    progress.stop();
  }
  return 0;
}

/** The snapshots as a table, newest last; those of other stacks and of earlier installations say so. */
export function snapshotTable(
  snapshots: readonly Snapshot[],
  { prefix }: Pick<StackEngine, "prefix">,
  now: Date,
) {
  if (snapshots.length === 0) return "There is no snapshot yet.\n";
  const style = styleFor(process.stdout);
  const rows = snapshots.map(({ id, time, stack, installation }) => [
    id.slice(0, 8),
    time.replace(/\.\d+/, ""),
    `${formatDuration(now.getTime() - Date.parse(time))} ago`,
    stack === prefix ? "" : `of ${stack}`,
    installation ? `installation ${installation.slice(0, 8)}` : "",
  ]);
  const head = ["snapshot", "time", "", "", ""].map((text) => style.bold(text));
  return `${table([head, ...rows])}\n`;
}

if (require.main === module) runMain(() => main(process.argv.slice(2)));
