import { join, relative } from "node:path";
import { createInterface } from "node:readline/promises";

import { fetchConfig, restore, restoredParts, type RestoredPart, type Snapshot } from "../backup";
import { findStackEngine, type StackEngine } from "../docker/stack";
import { projectDir, projectName, stateDir } from "../program/project";
import { defaultStack } from "../program/stack-config";
import { readOutputsFile, readStackOutputs } from "../pulumi/outputs";
import { parseFlags } from "../terminal/arguments";
import {
  CommandError,
  createProgress,
  formatDuration,
  runMain,
  styleFor,
  type Progress,
} from "../terminal/terminal";
import { readTargets, renderTable, verify } from "../verify";

const usage = `Restores a stack's data from its backups, or takes a restore back.

  npm run restore [-- --stack S] [--snapshot ID] [--only PARTS] [--yes] [--no-verify]
  npm run restore -- --undo [--only PARTS]
  npm run restore -- --only config [--snapshot ID]

  --stack S        the stack (default: ${defaultStack}), deployed with backup on, on the engine that DOCKER_HOST names
  --snapshot ID    which one (npm run backup -- --list); default: the stack's newest
  --only PARTS     some of ${restoredParts.join(", ")}, with commas; default: all that the snapshot has.
                   config: writes the generated files, secrets included, into .state/restored/ and changes nothing
  --undo           put back what the latest restore replaced
  --yes            do not ask before data is replaced
  --no-verify      do not check the stack afterwards
  --outputs FILE   the outputs to check with, where this machine's state does not have them
  --help           show this

Everything is fetched and checked before anything stops. Exit code 0 done, 1 failed, 2 could not be tried.
`;

const options = {
  stack: { type: "string" },
  snapshot: { type: "string" },
  only: { type: "string" },
  undo: { type: "boolean" },
  yes: { type: "boolean", short: "y" },
  "no-verify": { type: "boolean" },
  outputs: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

/** @returns the exit code */
export async function main(args: readonly string[], environment = process.env): Promise<number> {
  const flags = parseFlags("npm run restore --", args, options);
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (flags.undo && flags.snapshot !== undefined)
    throw new CommandError("--undo and --snapshot are two sources: give one of them.", 2);
  const only = flags.only === undefined ? undefined : readParts(flags.only);
  if (only === "config" && flags.undo)
    throw new CommandError("--undo has no config: nothing was replaced.", 2);
  const stack = flags.stack ?? defaultStack;
  const engine = await findStackEngine(projectName(), stack, environment);
  const progress = createProgress();
  const interrupt = new AbortController();
  const onInterrupt = () => {
    progress.line("  Interrupted: what is under way is taken back.");
    interrupt.abort();
  };
  process.on("SIGINT", onInterrupt).on("SIGTERM", onInterrupt);
  try {
    if (only === "config") {
      const folder = await fetchConfig(engine, flags.snapshot, join(stateDir, "restored"), progress);
      process.stdout.write(
        `The generated files are in ${relative(process.cwd(), folder)}, secrets included.\n`,
      );
      return 0;
    }
    const { parts } = await restore({
      engine,
      source: flags.undo ? { kind: "replaced" } : { kind: "snapshot", id: flags.snapshot },
      only,
      progress,
      signal: interrupt.signal,
      confirm: flags.yes ? undefined : (found, snapshot) => ask(engine, snapshot, found, progress),
    });
    progress.stop();
    process.stdout.write(`Restored: ${parts.join(", ")}. To take it back: npm run restore -- --undo\n`);
    return flags["no-verify"] ? 0 : await check(stack, flags.outputs, environment, progress);
  } finally {
    process.off("SIGINT", onInterrupt).off("SIGTERM", onInterrupt);
    progress.stop();
  }
}

/** Checks the stack as npm run verify does. */
async function check(
  stack: string,
  file: string | undefined,
  environment: NodeJS.ProcessEnv,
  progress: Progress,
): Promise<number> {
  const outputs =
    file === undefined ? await readStackOutputs({ stack, projectDir, environment }) : readOutputsFile(file);
  const report = await verify({ targets: readTargets(outputs, {}), progress });
  process.stdout.write(renderTable(report, styleFor(process.stdout)));
  return report.ok ? 0 : 1;
}

/** @throws {CommandError} exit code 2 */
export function readParts(text: string): readonly RestoredPart[] | "config" {
  const parts = text.split(",").map((part) => part.trim());
  if (parts.length === 1 && parts[0] === "config") return "config";
  const unknown = parts.filter((part) => !(restoredParts as readonly string[]).includes(part));
  if (unknown.length === 0) return parts as RestoredPart[];
  throw new CommandError(
    unknown.includes("config")
      ? "--only config stands alone: it writes files here and changes nothing in the stack."
      : `--only ${unknown.join(", ")} is not known. Write some of: ${restoredParts.join(", ")}, with commas; or config.`,
    2,
  );
}

async function ask(
  engine: StackEngine,
  snapshot: Snapshot | undefined,
  parts: readonly RestoredPart[],
  progress: Progress,
): Promise<void> {
  const from =
    snapshot === undefined
      ? "what the latest restore replaced"
      : `snapshot ${snapshot.id.slice(0, 8)}, ${formatDuration(Date.now() - Date.parse(snapshot.time))} old`;
  const what = `${parts.join(", ")} of ${engine.prefix} (engine ${engine.address}) will be as in ${from}. What is newer is kept aside`;
  if (!process.stdin.isTTY)
    throw new CommandError(`${what}. Nobody is here to be asked: run it again with --yes.`, 2);
  progress.stop();
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question(`${what}; services stop for a moment. Go on? (yes/no) `);
  prompt.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError("Nothing was changed.");
}

if (require.main === module) runMain(() => main(process.argv.slice(2)));
