import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

import { renderRestoreScript, snapshotPaths } from "../../../configs/restore";
import { readScript } from "../../../scripts";
import { runHere } from "../../images/engine";
import { root } from "../support/config";

const folder = join(root, "scripts");
const shellScripts = readdirSync(folder).filter((name) => name.endsWith(".sh"));
const programs = readdirSync(folder).filter((name) => name.endsWith(".py"));
const run = (program: string, ...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", timeout: 20_000 });
  return { status, stdout, stderr };
};
const quiet = { status: 0, stdout: "", stderr: "" };
const has = (program: string, ...args: string[]) => run(program, ...args).status === 0;
const hasPython = has("python3", "-c", "import sys, sqlite3; sys.exit(sys.version_info < (3, 9))");

describe.each(shellScripts)("%s", (name) => {
  const file = join(folder, name);

  it("is for a POSIX shell", () => expect(run("sh", "-n", file)).toEqual(quiet));

  it.skipIf(!has("shellcheck", "--version"))("has nothing that shellcheck minds", () =>
    expect(run("shellcheck", file)).toEqual(quiet),
  );
});

describe.skipIf(!hasPython)("the programs in Python", () => {
  it.each(programs)("%s compiles", (name) => {
    const compile = "import sys; compile(open(sys.argv[1]).read(), sys.argv[1], 'exec')";
    expect(run("python3", "-c", compile, join(folder, name))).toEqual(quiet);
  });

  it("pass their own tests", { timeout: 120_000 }, async () => {
    // Python reports tests on stderr, and fails with them.
    const tests = "python3 -B -m unittest discover scripts/tests 2>&1";
    expect(await runHere({ command: ["sh", "-c", tests], directory: root })).toMatch(/^Ran [1-9].*\n\nOK/m);
  });
});

describe("a script's file runs as it is", () => {
  const copy = mkdtempSync(join(tmpdir(), "torrust-pingoo-scripts-"));
  const home = join(copy, "home");
  cpSync(folder, copy, { recursive: true });
  afterAll(() => rmSync(copy, { recursive: true }));
  /** Runs one with another home. */
  const runAtHome = (name: string, ...args: string[]) => {
    const file = join(copy, name);
    writeFileSync(file, readFileSync(file, "utf8").replace(/^home=.*$/m, `home=${home}`));
    return run("sh", file, ...args);
  };

  it("backup.sh, with what it sources", () =>
    expect(runAtHome("backup.sh", "schedule", "delay", "3")).toEqual({ ...quiet, stdout: "240\n" }));

  it("restore.sh", () => {
    expect(runAtHome("restore.sh", "begin", "4711")).toEqual(quiet);
    expect(readFileSync(join(home, "state/restoring"), "utf8")).toBe("4711\n");
  });

  it("certbot.sh, which hands nginx what has been issued rather than what it signed itself", () => {
    const put = (path: string) => {
      mkdirSync(dirname(join(home, path)), { recursive: true });
      writeFileSync(join(home, path), `${path}\n`);
    };
    for (const kind of ["self-signed/api", "self-signed/tracker", "live/tracker"])
      for (const file of ["privkey.pem", "fullchain.pem"]) put(`${kind}.example.org/${file}`);
    put("served/nothing");
    expect(runAtHome("certbot.sh", "publish")).toMatchObject({ status: 0, stderr: "" });
    const served = (name: string) => readFileSync(join(home, `served/${name}.example.org.pem`), "utf8");
    expect(served("api")).toBe(
      "self-signed/api.example.org/privkey.pem\nself-signed/api.example.org/fullchain.pem\n",
    );
    expect(served("tracker")).toBe(
      "live/tracker.example.org/privkey.pem\nlive/tracker.example.org/fullchain.pem\n",
    );
  });
});

it("what comes out of a snapshot is sought where it is", () => {
  const script = renderRestoreScript(readScript("restore.sh"));
  for (const [part, path] of Object.entries(snapshotPaths))
    expect(script).toContain(`[ ! -e "$fetched${path}" ] || echo ${part}\n`);
});
