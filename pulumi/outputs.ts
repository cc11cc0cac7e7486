import { existsSync } from "node:fs";
import { join, relative } from "node:path";

import { projectName } from "../program/project";
import { readTextFile } from "../terminal/files";
import { CommandError } from "../terminal/terminal";
import { findInstalledCli, type NoCli, type PulumiCli } from "./cli";
import { stackOutputs } from "./run";
import { openSession, type Session } from "./session";

export interface OutputsOptions {
  readonly stack: string;
  /** The project's folder, whose `.state` is looked into. */
  readonly projectDir: string;
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * The outputs of a stack, secrets laid open: from the state that `npm run up` keeps, else from the file that `npm start`
 * wrote, else from whatever backend the person's own CLI is logged in to.
 *
 * @throws {CommandError} exit code 2 where none of them has the stack
 */
export async function readStackOutputs({ stack, projectDir, environment }: OutputsOptions): Promise<unknown> {
  const stateDir = join(projectDir, ".state");
  const project = projectName();
  const state = join(stateDir, "pulumi", "backend", ".pulumi", "stacks", project, stack);
  const ownState = ["json", "json.gz"].some((end) => existsSync(`${state}.${end}`));
  const file = join(stateDir, `${stack}.outputs.json`);
  if (!ownState && !environment.PULUMI_BACKEND_URL && existsSync(file)) return readOutputsFile(file);
  const cli: PulumiCli | NoCli = findInstalledCli(environment) ?? {
    reason: "there is no Pulumi CLI on PATH",
  };
  if ("reason" in cli)
    throw new CommandError(
      `The outputs of stack "${stack}" cannot be had: ${relative(process.cwd(), file)} does not exist, and ${cli.reason}. ${otherwise}`,
      2,
    );
  const session: Session = ownState
    ? openSession({ project, stack, stateDir, environment })
    : { stack, environment: { ...environment, PULUMI_SKIP_UPDATE_CHECK: "true" } };
  try {
    return await stackOutputs({ cli, session });
  } catch (error) {
    throw error instanceof CommandError ? new CommandError(`${error.message}\n${otherwise}`, 2) : error;
  }
}

const otherwise =
  "Deploy it (npm start, npm run up), give its outputs with --outputs FILE, or name what to check with --api-domain, --tracker-domain, --udp-port, --grafana-domain and --connect.";

/**
 * Outputs as `pulumi stack output --json --show-secrets` prints them, from a file.
 *
 * @throws {CommandError} exit code 2, never with a part of the file in its message
 */
export function readOutputsFile(file: string): unknown {
  const text = readTextFile(file, "The outputs");
  try {
    return JSON.parse(text);
  } catch {
    throw new CommandError(
      `${file} is no JSON. Write it with: pulumi stack output --json --show-secrets > ${file}`,
      2,
    );
  }
}
