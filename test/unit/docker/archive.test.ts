import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { describe, expect, test } from "vitest";

import { firstFile, tar } from "../../../docker/archive";

describe("archives", () => {
  const unpack = async (archive: NodeJS.ReadableStream): Promise<Record<string, string>> => {
    const folder = mkdtempSync(join(tmpdir(), "tar-"));
    try {
      execFileSync("tar", ["-xpf", "-", "-C", folder], { input: await buffer(archive) });
      return Object.fromEntries(
        readdirSync(folder, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => {
            const path = join(entry.parentPath, entry.name);
            const mode = (statSync(path).mode & 0o777).toString(8);
            return [path.slice(folder.length), `${mode} ${readFileSync(path, "utf8").length}`];
          }),
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };

  test("are read by tar: sizes around the block, long and non-ASCII paths, modes", async () => {
    const long = `/${"d".repeat(100)}/${"e".repeat(40)}/${"f".repeat(95)}`;
    const entries = [
      { path: "/empty", content: Buffer.alloc(0), mode: 0o600 },
      { path: "/block", content: Buffer.alloc(512, "x"), mode: 0o644 },
      { path: "/etc/ключ", content: Buffer.alloc(513, "x"), mode: 0o755 },
      { path: long, content: Buffer.from("l"), mode: 0o640 },
      { path: `/${"x".repeat(101)}`, content: Buffer.from("x"), mode: 0o644 },
    ];
    expect(await unpack(tar(entries))).toEqual({
      "/empty": "600 0",
      "/block": "644 512",
      "/etc/ключ": "755 513",
      [long]: "640 1",
      [`/${"x".repeat(101)}`]: "644 1",
    });
  });

  test("give their first file, and none where they have none", async () => {
    const entry = (path: string, text: string) => ({ path, content: Buffer.from(text), mode: 0o644 });
    expect((await firstFile(tar([entry("a", "ü\n"), entry("b", "2")])))?.toString()).toBe("ü\n");
    expect(await firstFile(tar([]))).toBeUndefined();
  });
});
