import type Docker from "dockerode";

import { backupPaths } from "../configs/backup";
import {
  fetchedFolder,
  heldFile,
  renderRestoreScript,
  restoredParts,
  restoreScript,
  restoreTarget,
  type RestoredPart,
} from "../configs/restore";
import { backupContainer } from "./snapshots";
import { absentWhen, ignoring } from "../docker/calls";
import { execIn, volumesOf, type ExecResult, type StackEngine } from "../docker/stack";
import { tar } from "../docker/archive";
import { readScript } from "../scripts";
import { CommandError } from "../terminal/terminal";

/** Milliseconds between two signs that the restore goes on. */
const signEvery = 20_000;

/** A container that may write where services keep their data, beside the one that makes backups. */
export interface RestoreHelper {
  /** Parts whose volumes the stack has. */
  readonly parts: ReadonlySet<RestoredPart>;
  /** Runs an action of the restore script. @throws {CommandError} with what it says */
  run(...args: string[]): Promise<ExecResult>;
  /** Text of a file of the backup's volume; empty where there is none. */
  read(path: string): Promise<string>;
  /** Names in a folder of the backup's volume. */
  list(path: string): Promise<string[]>;
  /** A folder, as a tar archive. */
  archive(path: string): Promise<NodeJS.ReadableStream>;
  remove(): Promise<void>;
}

/**
 * Starts the helper. It shares network and processes with the container that makes backups, so that it reaches the
 * repository and their lock holds for both; no backup begins before it is removed.
 */
export async function startHelper(engine: StackEngine): Promise<RestoreHelper> {
  const { docker, prefix } = engine;
  const backup = await backupContainer(engine);
  const volumes = await volumesOf(engine);
  const parts = restoredParts.filter((part) => volumes.has(part));
  const name = `${prefix}-restore`;
  await removed(docker, name);
  const container = await docker.createContainer(helperSpec(name, backup, volumes));
  let sign: NodeJS.Timeout | undefined;
  const remove = async () => {
    clearInterval(sign);
    // What was fetched is not for keeping: it is not encrypted.
    await execIn(docker, container.id, ["rm", "-rf", fetchedFolder]).catch(() => {});
    // 409: the engine removes it already.
    await ignoring(409, ignoring(404, container.remove({ force: true })));
  };
  try {
    const script = {
      path: restoreScript,
      content: Buffer.from(renderRestoreScript(readScript("restore.sh"))),
      mode: 0o644,
    };
    await container.putArchive(tar([script]), { path: "/" });
    const secrets = await docker.getContainer(backup.Id).getArchive({ path: backupPaths.secrets });
    await container.putArchive(secrets, { path: "/etc" });
    await container.start();
    await execIn(docker, container.id, ["/bin/sh", "-c", `until [ -e ${heldFile} ]; do sleep 1; done`]);
    sign = setInterval(() => {
      execIn(docker, container.id, ["touch", heldFile]).catch(() => {});
    }, signEvery);
  } catch (error) {
    await remove();
    throw error;
  }
  const shell = async (script: string, path: string) =>
    (await execIn(docker, container.id, ["/bin/sh", "-c", script, "sh", path])).stdout.trim();
  return {
    parts: new Set(parts),
    async run(...args) {
      const result = await execIn(docker, container.id, ["/bin/sh", restoreScript, ...args]);
      if (result.code !== 0) throw new CommandError(result.stderr || `${args[0]}: exit code ${result.code}`);
      return result;
    },
    read: (path) => shell('cat "$1" 2>/dev/null', path),
    list: async (path) =>
      (await shell('ls "$1" 2>/dev/null', path)).split("\n").filter((line) => line !== ""),
    archive: (path) => container.getArchive({ path }),
    remove,
  };
}

function helperSpec(
  name: string,
  backup: Docker.ContainerInspectInfo,
  volumes: ReadonlyMap<string, string>,
): Docker.ContainerCreateOptions {
  return {
    name,
    Image: backup.Image,
    Entrypoint: ["/bin/sh", restoreScript],
    Cmd: ["hold"],
    User: "0:0",
    HostConfig: {
      AutoRemove: true,
      NetworkMode: `container:${backup.Id}`,
      PidMode: `container:${backup.Id}`,
      CapDrop: ["ALL"],
      CapAdd: ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"],
      SecurityOpt: ["no-new-privileges"],
      Binds: [
        ...restoredParts.flatMap((part) =>
          volumes.has(part) ? [`${volumes.get(part)}:${restoreTarget(part)}`] : [],
        ),
        ...backup.Mounts.filter(
          ({ Destination }) => Destination === backupPaths.home || Destination === backupPaths.repository,
        ).map(({ Name, Source, Destination }) => `${Name ?? Source}:${Destination}`),
      ],
    },
  };
}

/** Removes what an earlier restore left, and waits until its name is free. */
async function removed(docker: Docker, name: string): Promise<void> {
  const container = docker.getContainer(name);
  await ignoring(409, ignoring(404, container.remove({ force: true })));
  while (await absentWhen(404, container.inspect())) await new Promise((resolve) => setTimeout(resolve, 100));
}

/** Runs MySQL's client programs, which the container that dumps the database has. */
export async function mysqlIn(
  docker: Docker,
  container: string,
  action: "keep" | "place",
  database: string,
  file: string,
): Promise<void> {
  const options = `--defaults-extra-file=${backupPaths.secrets}/mysql.cnf`;
  const command = {
    keep: `umask 077; mkdir -p "$(dirname "$2")" && mysqldump ${options} --single-transaction --no-tablespaces --hex-blob "$1" >"$2"`,
    place: `mysql ${options} "$1" <"$2"`,
  }[action];
  const { code, stderr } = await execIn(docker, container, ["/bin/sh", "-c", command, "sh", database, file]);
  if (code !== 0) throw new CommandError(`MySQL: ${stderr.split("\n").pop() || `exit code ${code}`}`);
}
