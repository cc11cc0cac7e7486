import type Docker from "dockerode";
import { PassThrough } from "node:stream";

import { findDocker } from "./host";
import { absentWhen } from "./calls";
import { CommandError } from "../terminal/terminal";

/** A deployed stack as its engine sees it, whoever deployed it. */
export interface StackEngine {
  readonly docker: Docker;
  /** The engine's address, for people. */
  readonly address: string;
  /** Prefix of all names: `<project>-<stack>`. */
  readonly prefix: string;
}

/**
 * @param project name of the project, e.g. `torrust-pingoo`
 * @param stack   name of the stack, e.g. `dev`
 * @throws {CommandError} exit code 2 where no engine answers
 */
export async function findStackEngine(
  project: string,
  stack: string,
  environment = process.env,
): Promise<StackEngine> {
  const found = await findDocker(environment);
  if (!("docker" in found))
    throw new CommandError(
      `No Docker engine answers. ${found.tried.join(" ")} DOCKER_HOST names the one that the stack runs on.`,
      2,
    );
  return { docker: found.docker, address: found.address, prefix: `${project}-${stack}` };
}

/** Label values that components/labels.ts gives. */
const filtersOf = ({ prefix }: StackEngine) => ({ label: [`torrust-pingoo.stack=${prefix}`] });

/** The stack's containers by service, running or not. */
export async function containersOf(engine: StackEngine): Promise<Map<string, Docker.ContainerInspectInfo>> {
  const listed = await engine.docker.listContainers({ all: true, filters: filtersOf(engine) });
  const found = await Promise.all(
    listed.map(async ({ Id, Labels }) => {
      const info = await absentWhen(404, engine.docker.getContainer(Id).inspect());
      return info ? ([Labels["torrust-pingoo.role"] ?? "", info] as const) : undefined;
    }),
  );
  return new Map(found.filter((pair) => pair !== undefined));
}

/** Names of the stack's volumes by what they hold. */
export async function volumesOf(engine: StackEngine): Promise<Map<string, string>> {
  const { Volumes } = await engine.docker.listVolumes({ filters: filtersOf(engine) });
  return new Map((Volumes ?? []).map(({ Labels, Name }) => [Labels?.["torrust-pingoo.role"] ?? "", Name]));
}

export interface ExecResult {
  readonly code: number;
  readonly stdout: string;
  /** Without the last line break. */
  readonly stderr: string;
}

/**
 * Runs a command in a container.
 *
 * @param onLine told each line of the standard output as it comes
 */
export async function execIn(
  docker: Docker,
  container: string,
  command: readonly string[],
  onLine: (line: string) => void = () => {},
): Promise<ExecResult> {
  const exec = await docker
    .getContainer(container)
    .exec({ Cmd: [...command], AttachStdout: true, AttachStderr: true });
  const stream = await exec.start({});
  const texts = [stream, stream].map(() => {
    const chunks: Buffer[] = [];
    const pipe = new PassThrough().on("data", (chunk: Buffer) => chunks.push(chunk));
    return { pipe, text: () => Buffer.concat(chunks).toString("utf8") };
  });
  const [out, err] = texts as [(typeof texts)[number], (typeof texts)[number]];
  let rest = "";
  out.pipe.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString("utf8")).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach((line) => onLine(line));
  });
  docker.modem.demuxStream(stream, out.pipe, err.pipe);
  await new Promise<void>((resolve, reject) => stream.on("end", resolve).on("error", reject));
  const { ExitCode } = await exec.inspect();
  return { code: ExitCode ?? -1, stdout: out.text(), stderr: err.text().trimEnd() };
}
