import { ESLint } from "eslint";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";

import { root } from "./support/config";

const foreign = ["node_modules", "coverage", "docs", "examples"];
const rooms = readdirSync(root).filter(
  (name) => !name.startsWith(".") && !foreign.includes(name) && statSync(join(root, name)).isDirectory(),
);
const files = rooms
  .flatMap((room) =>
    readdirSync(join(root, room), { recursive: true }).map((file) => join(room, String(file))),
  )
  .filter((file) => file.endsWith(".ts"))
  .concat("index.ts");

describe("the table of CONTRIBUTING.md", () => {
  const rows = [...readFileSync(join(root, "CONTRIBUTING.md"), "utf8").matchAll(/^\| `([\w.]+)\/?` /gm)];

  it("has every room, and no other", () => {
    expect(rows.map(([, room]) => room).sort()).toEqual([...rooms, "index.ts"].sort());
  });

  it.each([
    [
      "configs/nginx.ts",
      ["../settings", "../settings/index", "../components/nginx"],
      ["./yaml", "../stack/names"],
    ],
    ["components/hosts/ssh.ts", ["../../engine/state", "../../index"], ["../service", "../../settings"]],
    ["terminal/arguments.ts", ["../settings", "../settings/nearest-of-kin"], ["../settings/nearest"]],
    ["index.ts", ["./stack/names", "./program/run"], ["./settings", "./components/deployment"]],
    ["commands/verify.ts", ["../components/tracker", "../test/setup"], ["../verify", "../program/run"]],
  ])("ESLint knows what %s may import", async (file, refused, allowed) => {
    const { rules } = (await new ESLint({ cwd: root }).calculateConfigForFile(join(root, file))) as {
      rules: { "no-restricted-imports": [number, { patterns: { regex: string }[] }] };
    };
    const [severity, { patterns }] = rules["no-restricted-imports"];
    const isRefused = (path: string) => patterns.some(({ regex }) => new RegExp(regex).test(path));
    expect(severity).toBe(2);
    expect(refused.filter((path) => !isRefused(path))).toEqual([]);
    expect(allowed.filter(isRefused)).toEqual([]);
  });
});

it("no file imports itself by a detour, types included", () => {
  const imports = new Map(files.map((file) => [file, importsOf(file)]));
  const finished = new Set<string>();
  const visit = (file: string, way: readonly string[]) => {
    if (way.includes(file)) throw new Error([...way.slice(way.indexOf(file)), file].join(" -> "));
    if (finished.has(file)) return;
    for (const next of imports.get(file) ?? []) visit(next, [...way, file]);
    finished.add(file);
  };
  for (const file of files) visit(file, []);
  expect(finished.size).toBe(files.length);
});

/** The files of this project that one imports, at load or later. */
function importsOf(file: string): string[] {
  const { importedFiles } = ts.preProcessFile(readFileSync(join(root, file), "utf8"));
  return importedFiles
    .filter(({ fileName }) => fileName.startsWith("."))
    .map(({ fileName }) => join(root, file, "..", fileName))
    .flatMap(
      (path) =>
        [`${path}.ts`, join(path, "index.ts"), path].find(
          (candidate) => existsSync(candidate) && statSync(candidate).isFile(),
        ) ?? [],
    )
    .map((path) => relative(root, path));
}
