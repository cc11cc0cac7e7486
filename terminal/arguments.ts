import { parseArgs, type ParseArgsConfig } from "node:util";

import { nearest } from "../settings/nearest";
import { CommandError } from "./terminal";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** Value of each flag: boolean, or string, undefined where the flag was not given. */
export type Flags<T extends Options> = {
  readonly [K in keyof T]?: T[K]["type"] extends "boolean" ? boolean : string;
};

/**
 * Reads a command's flags with `node:util` parseArgs; positional arguments and unknown flags are refused.
 *
 * @param command how the person calls it, e.g. `npm run plan --`, for the messages
 * @throws {CommandError} exit code 2, naming the nearest known flag
 */
export function parseFlags<const T extends Options>(
  command: string,
  args: readonly string[],
  options: T,
): Flags<T> {
  const { values, tokens } = parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const known = Object.keys(options);
  const refuse = (message: string) => {
    throw new CommandError(`${message}\nSee: ${command} --help`, 2);
  };
  for (const token of tokens) {
    if (token.kind === "positional")
      refuse(`"${token.value}" is not expected: ${command} takes flags only (${list(known)}).`);
    if (token.kind !== "option") continue;
    const option = options[token.name];
    if (!option) {
      const near = nearest(token.name, known);
      refuse(
        `${token.rawName} is not known.${near ? ` Did you mean --${near}?` : ` Known are: ${list(known)}.`}`,
      );
    } else if (option.type === "string" && !token.value) {
      refuse(`${token.rawName} needs a value, e.g. ${token.rawName} VALUE.`);
    } else if (option.type === "string" && !token.inlineValue && token.value?.startsWith("-")) {
      refuse(
        `${token.rawName} needs a value, but ${token.value} follows. Write ${token.rawName}=${token.value} if that is the value.`,
      );
    } else if (option.type === "boolean" && token.value !== undefined) {
      refuse(`${token.rawName} takes no value.`);
    }
  }
  return values as Flags<T>;
}

function list(names: readonly string[]): string {
  return names.map((name) => `--${name}`).join(", ");
}
