import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { fetchedFolder, snapshotPaths } from "../configs/restore";
import { unpack } from "../docker/archive";
import type { StackEngine } from "../docker/stack";
import { CommandError, type Progress } from "../terminal/terminal";
import { startHelper } from "./helper";
import { chooseSnapshot, listSnapshots } from "./snapshots";

/**
 * Writes a snapshot's generated files into a folder of its own, readable by their owner alone.
 *
 * @param wanted beginning of its identifier; undefined: the stack's newest
 * @param into   folder for it, made if need be
 * @returns the folder with the files
 */
export async function fetchConfig(
  engine: StackEngine,
  wanted: string | undefined,
  into: string,
  progress: Progress,
): Promise<string> {
  const step = progress.step("repository");
  const helper = await startHelper(engine);
  try {
    const { id } = chooseSnapshot(await listSnapshots(engine), engine.prefix, wanted);
    const { stdout } = await helper.run("fetch", id);
    if (!stdout.split("\n").includes("config"))
      throw new CommandError(`Snapshot ${id.slice(0, 8)} has no generated files.`);
    const folder = join(into, id.slice(0, 8));
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    await unpack(await helper.archive(`${fetchedFolder}${snapshotPaths.config}`), folder);
    step.succeed();
    return join(folder, "config");
  } finally {
    await helper.remove();
  }
}
