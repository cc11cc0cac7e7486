import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

import { root } from "./support/config";

/** Ports of pebble inside its container. */
const insideOnly = ["14000", "15000"];

it("no two files of tests and benchmarks publish the same port, for what one leaves behind when it is interrupted", () => {
  const users = new Map<string, string[]>();
  for (const folder of ["bench", "test/e2e", "test/engine"])
    for (const file of readdirSync(join(root, folder)).filter((name) => name.endsWith(".ts")))
      for (const port of new Set(readFileSync(join(root, folder, file), "utf8").match(/\b[1-3]\d{4}\b/g)))
        users.set(port, [...(users.get(port) ?? []), `${folder}/${file}`]);
  expect(users.size).toBeGreaterThan(30);
  const shared = [...users].filter(([port, files]) => files.length > 1 && !insideOnly.includes(port));
  expect(shared).toEqual([]);
});
