import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

import { backUp } from "../../backup";
import { projectDir, projectName } from "../../program/project";
import { findStackEngine, type StackEngine } from "../../docker/stack";
import { silentProgress } from "../../terminal/terminal";
import { buildImages } from "../images/build";
import { runHere } from "../images/engine";
import { fetchLocal } from "./support/clients";
import { command } from "./support/command";
import { removeEverything } from "./support/damage";
import { TestStack, type Outputs } from "./support/engine";
import { commandsOf } from "./support/page";
import { expectVerified } from "./support/verify";

const name = "recovery-e2e";
const sections = commandsOf("docs/disaster-recovery.md");

describe.skipIf(!inject("engine"))("docs/disaster-recovery.md", { timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-recovery-"));
  let stack: TestStack;
  let engine: StackEngine;
  let outputs: Outputs;
  let key: string;
  const values: Record<string, unknown> = {
    apiDomain: "api.torrust.test",
    httpTrackers: [{ domain: "tracker.torrust.test" }],
    udpTrackers: [{ port: 27966 }],
    httpsPort: 27643,
    grafana: true,
    grafanaDomain: "grafana.torrust.test",
    grafanaPort: 27644,
    prometheusScrapeInterval: 1,
    acme: "none",
    backup: { repository: join(folder, "repository") },
    backupPassword: "correct-horse-battery-staple",
  };

  beforeAll(async () => {
    await buildImages({ log: (line) => console.log(line) });
    engine = await findStackEngine(projectName(), name);
    stack = await TestStack.fresh(name);
    ({ outputs } = await stack.up(values));
    const made = await fetchLocal(`${outputs.urls.api}/api/v1/key/100000?token=${outputs.adminToken}`, {
      method: "POST",
    });
    ({ key } = JSON.parse(made.body.toString()) as { key: string });
    await backUp(engine, silentProgress);
  }, 1_800_000);
  afterAll(async () => {
    await stack?.down();
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  const shell = (text: string) => runHere({ command: ["sh", "-euc", text], directory: projectDir });

  /** Does what a line of the page says; the CLI's part is done in this process. */
  const run = async (line: string) => {
    const text = line.replaceAll("production", name);
    const [, program, rest] =
      /^(npm run \w+|npx tsx commands\/pulumi\.ts config|docker|rm|mv) ?(.*)$/.exec(text) ?? [];
    const setting = /^(set|rm) (?:--stack \S+ )?(?:--secret )?(\w+) ?(.*?)(?: ?--stack \S+)?$/.exec(
      rest ?? "",
    );
    switch (program) {
      case "npm run up":
        expect(rest).toMatch(/^-- --stack recovery-e2e( --refresh)?$/);
        ({ outputs } = await stack.up(values));
        return;
      case "npx tsx commands/pulumi.ts config":
        if (setting?.[1] === "set") values[setting[2]!] = await shell(`printf %s ${setting[3]}`);
        // The default asks Let's Encrypt, which does not know these names.
        else if (setting?.[2] === "acme") values.acme = "none";
        else throw new Error(`${line} is not understood`);
        return;
      case "npm run backup":
      case "npm run restore": {
        const file = `${program.slice("npm run ".length)}.ts`;
        const changes = file === "restore.ts" && !rest!.includes("config") ? ["--no-verify"] : [];
        const { code, output } = await command(file, ...rest!.replace(/^-- /, "").split(" "), ...changes);
        expect([code, output]).toEqual([0, expect.anything()]);
        return;
      }
      case "mv":
        expect(rest).toBe(".state/pulumi .state/pulumi.lost");
        stack.loseState();
        return;
      case "docker":
      case "rm":
        await shell(text);
        return;
      default:
        throw new Error(`${line} is a command that this test does not know`);
    }
  };
  const recover = async (section: string) => {
    const lines = sections.get(section) ?? [];
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) await run(line);
  };
  const expectRecovered = async () => {
    await expectVerified(outputs);
    const script = `import sqlite3; print(sqlite3.connect("file:/data/tracker/database/sqlite3.db?mode=ro", uri=True).execute("SELECT key FROM keys").fetchall())`;
    expect((await stack.exec("backup-snapshot", "python3", "-c", script)).output).toContain(key);
  };
  /** Status of Grafana's answer. */
  const logIn = async (password: string) =>
    (
      await fetchLocal(`${outputs.urls.grafana}/login`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ user: "admin", password }),
      })
    ).status;
  const remove = (service: string) => stack.container(service).remove({ force: true, v: true });

  it("has a test of each section", () => {
    expect([...sections.keys()]).toEqual([
      "A lost container",
      "A lost volume",
      "A lost machine",
      "A destroyed stack",
      "A lost state file",
      "A lost passphrase",
      "A stolen token",
    ]);
  });

  it("a lost container", async () => {
    await remove("tracker");
    await recover("A lost container");
    await expectRecovered();
  });

  it("a lost volume", async () => {
    for (const service of ["tracker", "backup-snapshot"]) await remove(service);
    await stack.docker.getVolume(outputs.volumes.tracker!).remove();
    await recover("A lost volume");
    await expectRecovered();
  });

  it("a lost machine", async () => {
    await removeEverything(stack);
    await recover("A lost machine");
    await expectRecovered();
  });

  it("a destroyed stack", async () => {
    const { grafanaAdminPassword } = outputs;
    await removeEverything(stack);
    stack.loseState();
    await recover("A destroyed stack");
    expect(outputs.grafanaAdminPassword).not.toBe(grafanaAdminPassword);
    expect(await logIn(outputs.grafanaAdminPassword!)).toBe(200);
    expect(await logIn(grafanaAdminPassword!)).toBe(401);
    await expectRecovered();
  });

  it("a lost state file", async () => {
    const { adminToken, grafanaAdminPassword } = outputs;
    stack.loseState();
    await recover("A lost state file");
    expect(outputs).toMatchObject({ adminToken, grafanaAdminPassword });
    await expectRecovered();
  });

  it("a lost passphrase", async () => {
    await recover("A lost passphrase");
    await recover("A lost state file");
    await expectRecovered();
  });

  it("a stolen token", async () => {
    const { adminToken: stolen, grafanaAdminPassword } = outputs;
    await recover("A stolen token");
    expect(outputs.adminToken).not.toBe(stolen);
    expect(await logIn(outputs.grafanaAdminPassword!)).toBe(200);
    expect(await logIn(grafanaAdminPassword!)).toBe(401);
    const { status } = await fetchLocal(`${outputs.urls.api}/api/v1/stats?token=${stolen}`);
    expect(status).not.toBe(200);
    await expectRecovered();
  });
});
