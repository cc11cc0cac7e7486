import type Docker from "dockerode";
import { spawn } from "node:child_process";

import { absentWhen, pullImage } from "../docker/calls";
import { containersOf, type StackEngine } from "../docker/stack";
import { tar, type TarEntry } from "../docker/tar";
import { CommandError } from "../terminal/terminal";

/** Files in a volume, whether or not anything runs that uses it. */
export interface VolumeFiles {
  /** Text of a file in the volume's root; undefined where there is none. */
  read(name: string): Promise<string | undefined>;
  write(entries: readonly TarEntry[]): Promise<void>;
  /** Everything, as a tar archive below one folder. */
  archive(): Promise<NodeJS.ReadableStream>;
  close(): Promise<void>;
}

const folder = "/volume";

/**
 * Opens a volume by a container that is never started.
 *
 * @param image any image; pulled where it is not there and the stack has no container to take one from
 * @throws {CommandError} when the image cannot be pulled
 */
export async function openVolume(engine: StackEngine, volume: string, image: string): Promise<VolumeFiles> {
  const { docker, prefix } = engine;
  const [existing] = (await containersOf(engine)).values();
  if (!existing && !(await absentWhen(404, docker.getImage(image).inspect())))
    await pullImage(docker, image).catch((error: Error) => {
      throw new CommandError(
        `To reach the volume ${volume}, the image ${image} is needed, which cannot be pulled: ${error.message}`,
      );
    });
  const name = `${prefix}-migrate`;
  await absentWhen(404, docker.getContainer(name).remove({ force: true, v: true }));
  const container = await docker.createContainer({
    name,
    Image: existing?.Image ?? image,
    Cmd: ["never started"],
    HostConfig: { Binds: [`${volume}:${folder}`], NetworkMode: "none" },
  });
  return {
    read: (file) => readFile(container, `${folder}/${file}`),
    write: async (entries) => {
      await container.putArchive(tar(entries), { path: folder });
    },
    archive: () => container.getArchive({ path: folder }),
    close: async () => {
      await absentWhen(404, container.remove({ force: true, v: true }));
    },
  };
}

async function readFile(container: Docker.Container, path: string): Promise<string | undefined> {
  const archive = await absentWhen(404, container.getArchive({ path }));
  if (!archive) return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  const size = parseInt(bytes.toString("latin1", 124, 136), 8);
  return bytes.toString("utf8", 512, 512 + size);
}

/** Unpacks an archive with the machine's tar, links included, as files of this user. */
export async function unpack(archive: NodeJS.ReadableStream, into: string): Promise<void> {
  const child = spawn("tar", ["-x", "-f", "-", "--no-same-owner", "-C", into], {
    stdio: ["pipe", "inherit", "inherit"],
  });
  archive.pipe(child.stdin);
  const code = await new Promise<number | null>((resolve, reject) =>
    child.on("error", reject).on("close", resolve),
  );
  if (code !== 0) throw new CommandError(`tar ended with exit code ${code}.`);
}
