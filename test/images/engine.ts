import Docker from "dockerode";
import { spawn } from "node:child_process";
import { PassThrough } from "node:stream";

import { findDocker } from "../../docker/host";
import { buildImage as build, lastLines, untilDone } from "../../docker/calls";

/** Tells which sources an image was built from. */
export const sourcesLabel = "torrust-pingoo.sources";

export async function defaultEngine(): Promise<Docker> {
  const found = await findDocker();
  if ("docker" in found) return found.docker;
  throw new Error(`no Docker engine answers: ${found.tried.join("; ") || "none was found"}`);
}

/** The sources that an image was built from; absent when there is no such image. */
export async function sourcesOf(docker: Docker, reference: string): Promise<string | undefined> {
  try {
    const { Config } = await docker.getImage(reference).inspect();
    return Config.Labels?.[sourcesLabel];
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return undefined;
    throw error;
  }
}

/** Builds the Dockerfile in `context`. An older image of that name goes, unless a container still uses it. */
export async function buildImage(docker: Docker, context: string, reference: string, sources: string) {
  const old = await idOf(docker, reference);
  // The machine's own network: a build needs name resolution and the package mirrors, nothing else.
  await build(docker, { context, reference, labels: { [sourcesLabel]: sources }, network: "host" });
  if (old && old !== (await idOf(docker, reference))) {
    await docker
      .getImage(old)
      .remove()
      .catch(() => {});
  }
}

/** Makes an image of a root file system. */
export async function importImage(docker: Docker, tar: string, reference: string, sources: string) {
  const [repo, tag] = reference.split(":");
  const changes = [
    `LABEL ${sourcesLabel}=${sources}`,
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
  ];
  await untilDone(docker, await docker.importImage(tar, { repo, tag, changes }), reference);
}

async function idOf(docker: Docker, reference: string): Promise<string | undefined> {
  return docker
    .getImage(reference)
    .inspect()
    .then(({ Id }) => Id)
    .catch(() => undefined);
}

export interface Invocation {
  readonly command: readonly [string, ...string[]];
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/**
 * Runs a program on this machine and returns what it printed. For all that may take long: vitest gives a run up whose
 * worker is blocked for a minute, as it is by execFileSync.
 */
export async function runHere({ command, directory, environment }: Invocation): Promise<string> {
  const [program, ...args] = command;
  const child = spawn(program, args, {
    cwd: directory,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [output, everything] = ["", ""];
  child.stdout.on("data", (data: Buffer) => ((output += String(data)), (everything += String(data))));
  child.stderr.on("data", (data: Buffer) => (everything += String(data)));
  const status = await new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(code ?? signal));
  });
  if (status !== 0) throw new Error(`${command.join(" ")} failed (${status}):\n${lastLines(everything)}`);
  return output;
}

/** The same in a container that sees `folders` under their own paths and writes as this process' user. */
export async function runInContainer(
  docker: Docker,
  image: string,
  { command, directory, environment = {} }: Invocation,
  folders: readonly string[],
) {
  const output = new PassThrough();
  let everything = "";
  output.on("data", (data: Buffer) => (everything += String(data)));
  const [{ StatusCode }] = (await docker.run(image, [...command], output, {
    Tty: true,
    User: `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`,
    WorkingDir: directory,
    Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    HostConfig: { AutoRemove: true, NetworkMode: "host", Binds: folders.map((path) => `${path}:${path}`) },
  })) as [{ StatusCode: number }];
  if (StatusCode !== 0) {
    throw new Error(`${command.join(" ")} failed (${StatusCode}):\n${lastLines(everything)}`);
  }
}
