import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

import { backUp } from "../../backup";
import { listSnapshots } from "../../backup/snapshots";
import { absentWhen } from "../../docker/calls";
import { restore } from "../../backup/restore";
import { execIn, findStackEngine, type StackEngine } from "../../docker/stack";
import { projectName } from "../../program/project";
import { silentProgress } from "../../terminal/terminal";
import { backupPaths } from "../../configs/backup";
import { buildImages } from "../images/build";
import { eventually, TestStack } from "./support/engine";

describe.skipIf(!inject("engine"))("backups over SFTP, of MySQL", { timeout: 300_000 }, () => {
  const name = "backup-sftp-e2e";
  let stack: TestStack;
  let engine: StackEngine;
  let storage: Docker.Container;
  const inStorage = async (...command: string[]) => (await execIn(stack.docker, storage.id, command)).stdout;

  beforeAll(async () => {
    const images = await buildImages({ log: (line) => console.log(line) });
    engine = await findStackEngine(projectName(), name);
    const server = `storage-of-torrust-pingoo-${name}`;
    await absentWhen(404, engine.docker.getContainer(server).remove({ force: true, v: true }));
    stack = await TestStack.fresh(name);
    // A disk of its own, to be filled.
    await absentWhen(404, engine.docker.getVolume(`torrust-pingoo-${name}-backup`).remove());
    await engine.docker.createVolume({
      Name: `torrust-pingoo-${name}-backup`,
      DriverOpts: { type: "tmpfs", device: "tmpfs", o: "size=8m" },
      Labels: { "torrust-pingoo.role": "backup", "torrust-pingoo.stack": `torrust-pingoo-${name}` },
    });
    storage = await stack.docker.createContainer({
      Image: images.restic,
      name: server,
      Entrypoint: ["/bin/sh", "-c"],
      Cmd: [
        `ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key && ssh-keygen -q -t ed25519 -N '' -f /root/key &&
        mkdir -p -m 700 /root/.ssh && cp /root/key.pub /root/.ssh/authorized_keys &&
        exec /usr/sbin/sshd -D -e -o Subsystem='sftp internal-sftp' -f /dev/null`,
      ],
      HostConfig: { Tmpfs: { "/repository": "size=8m" } },
    });
    await storage.start();
    const hostKey = await eventually(async () => {
      const text = await inStorage("cat", "/etc/ssh/ssh_host_ed25519_key.pub");
      expect(text).toMatch(/^ssh-ed25519 /);
      return text;
    });
    await stack.up({
      apiDomain: "api.torrust.test",
      httpTrackers: [{ domain: "tracker.torrust.test" }],
      udpTrackers: [{ port: 27968 }],
      httpsPort: 27543,
      acme: "none",
      prometheus: false,
      database: "mysql",
      backup: { repository: "sftp:root@storage:/repository/torrust", knownHosts: `storage ${hostKey}` },
      backupPassword: "correct-horse-battery-staple",
      backupSshKey: await eventually(async () => {
        const text = await inStorage("cat", "/root/key");
        expect(text).toMatch(/^-----BEGIN/);
        return text;
      }),
    });
    await stack.docker
      .getNetwork(`torrust-pingoo-${name}-edge`)
      .connect({ Container: storage.id, EndpointConfig: { Aliases: ["storage"] } });
  }, 1_800_000);
  afterAll(async () => {
    await storage?.remove({ force: true, v: true });
    await stack?.down();
    await absentWhen(404, engine.docker.getVolume(`torrust-pingoo-${name}-backup`).remove());
  }, 120_000);

  const sql = async (statement: string) => {
    const options = "--defaults-extra-file=/etc/torrust-backup/mysql.cnf";
    const { code, output } = await stack.exec(
      "backup-dump",
      "mysql",
      options,
      "torrust_tracker",
      "-N",
      "-e",
      statement,
    );
    expect([code, output]).toEqual([0, expect.anything()]);
    return output.trim();
  };
  const addTorrent = (hash: string) =>
    sql(`INSERT INTO torrents (info_hash, completed) VALUES ('${hash}', 3)`);
  const torrents = () => sql("SELECT info_hash FROM torrents ORDER BY info_hash");

  it("restore the database as it was, and take that back", async () => {
    await addTorrent("a".repeat(40));
    await backUp(engine, silentProgress);
    await addTorrent("b".repeat(40));
    const options = { engine, progress: silentProgress };
    const { parts } = await restore({ ...options, source: { kind: "snapshot" } });
    expect(parts).toEqual(["tls", "tracker"]);
    expect(await torrents()).toBe("a".repeat(40));
    await restore({ ...options, source: { kind: "replaced" }, only: ["tracker"] });
    expect(await torrents()).toBe(`${"a".repeat(40)}\n${"b".repeat(40)}`);
  });

  it("say when the disk here is full, and touch nothing", async () => {
    const full = `${backupPaths.home}/full`;
    await stack.exec("backup", "sh", "-c", `cat /dev/zero >${full}`);
    await expect(backUp(engine, silentProgress)).rejects.toThrow(/cannot be written; is its disk full/);
    const restored = restore({ engine, source: { kind: "snapshot" }, progress: silentProgress });
    await expect(restored).rejects.toThrow(/nothing was touched: the disk is full/);
    await stack.exec("backup", "rm", full);
    await backUp(engine, silentProgress);
  });

  it("say when the disk over there is full, and lose nothing", async () => {
    const before = await listSnapshots(engine);
    await inStorage("sh", "-c", "cat /dev/zero >/repository/full");
    await addTorrent("c".repeat(40));
    await expect(backUp(engine, silentProgress)).rejects.toThrow(/a full disk/);
    await inStorage("rm", "/repository/full");
    expect(await listSnapshots(engine)).toEqual(before);
    await backUp(engine, silentProgress);
    expect(await inStorage("ls", "/repository/torrust/locks")).toBe("");
  });

  it("say when the server is another than the known one", async () => {
    await stack.exec("backup", "sh", "-c", "sed -i s/AAAA/AAAB/ /etc/torrust-backup/known_hosts");
    await expect(listSnapshots(engine)).rejects.toThrow(/backup\.knownHosts/);
  });
});
