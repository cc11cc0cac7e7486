import type Docker from "dockerode";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

import { backUp } from "../../backup";
import { chooseSnapshot, listSnapshots } from "../../backup/snapshots";
import { absentWhen } from "../../docker/calls";
import { projectDir, projectName } from "../../program/project";
import { restore, type RestoreOptions } from "../../backup/restore";
import { findStackEngine, type StackEngine } from "../../docker/stack";
import { silentProgress } from "../../terminal/terminal";
import { backupPaths, databaseFolder } from "../../configs/backup";
import { unfinishedFile } from "../../configs/restore";
import { buildImages } from "../images/build";
import { announceUrl, fetchLocal } from "./support/clients";
import { apiCaOf, eventually, TestStack, type Outputs } from "./support/engine";
import { command } from "./support/command";
import { removeEverything } from "./support/damage";
import { expectVerified } from "./support/verify";

const [httpsPort, grafanaPort, httpPort, udpPort, rootsPort] = [27443, 27444, 27080, 27969, 27500];
const password = "correct-horse-battery-staple";

describe.skipIf(!inject("engine"))("backups", { timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-backup-"));
  const repository = join(folder, "repository");
  let stack: TestStack;
  let engine: StackEngine;
  let outputs: Outputs;
  let pebble: Docker.Container;
  let acmeCaCertificate: string;
  /** The root of pebble's certificates. */
  let ca: string;
  let key: string;
  const torrents = [randomBytes(20), randomBytes(20)];
  let serials: string[];

  const values = {
    apiDomain: "api.torrust.test",
    httpTrackers: [{ domain: "tracker.torrust.test" }],
    udpTrackers: [{ port: udpPort }],
    httpsPort,
    httpPort,
    grafana: true,
    grafanaDomain: "grafana.torrust.test",
    grafanaPort,
    hybrid: true,
    prometheusScrapeInterval: 1,
    // What is announced is in the database then.
    countDownloads: true,
    backup: { repository },
    backupPassword: password,
  };
  const selfSigned = { acme: "none" };
  const issued = () => ({ acme: "https://pebble:14000/dir", acmeCaCertificate });
  const up = async (changes: object) => ({ outputs } = await stack.up({ ...values, ...changes }));

  const endpoints = () => [
    `${outputs.urls.api}/api/health_check`,
    `${outputs.urls.trackers[0]}/health_check`,
    `${outputs.urls.grafana}/api/health`,
  ];
  const serialsNow = () =>
    Promise.all(endpoints().map(async (url) => (await fetchLocal(url, { ca })).certificate.serialNumber));
  const announce = (hash: Buffer) =>
    fetchLocal(announceUrl(outputs.announceUrls.http[0]!, hash, 6001), { headers: { "user-agent": "test" } });
  const orders = async () => {
    const log = (await pebble.logs({ stdout: true, stderr: true })).toString("utf8");
    return log.match(/Added order/g)?.length ?? 0;
  };
  const connectPebble = () =>
    stack.docker
      .getNetwork("torrust-pingoo-backup-e2e-edge")
      .connect({ Container: pebble.id, EndpointConfig: { Aliases: ["pebble"] } });
  const inDatabase = async (query: string) => {
    const script = `import sqlite3; print([row[0] for row in sqlite3.connect("file:/data/tracker/database/sqlite3.db?mode=ro", uri=True).execute(${JSON.stringify(query)})])`;
    return (await stack.exec("backup-snapshot", "python3", "-c", script)).output;
  };
  const known = async () => [
    await inDatabase("SELECT lower(info_hash) FROM torrents ORDER BY 1"),
    await inDatabase("SELECT key FROM keys"),
  ];
  const newest = async () => chooseSnapshot(await listSnapshots(engine), engine.prefix);
  const restoreNewest = (changes: Partial<RestoreOptions> = {}) =>
    restore({ engine, source: { kind: "snapshot" }, progress: silentProgress, ...changes });
  const startTimes = async () =>
    Promise.all(
      ["pingoo", "tracker", "grafana", "nginx", "certbot"].map(
        async (service) => (await stack.container(service).inspect()).State.StartedAt,
      ),
    );

  beforeAll(async () => {
    const images = await buildImages({ log: (line) => console.log(line) });
    engine = await findStackEngine(projectName(), "backup-e2e");
    const name = "pebble-of-torrust-pingoo-backup-e2e";
    await absentWhen(404, engine.docker.getContainer(name).remove({ force: true, v: true }));
    stack = await TestStack.fresh("backup-e2e");
    pebble = await stack.docker.createContainer({
      Image: images.pebble,
      name,
      ExposedPorts: { "15000/tcp": {} },
      HostConfig: { PortBindings: { "15000/tcp": [{ HostIp: "127.0.0.1", HostPort: String(rootsPort) }] } },
    });
    acmeCaCertificate = await apiCaOf(pebble);
    await up(selfSigned);
    await connectPebble();
    await pebble.start();
    ca = await eventually(async () =>
      (await fetchLocal(`https://pebble:${rootsPort}/roots/0`)).body.toString(),
    );
    await up(issued());
    serials = await eventually(serialsNow);
    for (const hash of torrents) await announce(hash);
    const made = await fetchLocal(`${outputs.urls.api}/api/v1/key/100000?token=${outputs.adminToken}`, {
      method: "POST",
    });
    ({ key } = JSON.parse(made.body.toString()) as { key: string });
  }, 1_800_000);
  afterAll(async () => {
    await pebble?.remove({ force: true, v: true });
    await stack?.down();
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  it("begin by themselves, and tell Prometheus", async () => {
    const query = "query?query=torrust_backup_last_success_timestamp_seconds";
    await eventually(async () => {
      const { body } = await fetchLocal(
        `${outputs.urls.grafana}/api/datasources/proxy/uid/prometheus/api/v1/${query}`,
        {
          headers: {
            authorization: `Basic ${Buffer.from(`admin:${outputs.grafanaAdminPassword}`).toString("base64")}`,
          },
        },
      );
      const { data } = JSON.parse(body.toString()) as { data: { result: { value: [number, string] }[] } };
      expect(Number(data.result[0]?.value[1])).toBeGreaterThan(1.7e9);
    });
  });

  it("show no secret to who may inspect containers", async () => {
    const inspected = JSON.stringify(await stack.container("backup").inspect());
    expect(inspected).not.toContain(password);
    expect(inspected).not.toContain(outputs.adminToken);
  });

  it("hold a sound database while clients announce", async () => {
    let [announces, stop] = [0, false];
    const announcing = (async () => {
      for (; !stop; announces++) await announce(randomBytes(20));
    })();
    await backUp(engine, silentProgress);
    stop = true;
    await announcing;
    expect(announces).toBeGreaterThan(10);
    const copy = `${backupPaths.home}/probe.db`;
    const restic = `sh ${backupPaths.script} restic dump latest ${backupPaths.home}/databases/tracker.db`;
    expect(await stack.exec("backup", "sh", "-c", `${restic} >${copy}`)).toMatchObject({ code: 0 });
    const check = `import sqlite3; d = sqlite3.connect("${copy}"); print(d.execute("PRAGMA integrity_check").fetchall(), d.execute("SELECT count(*) FROM torrents").fetchone()[0])`;
    const { output } = await stack.exec("backup-snapshot", "python3", "-c", check);
    expect(output).toMatch(/^\[\('ok',\)\] [1-9]/);
    await stack.exec("backup", "rm", copy);
    // The copies themselves do not stay.
    expect((await stack.exec("backup", "ls", `${backupPaths.home}/databases`)).output).toBe("");
  });

  it("bring everything back into an empty stack, without a new order", async () => {
    await backUp(engine, silentProgress);
    const [before, ordered] = [await known(), await orders()];
    await removeEverything(stack, pebble);
    await up(selfSigned);
    await connectPebble();
    // What the new, empty stack has is not mixed with what the old one had.
    await eventually(async () =>
      expect(await stack.logs("backup")).toMatch(
        /no backup: the repository has snapshots of an earlier stack/,
      ),
    );
    expect(await known()).not.toEqual(before);
    const { parts } = await restoreNewest();
    expect(parts).toEqual(["tls", "letsencrypt", "tracker", "grafana"]);
    await up(issued());
    expect(await eventually(serialsNow)).toEqual(serials);
    expect(await known()).toEqual(before);
    expect((await known()).join()).toContain(key);
    expect((await known()).join()).toContain(torrents[0]!.toString("hex"));
    await expectVerified(outputs, ca);
    // Pingoo orders two seconds after its start what it lacks, certbot at once.
    expect(await orders()).toBe(ordered);
    const owners = await stack.exec("backup", "stat", "-c", "%a %u:%g", "/data/tls/acme.json");
    expect(owners.output.trim()).toMatch(/^6\d\d 0:0$/);
  });

  it("replace newer data, and give it back", async () => {
    const newer = randomBytes(20);
    await backUp(engine, silentProgress);
    await announce(newer);
    await eventually(async () => expect((await known())[0]).toContain(newer.toString("hex")));
    const { parts } = await restoreNewest({ only: ["tracker"] });
    expect(parts).toEqual(["tracker"]);
    expect((await known())[0]).not.toContain(newer.toString("hex"));
    await restore({ engine, source: { kind: "replaced" }, progress: silentProgress });
    expect((await known())[0]).toContain(newer.toString("hex"));
    await expectVerified(outputs, ca);
  });

  describe("a restore", () => {
    it("asks before it touches anything", async () => {
      const before = await startTimes();
      const refused = restoreNewest({ confirm: () => Promise.reject(new Error("Nothing was changed.")) });
      await expect(refused).rejects.toThrow("Nothing was changed.");
      const { code, output } = await command("restore.ts", "--stack", stack.name);
      expect([code, output]).toEqual([2, expect.stringMatching(/run it again with --yes/)]);
      expect(await startTimes()).toEqual(before);
    });

    it("that is interrupted leaves everything as it was", async () => {
      const before = await known();
      const serial = await serialsNow();
      const interrupt = new AbortController();
      const progress = {
        ...silentProgress,
        step: () => ({
          ...silentProgress.step(""),
          update: (text: string) => text === "putting tracker in place" && interrupt.abort(),
        }),
      };
      await expect(restoreNewest({ progress, signal: interrupt.signal })).rejects.toThrow(
        /everything is as it was before: it was interrupted/,
      );
      expect(await known()).toEqual(before);
      expect(await eventually(serialsNow)).toEqual(serial);
    });

    it("that is killed loses nothing, and the next one goes on", async () => {
      const newer = randomBytes(20);
      await announce(newer);
      await eventually(async () => expect((await known())[0]).toContain(newer.toString("hex")));
      await command("restore.ts", "--stack", stack.name, "--yes", "--no-verify", async () => {
        const { code } = await stack.exec("backup", "test", "-s", unfinishedFile);
        return code === 0;
      });
      await expect(announce(newer)).rejects.toThrow();
      await restoreNewest();
      expect((await known())[0]).not.toContain(newer.toString("hex"));
      await expectVerified(outputs, ca);
      const kept = await stack.exec(
        "backup",
        "sh",
        "-c",
        `cat ${backupPaths.home}/replaced/*/tracker/sqlite3.db | grep -c -a ${newer.toString("hex")}`,
      );
      expect(Number(kept.output)).toBeGreaterThan(0);
    });

    it("writes the generated files where they are asked for", async () => {
      const { id } = await newest();
      const { code } = await command("restore.ts", "--stack", stack.name, "--only", "config");
      expect(code).toBe(0);
      const restored = join(projectDir, ".state", "restored", id.slice(0, 8));
      const file = join(restored, "config", "grafana", "etc", "grafana", "admin-password");
      expect(readFileSync(file, "utf8")).toBe(outputs.grafanaAdminPassword);
      rmSync(restored, { recursive: true });
    });
  });

  describe("a container that ends in the middle of a backup", () => {
    const locks = () => filesIn(join(repository, "locks"));
    /** Ends the container, in a way of one's own, while restic reads what takes it seconds, though it is but a hole. */
    const cutOff = async (end: () => Promise<unknown>) => {
      const large = `${databaseFolder}/large`;
      await stack.exec("backup-snapshot", "truncate", "--size", "4G", large);
      let reading = false;
      const watching = {
        ...silentProgress,
        step: () => ({
          ...silentProgress.step(""),
          update: (text: string) => void (reading ||= text.includes("%")),
        }),
      };
      const made = backUp(engine, watching).then(
        () => true,
        () => false,
      );
      await eventually(async () => expect(reading).toBe(true));
      await end();
      expect(await made).toBe(false);
      await stack.exec("backup-snapshot", "rm", "-f", large);
    };
    const start = () => stack.container("backup").start();
    const replace = async () => {
      await stack.container("backup").remove();
      await up(issued());
    };
    const expectBackup = async () => {
      await backUp(engine, silentProgress);
      expect(locks()).toEqual([]);
    };

    it("leaves no lock when it is stopped", async () => {
      await cutOff(() => stack.container("backup").stop());
      expect(locks()).toEqual([]);
      await start();
      await expectBackup();
    });

    it.each([
      ["starts again", start],
      ["is replaced", replace],
    ])("leaves one that does not matter when it is killed and %s", async (_what, goOn) => {
      await cutOff(() => stack.container("backup").kill());
      expect(locks()).not.toEqual([]);
      await goOn();
      await expectBackup();
    });
  });

  describe("what goes wrong", () => {
    it("with the password is said, and nothing is lost", async () => {
      const before = (await listSnapshots(engine)).length;
      const file = `${backupPaths.secrets}/password`;
      await stack.exec("backup", "sh", "-c", `echo another-password >${file}`);
      await expect(backUp(engine, silentProgress)).rejects.toThrow(/another password than backupPassword/);
      await expect(listSnapshots(engine)).rejects.toThrow(/another password/);
      expect(await stack.exec("backup", "cat", `${backupPaths.home}/metrics/backup.prom`)).toMatchObject({
        output: expect.stringMatching(/^torrust_backup_failures 1$/m),
      });
      await stack.exec("backup", "sh", "-c", `echo ${password} >${file}`);
      expect(await listSnapshots(engine)).toHaveLength(before);
      await backUp(engine, silentProgress);
    });

    it("with the repository's data is said before anything is touched", async () => {
      const packs = filesIn(join(repository, "data"));
      const saved = packs.map((file) => [file, readFileSync(file)] as const);
      const forgetCache = () => stack.exec("backup", "rm", "-rf", `${backupPaths.home}/cache`);
      const before = await startTimes();
      try {
        for (const [file, content] of saved) writeFileSync(file, Buffer.alloc(content.length, "X"));
        await forgetCache();
        await expect(restoreNewest()).rejects.toThrow(/nothing was touched: the repository is damaged/);
      } finally {
        for (const [file, content] of saved) writeFileSync(file, content);
        await forgetCache();
      }
      expect(await startTimes()).toEqual(before);
      await backUp(engine, silentProgress);
    });

    it("with a disk that is not mounted makes no new repository", async () => {
      await stack.exec(
        "backup",
        "sh",
        "-c",
        `mkdir -p /tmp/aside; mv ${backupPaths.repository}/* /tmp/aside/`,
      );
      await expect(backUp(engine, silentProgress)).rejects.toThrow(/is gone; is its disk mounted/);
      expect(readdirSync(repository)).toEqual([]);
      await stack.exec("backup", "sh", "-c", `mv /tmp/aside/* ${backupPaths.repository}/`);
      await backUp(engine, silentProgress);
    });
  });
});

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
