import { describe, expect, it } from "vitest";

import { longestPause, parseCron, type Schedule } from "../../../settings/cron";
import { problemsOf, settingsOf } from "../support/config";

const backupPassword = "correct-horse-battery";
const sftp = { repository: "sftp:u1@u1.your-storagebox.de:/torrust", knownHosts: "host ssh-ed25519 AAAA" };
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe("a backup's configuration", () => {
  it("is none unless there is one", () => {
    expect(settingsOf().backup).toBeUndefined();
    expect(settingsOf({ backup: {} }).backup).toBeUndefined();
  });

  it("needs a repository and a password only", () => {
    expect(settingsOf({ backup: { repository: "/srv/backup" }, backupPassword }).backup).toMatchObject({
      repository: { kind: "local", location: "/srv/backup" },
      schedule: { minutes: [17], hours: [3], days: range(1, 31), weekdays: range(0, 6), eitherDay: false },
      retention: { last: 3, daily: 7, weekly: 5, monthly: 12 },
      include: ["tls", "letsencrypt", "config", "tracker", "grafana"],
    });
  });

  it.each([
    [sftp, { backupSshKey: "-----BEGIN OPENSSH PRIVATE KEY-----" }, "sftp"],
    [{ ...sftp, repository: "sftp://u1@host.org:23/torrust" }, { backupSshKey: "sealed-key" }, "sftp"],
    [
      { repository: "s3:https://fsn1.your-objectstorage.com/bucket/torrust" },
      { backupS3AccessKeyId: "id1", backupS3SecretAccessKey: "key" },
      "s3",
    ],
    [{ repository: "rest:https://user@backup.example.org/torrust/" }, { backupRestPassword: "p" }, "rest"],
    [{ repository: "rest:http://10.0.0.2:8000/" }, {}, "rest"],
  ])("takes %j", (backup, secrets, kind) => {
    const { repository } = settingsOf({ backup, backupPassword, ...secrets }).backup!;
    expect(repository).toMatchObject({ kind, location: backup.repository });
  });

  const local = { repository: "/srv/backup" };
  it.each<[string, Record<string, unknown>, string, RegExp]>([
    [
      "no repository",
      { backup: { schedule: "0 3 * * *" } },
      "backup.repository",
      /is missing.*sftp:user@host/,
    ],
    [
      "a relative folder",
      { backup: { repository: "backup" } },
      "backup.repository",
      /"backup" is no repository/,
    ],
    ["the root", { backup: { repository: "/" } }, "backup.repository", /no repository/],
    ["a way out", { backup: { repository: "/srv/../etc" } }, "backup.repository", /leads out of itself/],
    ["another backend", { backup: { repository: "b2:bucket" } }, "backup.repository", /no repository/],
    [
      "a password in the URL",
      { backup: { repository: "rest:https://u:secret@host/" } },
      "backup.repository",
      /^holds a password.*backupRestPassword/,
    ],
    ["a misspelt key", { backup: { ...local, retain: {} } }, "backup.retain", /not known/],
    ["text for an object", { backup: "daily" }, "backup", /not JSON/],
    [
      "no cron",
      { backup: { ...local, schedule: "daily" } },
      "backup.schedule",
      /has 1 fields, not five.*"17 3/,
    ],
    ["a 25th hour", { backup: { ...local, schedule: "0 24 * * *" } }, "backup.schedule", /"24" as its hour/],
    [
      "retention of nothing",
      { backup: { ...local, retention: { daily: 0 } } },
      "backup.retention",
      /keeps nothing/,
    ],
    [
      "an unknown period",
      { backup: { ...local, retention: { dayly: 7 } } },
      "backup.retention.dayly",
      /known/,
    ],
    ["a negative count", { backup: { ...local, retention: { daily: -1 } } }, "backup.retention.daily", /./],
    ["an unknown part", { backup: { ...local, include: ["logs"] } }, "backup.include[0]", /not known.*tls/],
    ["no part", { backup: { ...local, include: [] } }, "backup.include", /is empty/],
    ["a short password", { backup: local, backupPassword: "short" }, "backupPassword", /must have 16 to/],
    [
      "no password",
      { backup: local, backupPassword: undefined },
      "backupPassword",
      /not generated.*Keep a copy/,
    ],
    ["sftp without a key", { backup: sftp }, "backupSshKey", /is missing.*config set --secret backupSshKey/],
    [
      "sftp without the server's key",
      { backup: { repository: sftp.repository }, backupSshKey: "key" },
      "backup.knownHosts",
      /is missing.*ssh-keyscan/,
    ],
    [
      "a public key",
      { backup: sftp, backupSshKey: "ssh-ed25519 AAAA" },
      "backupSshKey",
      /must be a private key/,
    ],
    ["s3 without a key", { backup: { repository: "s3:https://h/b" } }, "backupS3AccessKeyId", /is missing/],
    [
      "a key for nothing",
      { backup: local, backupSshKey: "key" },
      "backupSshKey",
      /another kind of repository/,
    ],
    [
      "a password in the clear",
      { backup: { repository: "rest:http://u@host/" }, backupRestPassword: "p" },
      "backup.repository",
      /in the clear/,
    ],
    [
      "a password of nobody",
      { backup: { repository: "rest:https://host/" }, backupRestPassword: "p" },
      "backup.repository",
      /names no user/,
    ],
    ["a password for no backup", { backup: {} }, "backupPassword", /is set, but backup is not/],
  ])("refuses %s", (_what, values, path, message) => {
    const given = Object.fromEntries(
      Object.entries({ backupPassword, ...values }).filter(([, value]) => value !== undefined),
    );
    const problems = problemsOf(given);
    expect(problems.map((problem) => problem.path)).toContain(path);
    const text = problems.filter((problem) => problem.path === path).map((problem) => problem.message);
    expect(text.join("\n")).toMatch(message);
    expect(JSON.stringify(problems)).not.toMatch(/correct-horse|secret@/);
  });
});

describe("a cron expression", () => {
  it.each([
    ["*/15 * * * *", { minutes: [0, 15, 30, 45] }],
    ["5,35 1-3 * * *", { minutes: [5, 35], hours: [1, 2, 3] }],
    ["0 3 * * 7", { weekdays: [0], eitherDay: false }],
    ["0 3 1 * 1", { days: [1], weekdays: [1], eitherDay: true }],
    ["10/20 3 * * *", { minutes: [10, 30, 50] }],
    ["0 0-23/6 * 1,7 *", { hours: [0, 6, 12, 18], months: [1, 7] }],
  ])("%s", (text, expected) => expect(parseCron(text)).toMatchObject(expected));

  it.each([
    "",
    "* * * *",
    "60 * * * *",
    "5-1 * * * *",
    "*/0 * * * *",
    "a * * * *",
    "* * 0 * *",
    "* * * * 8",
    "-1 * * * *",
    "1,,2 * * * *",
  ])("%j is none", (text) => expect(parseCron(text)).toHaveProperty("problem"));

  it.each([
    ["0 * * * *", 1],
    ["17 3 * * *", 1],
    ["0 3 * * 0", 7],
    ["0 3 1 * *", 31],
    ["0 3 1,15 * *", 17],
    ["0 3 1 1,7 *", 184],
    ["0 3 1 * 1", 7],
  ])("%s pauses for %i days at most", (text, days) =>
    expect(longestPause(parseCron(text) as Schedule)).toBe(days * 86_400),
  );
});
