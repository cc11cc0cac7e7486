import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parse } from "yaml";

/** The folder with Pulumi.yaml and the program. */
export const projectDir = resolve(__dirname, "..");

/** The folder for what this machine knows of its stacks: state, outputs, generated values. Git ignores it. */
export const stateDir = join(projectDir, ".state");

/** Name of this project, from Pulumi.yaml. */
export function projectName(): string {
  return (parse(readFileSync(join(projectDir, "Pulumi.yaml"), "utf8")) as { name: string }).name;
}
