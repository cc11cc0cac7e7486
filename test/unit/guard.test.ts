import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";

import { root } from "./support/config";

const python = spawnSync("python3", ["-c", "import sys; sys.exit(sys.version_info < (3, 9))"]).status === 0;

it.skipIf(!python)("the guard's own tests pass", { timeout: 120_000 }, () => {
  const { status, stderr } = spawnSync("python3", ["-B", "-m", "unittest", "discover", "guard/tests"], {
    cwd: root,
    encoding: "utf8",
  });
  expect([status, stderr]).toEqual([0, expect.stringContaining("OK")]);
});
