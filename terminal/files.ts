import { readFileSync } from "node:fs";

import { CommandError } from "./terminal";

/**
 * Text of a file that the person named.
 *
 * @param what what it should hold, for the message
 * @throws {CommandError} exit code 2
 */
export function readTextFile(file: string, what: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    throw new CommandError(`${what} cannot be read from ${file}: ${code}.`, 2);
  }
}
