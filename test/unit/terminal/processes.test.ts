import { tmpdir } from "node:os";
import { expect, test } from "vitest";

import { run, runCaptured } from "../../../terminal/processes";

test("programs that end badly, are killed or do not exist have a code", async () => {
  const options = { cwd: tmpdir(), environment: process.env };
  expect(await runCaptured("sh", ["-c", "echo out; echo err >&2; exit 3"], options)).toEqual({
    code: 3,
    stdout: "out\n",
    stderr: "err\n",
  });
  expect((await runCaptured("/nonexistent", [], options)).code).toBe(127);
  expect((await runCaptured("sleep", ["10"], { ...options, timeout: 50 })).code).toBe(124);
  expect(await run("sh", ["-c", "exit 4"], { ...options, output: "stderr" })).toBe(4);
  expect(await run("/nonexistent", [], { ...options, output: "stderr" })).toBe(127);
});
