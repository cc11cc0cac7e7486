import { CommandError } from "../terminal/terminal";

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

/** Whether a command works on one stack. */
export function takesStack(command: string): boolean {
  return [...readsConfig, "stack", "state", "cancel", "console", "env"].includes(command);
}
