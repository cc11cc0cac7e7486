import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

import { configTable, withConfigTable } from "../../commands/docs";
import { configSchema, root } from "./support/config";

const read = (file: string) => readFileSync(join(root, file), "utf8");
const pages = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(root, "docs"), { recursive: true })
    .map((file) => join("docs", String(file)))
    .filter((file) => file.endsWith(".md")),
];

describe("README.md", () => {
  it("has the table that Pulumi.yaml says (npm run docs writes it)", () => {
    expect(withConfigTable(read("README.md"), read("Pulumi.yaml"))).toBe(read("README.md"));
  });

  it("names commands that exist", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const named = [...read("README.md").matchAll(/npm (?:run )?([\w:]+)/g)].map(([, name]) => name!);
    for (const name of named) expect([...Object.keys(scripts), "ci", "test", "start"]).toContain(name);
    for (const script of Object.values(scripts))
      for (const file of script.match(/commands\/[\w-]+\.ts/g) ?? [])
        expect(existsSync(join(root, file)), file).toBe(true);
  });
});

it.each(pages)("%s links to files that exist", (page) => {
  const links = [...read(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, link]) => link!);
  for (const link of links) expect(existsSync(join(root, dirname(page), link)), link).toBe(true);
});

describe("docs/security.md", () => {
  const rows = read("docs/security.md")
    .split("## Faults")[0]!
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .slice(2);

  it("has lines", () => expect(rows.length).toBeGreaterThan(10));

  it.each(rows)("names tests that exist: %s", (row) => {
    const named = row
      .split(" | ")
      .at(-1)!
      .replace(/ *\|$/, "")
      .split("; ")
      .map((test) => /^`([\w/-]+)`: (.+)$/.exec(test));
    for (const test of named) {
      expect(test, row).not.toBeNull();
      const titles = [...read(`test/${test![1]}.test.ts`).matchAll(/(?:it|test|\)|>)\(\s*(["'`])(.+?)\1,/g)];
      expect(titles.filter(([, , title]) => title!.includes(test![2]!.trim()))).not.toEqual([]);
    }
  });
});

describe("the config table", () => {
  it("has a row for every key", () => {
    const table = configTable(read("Pulumi.yaml"));
    for (const key of Object.keys(configSchema())) expect(table).toContain(`| \`${key}\` |`);
  });

  it("keeps a description in its cell", () => {
    const table = configTable(
      "config:\n  a:\n    type: string\n    default: x|y\n    description: |\n      one|two\n      three\n",
    );
    expect(table.split("\n").at(-1)).toBe('| `a` | string | `"x|y"` | one\\|two three |');
  });

  it("needs its place in the page", () => {
    expect(() => withConfigTable("no markers", read("Pulumi.yaml"))).toThrow(/has no <!-- config/);
  });
});
