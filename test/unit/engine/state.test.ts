import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

import { withLock } from "../../../engine/lock";
import { EngineState } from "../../../engine/state";
import type { ResourceRequest } from "../../../program/monitor";
import { reveal, SecretValue } from "../../../program/secrets";
import { request } from "./support";

describe("state", () => {
  const folder = mkdtempSync(join(tmpdir(), "state-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const password = (inputs: object): ResourceRequest =>
    request("random:index/randomPassword:RandomPassword", "p", inputs);

  test("generated values stay the same, in a file that only the owner reads", () => {
    const first = EngineState.open(join(folder, "a"), "s").generate(password({ length: 20, special: false }));
    const again = EngineState.open(join(folder, "a"), "s").generate(password({ length: 20, special: false }));
    expect(first.result).toBeInstanceOf(SecretValue);
    expect(reveal(first)).toEqual(reveal(again));
    expect(String(reveal(first.result))).toMatch(/^[A-Za-z0-9]{20}$/);
    expect(statSync(join(folder, "a", "s.json")).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "a")).mode & 0o777).toBe(0o700);
  });

  test("other inputs give another value", () => {
    const state = EngineState.open(join(folder, "b"), "s");
    const first = reveal(state.generate(password({ length: 20 })));
    expect(reveal(state.generate(password({ length: 20, keepers: { a: "1" } })))).not.toEqual(first);
  });

  test("characters obey the classes and their minimums", () => {
    const state = EngineState.open(join(folder, "c"), "s");
    const inputs = { length: 12, upper: false, numeric: false, overrideSpecial: "#", minSpecial: 5 };
    expect(String(reveal(state.generate(password(inputs)).result))).toMatch(/^(?=(?:[^#]*#){5})[a-z#]{12}$/);
    expect(() => state.generate(password({ length: 0 }))).toThrow("length");
    expect(() => state.generate(request("random:index/randomPet:RandomPet", "p", {}))).toThrow("Pulumi CLI");
  });

  test("hashes do not depend on the order of members and need the key", () => {
    const state = EngineState.open(join(folder, "d"), "s");
    expect(state.hash({ a: 1, b: [1, { c: 2, d: undefined }] })).toBe(state.hash({ b: [1, { c: 2 }], a: 1 }));
    expect(state.hash({ a: 1 })).not.toBe(state.hash({ a: 2 }));
    expect(EngineState.open(join(folder, "e"), "s").hash({ a: 1 })).not.toBe(state.hash({ a: 1 }));
  });

  test("a damaged file is said to be one, and what to do", () => {
    mkdirSync(join(folder, "f"));
    execFileSync("sh", ["-c", `echo '{"version": 9}' > ${join(folder, "f", "s.json")}`]);
    expect(() => EngineState.open(join(folder, "f"), "s")).toThrow("--down");
  });

  test("a lock keeps a second process out, and one left behind does not", async () => {
    const path = join(folder, "g");
    await withLock(path, "s", async () => {
      await expect(withLock(path, "s", async () => 1)).rejects.toThrow(`Process ${process.pid}`);
      await expect(withLock(path, "other", async () => 2)).resolves.toBe(2);
    });
    execFileSync("sh", ["-c", `echo 999999999 > ${join(path, "s.lock")}`]);
    await expect(withLock(path, "s", async () => 3)).resolves.toBe(3);
    await expect(withLock(path, "s", async () => Promise.reject(new Error("x")))).rejects.toThrow("x");
    expect(readdirSync(path)).toEqual([]);
  });
});
