import type Docker from "dockerode";

import { backupPaths } from "../configs/backup";
import { containersOf, execIn, type StackEngine } from "../docker/stack";
import { CommandError } from "../terminal/terminal";

export const backupScript = backupPaths.script;

/** A backup as restic keeps it. */
export interface Snapshot {
  /** 64 hexadecimal digits. */
  readonly id: string;
  /** RFC 3339. */
  readonly time: string;
  /** Prefix of the stack that made it. */
  readonly stack: string;
  /** Tells a stack from an earlier one of the same name. */
  readonly installation?: string;
}

/**
 * The running container that makes the stack's backups.
 *
 * @throws {CommandError} exit code 2 where there is none
 */
export async function backupContainer(engine: StackEngine): Promise<Docker.ContainerInspectInfo> {
  const found = (await containersOf(engine)).get("backup");
  if (!found)
    throw new CommandError(
      `${engine.prefix} makes no backups on the engine at ${engine.address}. Set backup (docs/backup.md) and deploy it, or name the engine by DOCKER_HOST and the stack by --stack.`,
      2,
    );
  if (!found.State.Running || found.State.Restarting)
    throw new CommandError(
      `The container ${engine.prefix}-backup does not run (${found.State.Status}). Start it (docker start ${engine.prefix}-backup) or deploy again; docker logs says why it ended.`,
      2,
    );
  return found;
}

/**
 * All snapshots in the stack's repository, oldest first.
 *
 * @throws {CommandError} with the reason why the repository cannot be read
 */
export async function listSnapshots(engine: StackEngine): Promise<Snapshot[]> {
  const { Id } = await backupContainer(engine);
  const { code, stdout, stderr } = await execIn(engine.docker, Id, ["/bin/sh", backupScript, "list"]);
  if (code !== 0) throw new CommandError(`The snapshots cannot be listed: ${stderr || `exit code ${code}`}`);
  return readSnapshots(stdout);
}

/** Reads what `restic snapshots --json` prints. */
export function readSnapshots(text: string): Snapshot[] {
  const listed = (JSON.parse(text) ?? []) as {
    id: string;
    time: string;
    hostname: string;
    tags?: string[];
  }[];
  return listed
    .map(({ id, time, hostname, tags }) => ({
      id,
      time,
      stack: hostname,
      installation: tags?.find((tag) => tag.startsWith("installation="))?.slice("installation=".length),
    }))
    .sort((a, b) => Date.parse(a.time) - Date.parse(b.time));
}

/**
 * The snapshot that a person means: by the beginning of its identifier, or the stack's newest.
 *
 * @throws {CommandError} exit code 2 when there is none, or more than one
 */
export function chooseSnapshot(snapshots: readonly Snapshot[], prefix: string, wanted?: string): Snapshot {
  const found = wanted
    ? snapshots.filter(({ id }) => id.startsWith(wanted.toLowerCase()))
    : snapshots.filter(({ stack }) => stack === prefix).slice(-1);
  const [snapshot] = found;
  if (snapshot && found.length === 1) return snapshot;
  if (wanted)
    throw new CommandError(
      `--snapshot ${wanted} ${found.length > 1 ? `could be any of ${found.length} snapshots: write more of it` : "is no snapshot in the repository"}. See: npm run backup -- --list`,
      2,
    );
  const others = [...new Set(snapshots.map(({ stack }) => stack))];
  throw new CommandError(
    others.length > 0
      ? `The repository has no snapshot of ${prefix}, only of ${others.join(", ")}. Choose one by --snapshot; npm run backup -- --list shows them.`
      : "The repository has no snapshot: there is nothing to restore.",
    2,
  );
}
