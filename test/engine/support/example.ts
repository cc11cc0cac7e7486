import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

import { projectDir } from "../../../program/project";

/** What a stack file sets, without the project's name before each key. */
export function exampleValues(file: string): Record<string, unknown> {
  const { config } = parse(readFileSync(join(projectDir, file), "utf8")) as {
    config: Record<string, unknown>;
  };
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.slice(key.indexOf(":") + 1), value]),
  );
}
