import type Docker from "dockerode";

import { containerLogs } from "../../../docker/calls";
import { tar } from "../../../docker/archive";

/** What a program is asked to judge, in a container of its own without a network. */
export interface Question {
  readonly image: string;
  /** `uid:gid`; absent: the image's own. */
  readonly user?: string;
  readonly command: readonly [program: string, ...args: string[]];
  /** In which it is started; absent: the image's own. */
  readonly folder?: string;
  /** By their absolute paths in the container. */
  readonly files: readonly {
    readonly path: string;
    readonly text: string;
    /** Permission bits. @default 0o644 */
    readonly mode?: number;
  }[];
}

export interface Verdict {
  readonly code: number;
  /** What was printed, errors too. */
  readonly output: string;
}

/** Asks a program that an image has, such as promtool, about some files. */
export async function ask(
  docker: Docker,
  { image, user, command, folder, files }: Question,
): Promise<Verdict> {
  const [program, ...args] = command;
  const container = await docker.createContainer({
    Image: image,
    Entrypoint: [program],
    Cmd: args,
    User: user,
    WorkingDir: folder,
    HostConfig: { NetworkMode: "none" },
  });
  try {
    const archive = tar(
      files.map(({ path, text, mode = 0o644 }) => ({ path, content: Buffer.from(text), mode })),
    );
    await container.putArchive(archive, { path: "/" });
    await container.start();
    const { StatusCode } = (await container.wait()) as { StatusCode: number };
    return { code: StatusCode, output: (await containerLogs(docker, container.id)).join("\n") };
  } finally {
    await container.remove({ force: true, v: true });
  }
}
