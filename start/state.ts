import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { stateDir } from "../program/project";

/** What the in-process engine remembers. */
export const inProcessDir = join(stateDir, "in-process");

/** The file with a stack's outputs. */
export function outputsPath(stack: string): string {
  return join(stateDir, `${stack}.outputs.json`);
}

/** Writes a stack's outputs. They hold its secrets too, so only their owner may read them. */
export function writeOutputs(stack: string, outputs: Readonly<Record<string, unknown>>): string {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const path = outputsPath(stack);
  writeFileSync(path, `${JSON.stringify(outputs, null, 2)}\n`, { mode: 0o600 });
  chmodSync(path, 0o600);
  return path;
}
