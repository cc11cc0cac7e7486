import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parse } from "yaml";

import { findCli, run, runCaptured, type PulumiCli } from "../pulumi/cli";
import {
  forgetStack,
  keepAdditions,
  keepSalt,
  openSession,
  seedBareStack,
  stackFile,
  writeConfigCopy,
  type Session,
} from "../pulumi/session";
import { projectDir } from "../program/run";
import { locateStack } from "../program/stack-config";
import { CommandError, runMain } from "../terminal/terminal";

const usage = `Runs the Pulumi CLI with everything set up: state, passphrase and private settings lie in .state/.

  npm run up|preview|destroy [-- FLAGS]     deploy, show what would change, remove everything
  npx tsx commands/pulumi.ts ARGUMENTS      any other command of the CLI, e.g.
                                            stack output adminToken --show-secrets
                                            config set --secret adminToken

  --stack S           work on the stack of Pulumi.S.yaml (default: dev)
  --config-file FILE  use this file in place of Pulumi.<stack>.yaml
  --help              show this; pulumi up --help shows the CLI's own flags, which are passed on

up and destroy ask nothing: --yes is added unless --yes, --skip-preview or --preview-only is given.
With PULUMI_BACKEND_URL set, state and settings are where the CLI keeps them by itself.
Exit code 2 when there is no Pulumi CLI.
`;

/** How a command line is understood. */
export interface Invocation {
  /** The CLI's command and everything after it, without --stack and --config-file. */
  readonly args: readonly string[];
  readonly stack?: string;
  readonly configFile?: string;
}

/** Takes --stack (-s) and --config-file out of the CLI's arguments; all else stays as it is, in order. */
export function readInvocation(args: readonly string[]): Invocation {
  const rest: string[] = [];
  const taken: { stack?: string; configFile?: string } = {};
  for (let index = 0; index < args.length; index++) {
    const arg = args[index]!;
    if (arg === "--") {
      rest.push(...args.slice(index));
      break;
    }
    const match = /^(--stack|-s|--config-file)(?:=(.*))?$/s.exec(arg);
    if (!match) {
      rest.push(arg);
      continue;
    }
    const value = match[2] ?? args[++index];
    if (!value || (match[2] === undefined && value.startsWith("-")))
      throw new CommandError(`${match[1]} needs a value, e.g. ${match[1]} dev.`, 2);
    taken[match[1] === "--config-file" ? "configFile" : "stack"] = value;
  }
  return { args: rest, ...taken };
}

/** The CLI's commands that read the stack's file, and so take --config-file. */
const readsConfig = [
  "up",
  "update",
  "preview",
  "pre",
  "destroy",
  "down",
  "refresh",
  "config",
  "import",
  "logs",
  "watch",
];
/** Those that ask before they act. */
const asks = ["up", "update", "destroy", "down", "refresh"];

/** The arguments that the CLI is started with. */
export function cliArguments(
  args: readonly string[],
  stack: string,
  configFile: string | undefined,
): string[] {
  const [command = "", ...rest] = args;
  const decided = rest.some((arg) => /^(--yes|-y|--skip-preview|-f|--preview-only)(=|$)/.test(arg));
  const end = rest.indexOf("--") < 0 ? rest.length : rest.indexOf("--");
  const ours = [
    ...(takesStack(command) ? ["--stack", stack] : []),
    ...(configFile && readsConfig.includes(command) ? ["--config-file", configFile] : []),
    ...(asks.includes(command) && !decided ? ["--yes"] : []),
  ];
  return [command, ...rest.slice(0, end), ...ours, ...rest.slice(end)];
}

function takesStack(command: string): boolean {
  return [...readsConfig, "stack", "state", "cancel", "console", "env"].includes(command);
}

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

/** Name of this project, from Pulumi.yaml. */
export function projectName(): string {
  return (parse(readFileSync(join(projectDir, "Pulumi.yaml"), "utf8")) as { name: string }).name;
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

/** The CLI knows nothing of what npm start made in its own process, and would stumble over the names. */
async function refuseInProcess(stack: string): Promise<void> {
  const { findDocker } = await import("../docker/host");
  const { isInProcess } = await import("../engine/backend");
  const found = await findDocker();
  if ("docker" in found && (await isInProcess(found.docker, stack)))
    throw new CommandError(
      `Stack "${stack}" runs already: npm start deployed it without the Pulumi CLI. Run npm start -- --down first; that removes its data too.`,
    );
}

/** @returns the exit code: the CLI's, or 2 without one */
export async function main(args: readonly string[]): Promise<number> {
  const invocation = readInvocation(args);
  const command = invocation.args[0];
  if (
    command === undefined ||
    command === "help" ||
    invocation.args.includes("--help") ||
    invocation.args.includes("-h")
  ) {
    process.stdout.write(usage);
    return command === undefined ? 2 : 0;
  }
  const cli = await findCli(projectDir, (line) => process.stderr.write(`${line}\n`));
  if ("reason" in cli) {
    process.stderr.write(
      `This needs the Pulumi CLI, but ${cli.reason}.\nInstall it (https://www.pulumi.com/docs/install/), or do without it: npm run plan shows the stack, npm start runs it.\n`,
    );
    return 2;
  }
  const { stack, path } = locateStack(projectDir, { stack: invocation.stack, file: invocation.configFile });
  const project = projectName();
  const session = openSession({ project, stack, stateDir: join(projectDir, ".state") });
  if (["up", "update"].includes(command) && session.folders && !stackFile(session, project))
    await refuseInProcess(stack).catch((error: unknown) => {
      forgetStack(session, project);
      throw error;
    });
  return runCli(invocation.args, { cli, session, project, sourceFile: path });
}

if (require.main === module) runMain(() => main(process.argv.slice(2)));
