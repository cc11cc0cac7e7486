import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";

import { runHere } from "../../images/engine";
import { root } from "../support/config";

const python = spawnSync("python3", ["-c", "import sys; sys.exit(sys.version_info < (3, 9))"]).status === 0;

it.skipIf(!python)("the guard's own tests pass", { timeout: 120_000 }, async () => {
  // Python reports tests on stderr, and fails with them.
  const tests = "python3 -B -m unittest discover guard/tests 2>&1";
  expect(await runHere({ command: ["sh", "-c", tests], directory: root })).toMatch(/^Ran [1-9].*\n\nOK/m);
});
