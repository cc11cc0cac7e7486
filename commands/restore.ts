import { mkdirSync } from "node:fs";
import { join, relative } from "node:path";
import { createInterface } from "node:readline/promises";

import { fetchedFolder, restoredParts, snapshotPaths, type RestoredPart } from "../configs/restore";
import { parseFlags } from "../terminal/arguments";
import { chooseSnapshot, listSnapshots, type Snapshot } from "../backup/snapshots";
import { unpack } from "../migrate/volume";
import { projectDir, projectName, stateDir } from "../program/project";
import { readOutputsFile, readStackOutputs } from "../pulumi/outputs";
import { startHelper } from "../backup/helper";
import { restore, type RestoreSource } from "../backup/restore";
import { findStackEngine, type StackEngine } from "../docker/stack";
import { defaultStack } from "../program/stack-config";
import {
  CommandError,
  createProgress,
  formatDuration,
  runMain,
  styleFor,
  type Progress,
} from "../terminal/terminal";
import { verify } from "../verify/deployment";
import { renderTable } from "../verify/report";
import { readTargets } from "../verify/targets";

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

/** @returns the exit code */
export async function main(args: readonly string[], environment = process.env): Promise<number> {
  const flags = parseFlags("npm run restore --", args, {
    stack: { type: "string" },
    snapshot: { type: "string" },
    only: { type: "string" },
    undo: { type: "boolean" },
    yes: { type: "boolean", short: "y" },
    "no-verify": { type: "boolean" },
    outputs: { type: "string" },
    help: { type: "boolean", short: "h" },
  });
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (flags.undo && flags.snapshot !== undefined)
    throw new CommandError("--undo and --snapshot are two sources: give one of them.", 2);
  const only = flags.only === undefined ? undefined : readParts(flags.only);
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
    const source: RestoreSource = flags.undo
      ? { kind: "replaced" }
      : { kind: "snapshot", id: flags.snapshot };
    if (only === "config") {
      if (source.kind !== "snapshot")
        throw new CommandError("--undo has no config: nothing was replaced.", 2);
      const folder = await fetchConfig(engine, source.id, progress);
      process.stdout.write(
        `The generated files are in ${relative(process.cwd(), folder)}, secrets included.\n`,
      );
      return 0;
    }
    const { parts } = await restore({
      engine,
      source,
      only,
      progress,
      signal: interrupt.signal,
      confirm: flags.yes ? undefined : (found, snapshot) => ask(engine, snapshot, found, progress),
    });
    progress.stop();
    process.stdout.write(`Restored: ${parts.join(", ")}. To take it back: npm run restore -- --undo\n`);
    if (flags["no-verify"]) return 0;
    const outputs =
      flags.outputs === undefined
        ? await readStackOutputs({ stack, projectDir, environment })
        : readOutputsFile(flags.outputs);
    const report = await verify({ targets: readTargets(outputs, {}), progress });
    process.stdout.write(renderTable(report, styleFor(process.stdout)));
    return report.ok ? 0 : 1;
  } finally {
    process.off("SIGINT", onInterrupt).off("SIGTERM", onInterrupt);
    progress.stop();
  }
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

/** Writes a snapshot's generated files below .state, readable by their owner alone. */
async function fetchConfig(
  engine: StackEngine,
  wanted: string | undefined,
  progress: Progress,
): Promise<string> {
  const step = progress.step("repository");
  const helper = await startHelper(engine);
  try {
    const { id } = chooseSnapshot(await listSnapshots(engine), engine.prefix, wanted);
    const { stdout } = await helper.run("fetch", id);
    if (!stdout.split("\n").includes("config"))
      throw new CommandError(`Snapshot ${id.slice(0, 8)} has no generated files.`);
    const folder = join(stateDir, "restored", id.slice(0, 8));
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    await unpack(await helper.archive(`${fetchedFolder}${snapshotPaths.config}`), folder);
    step.succeed();
    return join(folder, "config");
  } finally {
    await helper.remove();
  }
}

if (require.main === module) runMain(() => main(process.argv.slice(2)));
