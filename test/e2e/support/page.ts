import { readFileSync } from "node:fs";
import { join } from "node:path";

import { projectDir } from "../../../program/project";

/** The commands of each section of a page, which are those in blocks for sh, indented or not. */
export function commandsOf(page: string): Map<string, string[]> {
  const sections = readFileSync(join(projectDir, page), "utf8").split(/^## /m).slice(1);
  return new Map(
    sections.map((section) => [
      section.slice(0, section.indexOf("\n")),
      [...section.matchAll(/^ *```sh\n([\s\S]*?)^ *```$/gm)].flatMap(([, block]) =>
        block!
          .trim()
          .split("\n")
          .map((line) => line.trim()),
      ),
    ]),
  );
}
