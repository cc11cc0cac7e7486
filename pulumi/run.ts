import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

import { projectDir } from "../program/project";
import { run, runCaptured } from "../terminal/processes";
import { CommandError } from "../terminal/terminal";
import type { PulumiCli } from "./cli";
import { cliArguments, takesStack } from "./invocation";
import {
  forgetStack,
  keepAdditions,
  keepSalt,
  seedBareStack,
  stackFile,
  writeConfigCopy,
  type Session,
} from "./session";

/** What a deployment by the CLI needs besides the CLI. */
export interface CliRun {
  readonly cli: PulumiCli;
  readonly session: Session;
  readonly project: string;
  /** File that holds the stack's committed configuration. */
  readonly sourceFile: string;
  /** Values for this run only. */
  readonly overrides?: Readonly<Record<string, unknown>>;
  /** `stderr` keeps stdout clean. Default: `inherit`. */
  readonly output?: "inherit" | "stderr";
}

/**
 * Runs one command of the CLI in a session: makes the stack if it is not there, hands over the private copy of the
 * configuration, keeps what the CLI adds to it, and after a complete destroy removes the stack.
 *
 * @returns the CLI's exit code
 */
export async function runCli(args: readonly string[], options: CliRun): Promise<number> {
  const { cli, session, project, sourceFile, overrides, output = "inherit" } = options;
  const { environment, folders, stack } = session;
  const command = args[0] ?? "";
  if (!folders)
    return run(cli.path, cliArguments(args, stack, sourceFile === ownFile(stack) ? undefined : sourceFile), {
      cwd: projectDir,
      environment,
      output,
    });
  const exists = stackFile(session, project) !== undefined;
  const removes = ["destroy", "down"].includes(command);
  if (removes && !exists) {
    process.stderr.write(`Stack "${stack}" is not deployed from here: there is nothing to remove.\n`);
    forgetStack(session, project);
    return 0;
  }
  const text = readSource(sourceFile, removes);
  writeConfigCopy(session, project, text, overrides);
  if (!exists && takesStack(command)) {
    await initStack(options);
    writeConfigCopy(session, project, text, overrides);
  }
  const before = readFileSync(folders.configFile, "utf8");
  const code = await run(cli.path, cliArguments(args, stack, folders.configFile), {
    cwd: projectDir,
    environment,
    output,
  });
  keepAdditions(session, project, before);
  if (removes && code === 0 && isEmpty(session, project)) {
    await removeStack(options);
    forgetStack(session, project);
    process.stderr.write(`Stack "${stack}" is removed, with its history.\n`);
  }
  return code;
}

async function initStack({ cli, session }: CliRun): Promise<void> {
  const cwd = seedBareStack(session);
  const { environment, stack } = session;
  const made = await runCaptured(cli.path, ["stack", "init", stack, "--no-select", "--non-interactive"], {
    cwd,
    environment,
  });
  if (made.code !== 0)
    throw new CommandError(`The stack "${stack}" could not be made:\n${(made.stderr || made.stdout).trim()}`);
  keepSalt(session);
}

async function removeStack({ cli, session }: CliRun): Promise<void> {
  const cwd = seedBareStack(session);
  const { environment, stack } = session;
  const args = ["stack", "rm", stack, "--yes", "--preserve-config", "--non-interactive"];
  const removed = await runCaptured(cli.path, args, { cwd, environment });
  if (removed.code !== 0)
    throw new CommandError(
      `The empty stack "${stack}" could not be removed:\n${(removed.stderr || removed.stdout).trim()}`,
    );
}

/** Whether the state holds no resource any more. */
function isEmpty(session: Session, project: string): boolean {
  const path = stackFile(session, project);
  if (!path?.endsWith(".json")) return false;
  const state = JSON.parse(readFileSync(path, "utf8")) as {
    checkpoint?: { latest?: { resources?: unknown[] } };
  };
  return (state.checkpoint?.latest?.resources ?? []).length === 0;
}

/**
 * The stack's outputs, secrets laid open: keep them off the screen and out of world-readable files.
 *
 * @throws {CommandError} when the CLI cannot tell them
 */
export async function stackOutputs({
  cli,
  session,
}: Pick<CliRun, "cli" | "session">): Promise<Record<string, unknown>> {
  const args = ["stack", "output", "--json", "--show-secrets", "--stack", session.stack, "--non-interactive"];
  const said = await runCaptured(cli.path, args, { cwd: projectDir, environment: session.environment });
  if (said.code !== 0)
    throw new CommandError(`The outputs of stack "${session.stack}" cannot be read:\n${said.stderr.trim()}`);
  return JSON.parse(said.stdout) as Record<string, unknown>;
}

function ownFile(stack: string): string {
  return join(projectDir, `Pulumi.${stack}.yaml`);
}

function readSource(path: string, mayBeAbsent: boolean): string {
  if (existsSync(path)) return readFileSync(path, "utf8").replace(/^\ufeff/, "");
  if (mayBeAbsent) return "";
  throw new CommandError(
    `${relative(process.cwd(), path)} does not exist. Write it (examples/ has some to copy), or choose another --stack.`,
  );
}
