import { readFileSync } from "node:fs";
import { join, relative } from "node:path";

import type { DockerHost } from "../docker/host";
import { deployInProcess } from "../engine/deploy";
import { problemsText } from "../plan";
import { projectDir, projectName, stateDir } from "../program/project";
import { reveal } from "../program/secrets";
import { resolveStackConfig } from "../program/stack-config";
import { overrideStackFile } from "../program/stack-file";
import type { PulumiCli } from "../pulumi/cli";
import { runCli, stackOutputs } from "../pulumi/run";
import { openSession, stackFile, type Session } from "../pulumi/session";
import { CommandError, styleFor, type Progress } from "../terminal/terminal";
import { chooseEngine, forgetEmptySession, type EngineChoice } from "./engine";
import { inProcessDir } from "./state";

export interface DeployOptions {
  readonly stack: string;
  /** The stack's file, absolute. */
  readonly file: string;
  readonly engine: EngineChoice;
  readonly host: DockerHost;
  /** Values of the configuration for this run only. */
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly progress: Progress;
}

export interface Deployed {
  /** The stack's outputs, secrets laid open. */
  readonly outputs: Readonly<Record<string, unknown>>;
  /** For people: who deployed it. */
  readonly by: string;
}

/** Deploys a stack to an engine, by the Pulumi CLI or in this process. */
export async function deploy(options: DeployOptions): Promise<Deployed> {
  const { stack, engine, host, progress } = options;
  const project = projectName();
  const session = openSession({ project, stack, stateDir });
  const chosen = await chooseEngine(engine, host, session, project, progress);
  if ("cli" in chosen) return deployByCli(options, chosen.cli, session, project);
  if (session.folders && !stackFile(session, project)) forgetEmptySession(session);
  return deployHere(options, chosen.why, project);
}

async function deployByCli(
  { file, host, overrides, progress }: DeployOptions,
  cli: PulumiCli,
  session: Session,
  project: string,
): Promise<Deployed> {
  session.environment.DOCKER_HOST ??= host.address;
  progress.line(`  Deploying with the Pulumi CLI (${cli.source})`);
  progress.stop();
  const code = await runCli(["up"], { cli, session, project, sourceFile: file, overrides, output: "stderr" });
  if (code !== 0)
    throw new CommandError(
      `The Pulumi CLI ended with exit code ${code}; what it says is above. Put that right and run npm start again.`,
    );
  return { outputs: await stackOutputs({ cli, session }), by: `the Pulumi CLI (${cli.source})` };
}

async function deployHere(
  { stack, file, host, overrides, progress }: DeployOptions,
  why: string,
  project: string,
): Promise<Deployed> {
  progress.line(`  Deploying in this process, ${why}`);
  const stackConfig = resolveStackConfig({
    projectText: readFileSync(join(projectDir, "Pulumi.yaml"), "utf8"),
    stackText: overrideStackFile(readFileSync(file, "utf8"), project, overrides),
    stack,
    file: relative(projectDir, file),
  });
  refuseSealed(stackConfig.secretKeys);
  const done = await deployInProcess({ stackConfig, docker: host.docker, stateDir: inProcessDir, progress });
  if (done.kind === "refused")
    throw new CommandError(problemsText(done.problems, file, styleFor(process.stderr)).trim());
  const { created, replaced, kept, removed } = done.summary;
  progress.line(`  ${created} created, ${replaced} replaced, ${kept} unchanged, ${removed} removed`);
  return { outputs: reveal(done.result.outputs) as Record<string, unknown>, by: `this process, ${why}` };
}

/** Encrypted values cannot be read without the CLI, and their placeholders must not become passwords. */
function refuseSealed(secretKeys: readonly string[]): void {
  if (secretKeys.length === 0) return;
  throw new CommandError(
    `The values of ${secretKeys.join(", ")} are encrypted, which only the Pulumi CLI can undo. Run npm run up, or leave them out to have them generated.`,
  );
}
