import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

import { renderBackupScript, type BackupModel } from "../../../configs/backup";
import { renderDumpScript, renderMysqlOptions, renderSnapshotScript } from "../../../configs/backup-workers";
import { renderRestoreScript } from "../../../configs/restore";
import { readScript } from "../../../scripts";
import { parseCron, type Schedule } from "../../../settings/cron";

const model = (cron = "17 3 * * *"): BackupModel => ({
  stack: "torrust-pingoo-dev",
  schedule: parseCron(cron) as Schedule,
  retention: { daily: 7, weekly: 0, monthly: 12 },
  folders: ["/data/tls", "/data/config"],
  workers: ["backup-snapshot", "backup-dump"],
});
const snapshot = {
  worker: "backup-snapshot",
  databases: { "tracker.db": "/data/tracker/database/sqlite3.db" },
  port: 9109,
};
const dump = { worker: "backup-dump", optionsFile: "/etc/x.cnf", database: "torrust", file: "tracker.sql" };
const scripts = {
  backup: renderBackupScript(readScript("backup.sh"), model()),
  dump: renderDumpScript(readScript("dump.sh"), dump),
  restore: renderRestoreScript(readScript("restore.sh")),
};
const has = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;
const hasShellcheck = has("shellcheck", "--version");
const hasPython = has("python3", "-c", "import sqlite3");

describe("the scripts", () => {
  it.each(Object.entries(scripts))("%s is as it was", async (name, script) => {
    await expect(script).toMatchFileSnapshot(`golden/${name}.sh`);
  });

  it("the one that copies SQLite is as it was", () =>
    expect(renderSnapshotScript(readScript("snapshot.py"), snapshot)).toMatchFileSnapshot(
      "golden/snapshot.py",
    ));

  it.each(Object.entries(scripts))("%s is for a POSIX shell", (_name, script) => {
    execFileSync("sh", ["-n"], { input: script });
  });

  it.skipIf(!hasShellcheck).each(Object.entries(scripts))(
    "%s has nothing that shellcheck minds",
    (_name, script) => {
      const { stdout } = spawnSync("shellcheck", ["--shell=sh", "-"], { input: script });
      expect(stdout.toString()).toBe("");
    },
  );

  it("keep what retention says, and nothing of other installations goes", () => {
    const forget = /^.*call forget.*$/m.exec(scripts.backup)![0];
    expect(forget).toContain("--keep-daily 7 --keep-monthly 12 --prune");
    expect(forget).not.toContain("weekly");
    expect(forget).toContain('--tag "installation=');
  });

  it("give MySQL's clients their options in a file", () => {
    expect(renderMysqlOptions({ host: "10.0.0.1", port: 3306, user: "u", password: "p#w" })).toBe(
      '[client]\nhost=10.0.0.1\nport=3306\nuser=u\npassword="p#w"\n',
    );
  });
});

describe("a restore holds backups off", () => {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-restore-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  /** Seconds until it lets go, where the file that says that somebody restores was touched at such a time. */
  const held = (touchedAt: string) => {
    const script = scripts.restore
      .replaceAll("/var/lib/torrust-backup", folder)
      .replaceAll("/tmp/held", `${folder}/held`)
      .replace(/^rest\(\) \{[\s\S]*?^\}/m, 'rest() { slept=$((slept + $1)); echo "$slept"; }');
    const input = `slept=0\nstat() { echo ${touchedAt}; }\n${script}`;
    const { stdout } = spawnSync("sh", ["-s", "hold"], { input, timeout: 10_000 });
    return Number(stdout.toString().trim().split("\n").pop());
  };

  it("until nothing was heard for two minutes", () => {
    expect(held("1000")).toBe(120);
    expect(held("$((slept < 60 ? slept : 60))")).toBe(180);
  });

  it("no longer where the clock was put back", () => expect(held("99999999999")).toBe(120));
});

/** Runs the script's functions, without containers: `schedule FUNCTION ARGUMENTS`. */
describe("the schedule", () => {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-backup-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const call = (cron: string, ...args: string[]) => {
    const script = renderBackupScript(readScript("backup.sh"), model(cron)).replaceAll(
      "/var/lib/torrust-backup",
      folder,
    );
    return spawnSync("sh", ["-s", "schedule", ...args], { input: script });
  };
  const seconds = (time: string) => String(Date.parse(time) / 1000);
  const due = (cron: string, from: string, to: string) =>
    call(cron, "due_between", seconds(from), seconds(to)).status === 0;

  it.each([
    ["17 3 * * *", "2026-03-01T03:16:59Z", "2026-03-01T03:17:05Z", true],
    ["17 3 * * *", "2026-03-01T03:17:05Z", "2026-03-01T03:18:10Z", false],
    ["17 3 * * *", "2026-03-01T04:00:00Z", "2026-03-02T03:16:59Z", false],
    // A run that was missed while nothing ran.
    ["17 3 * * *", "2026-03-01T01:00:00Z", "2026-03-04T12:00:00Z", true],
    ["17 3 * * *", "2020-01-01T00:00:00Z", "2026-03-04T12:00:00Z", true],
    ["0 8 * * 0", "2026-03-01T07:59:00Z", "2026-03-01T08:00:00Z", true],
    ["0 8 * * 0", "2026-03-02T07:59:00Z", "2026-03-02T08:00:00Z", false],
    ["0 9 8 9 *", "2026-09-08T08:59:00Z", "2026-09-08T09:00:00Z", true],
    ["0 9 8 9 *", "2026-10-08T08:59:00Z", "2026-10-08T09:00:00Z", false],
    // Either day is enough where both are given: 2 March 2026 is a Monday.
    ["0 9 1 * 1", "2026-03-02T08:59:00Z", "2026-03-02T09:00:00Z", true],
    ["0 9 1 * 1", "2026-03-01T08:59:00Z", "2026-03-01T09:00:00Z", true],
    ["0 9 1 * 1", "2026-03-03T08:59:00Z", "2026-03-03T09:00:00Z", false],
  ])("%s between %s and %s: %s", (cron, from, to, expected) => expect(due(cron, from, to)).toBe(expected));

  it.each([
    [1, 60],
    [2, 120],
    [3, 240],
    [7, 3600],
    [100, 3600],
  ])("after %i failures it waits %i seconds", (failures, wait) => {
    expect(call("0 0 * * *", "delay", String(failures)).stdout.toString()).toBe(`${wait}\n`);
  });
});

describe.skipIf(!hasPython)("a copy of a SQLite database", () => {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-backup-"));
  const source = join(folder, "source.db");
  const target = join(folder, "copy.db");
  afterAll(() => rmSync(folder, { recursive: true }));
  const python = (program: string) => spawnSync("python3", ["-"], { input: program });
  const copy = (more = "") =>
    python(
      `${renderSnapshotScript(readScript("snapshot.py"), snapshot)
        .replace(/\nmain\(\)\n$/, "\n")
        .replace(
          "PATIENCE = 20",
          "PATIENCE = 1",
        )}\n${more}\ncopy(${JSON.stringify(source)}, ${JSON.stringify(target)})\n`,
    );

  it("has what is committed and nothing of what is not, and the original's mode", () => {
    python(`import sqlite3
d = sqlite3.connect(${JSON.stringify(source)})
d.execute("create table t (a)")
d.execute("insert into t values (1)")
d.commit()
import os
os.chmod(${JSON.stringify(source)}, 0o640)`);
    const writer = `import sqlite3 as s
other = s.connect(${JSON.stringify(source)}, isolation_level=None)
other.execute("begin immediate")
other.execute("insert into t values (2)")`;
    expect(copy(writer).stderr.toString()).toBe("");
    const { stdout } = python(
      `import sqlite3; print(sqlite3.connect(${JSON.stringify(target)}).execute("select a from t").fetchall())`,
    );
    expect(stdout.toString()).toBe("[(1,)]\n");
    expect(statSync(target).mode & 0o777).toBe(0o640);
  });

  it("is not made of a damaged one", () => {
    rmSync(target, { force: true });
    const bytes = readFileSync(source);
    writeFileSync(source, bytes.subarray(0, 4096).fill(0x58, 100));
    const { status, stderr } = copy();
    expect([status, stderr.toString()]).toEqual([1, expect.stringMatching(/malformed|damaged/)]);
    expect(existsSync(target)).toBe(false);
  });

  it("waits for what does not exist yet, and then says so", () => {
    rmSync(source);
    expect(copy().stderr.toString()).toMatch(/No such file/);
  });
});
