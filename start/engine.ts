import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import type { DockerHost } from "../docker/host";
import { isInProcess } from "../engine/down";
import { projectDir } from "../program/project";
import { findCli, type PulumiCli } from "../pulumi/cli";
import { stackFile, type Session } from "../pulumi/session";
import { runCaptured } from "../terminal/processes";
import { CommandError, type Progress } from "../terminal/terminal";

/** Who deploys: the Pulumi CLI, this process, or whichever can. */
export const engines = ["auto", "pulumi", "in-process"] as const;
export type EngineChoice = (typeof engines)[number];

/**
 * Who deploys a stack, or why this process does. A stack stays with whoever deployed it first: neither knows of what the
 * other made.
 *
 * @throws {CommandError} when that cannot be the one that was asked for
 */
export async function chooseEngine(
  engine: EngineChoice,
  host: DockerHost,
  session: Session,
  project: string,
  progress: Progress,
): Promise<{ readonly cli: PulumiCli } | { readonly why: string }> {
  const { stack } = session;
  const inProcess = await isInProcess(host.docker, stack);
  const byCli = session.folders !== undefined && stackFile(session, project) !== undefined;
  if (engine === "pulumi" && inProcess)
    throw new CommandError(`Stack "${stack}" was deployed in-process. Run npm start -- --down first.`);
  if (engine === "in-process" && byCli)
    throw new CommandError(`Stack "${stack}" was deployed by the Pulumi CLI. Run npm start -- --down first.`);
  if (engine === "in-process") return { why: "as --engine in-process asks" };
  if (engine === "auto" && inProcess) return { why: "as it was before" };
  const cli = await findCli(projectDir, (line) => progress.line(`  ${line}`));
  const lacking = "reason" in cli ? cli.reason : await lackingPlugin(cli, session, progress);
  if (!("reason" in cli) && lacking === undefined) return { cli };
  if (engine === "pulumi" || byCli)
    throw new CommandError(
      `The Pulumi CLI cannot be used: ${lacking}. Install it (https://www.pulumi.com/docs/install/), or run with --engine in-process.`,
      2,
    );
  return { why: `because ${lacking}` };
}

/** Installs the providers that this project's target needs; says which one cannot be had. */
async function lackingPlugin(
  cli: PulumiCli,
  session: Session,
  progress: Progress,
): Promise<string | undefined> {
  const { dependencies } = JSON.parse(readFileSync(join(projectDir, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  const options = { cwd: projectDir, environment: session.environment, timeout: 180_000 };
  for (const name of ["docker", "random"]) {
    const version = dependencies[`@pulumi/${name}`] ?? "";
    const step = progress.step(`Pulumi's provider for ${name} ${version}`);
    step.update("installing, if it is not there yet");
    const { code } = await runCaptured(cli.path, ["plugin", "install", "resource", name, version], options);
    if (code === 0) {
      step.succeed();
      continue;
    }
    step.skip("cannot be downloaded");
    return `Pulumi's provider for ${name} ${version} cannot be downloaded`;
  }
  return undefined;
}

/** Takes back what opening a session made, when nothing was deployed with it. */
export function forgetEmptySession({ folders }: Session): void {
  if (!folders || existsSync(folders.additionsFile)) return;
  const stacks = join(folders.backend, ".pulumi");
  if (!existsSync(stacks)) rmSync(folders.root, { recursive: true, force: true });
}
