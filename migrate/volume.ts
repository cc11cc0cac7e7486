import type Docker from "dockerode";

import { absentWhen, pullImage } from "../docker/calls";
import { containersOf, type StackEngine } from "../docker/stack";
import { firstFile, tar, type TarEntry } from "../docker/archive";
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
  return archive && (await firstFile(archive))?.toString("utf8");
}
