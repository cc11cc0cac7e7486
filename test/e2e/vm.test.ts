import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, vi } from "vitest";

import { probe } from "../../bench/probe";
import { restartPolicy } from "../../components/service";
import { renderCloudInit } from "../../configs/cloud-init";
import { readScript } from "../../scripts";
import { sshArguments, sshOptions, type SshTarget } from "../../configs/ssh-client";
import { sshKeyPair } from "../../configs/ssh-key";
import { waitForEngine } from "../../gates/engine";
import { buildImages } from "../images/build";
import { ensureVmImage, vmImage } from "../images/vm";
import { ContainerMachines, run, whyNoMachines } from "../stand-ins/hetzner/machines";
import { announceUrl, fetchLocal } from "./support/clients";
import { command } from "./support/command";
import { eventually, TestStack, type Outputs } from "./support/engine";

const obstacle = inject("engine") ? whyNoMachines() : "no Docker engine answers";
if (obstacle) console.warn(`SKIPPED: the boot of a machine with our user data, because ${obstacle}`);

describe.skipIf(obstacle)("a machine that boots with our user data", { timeout: 120_000 }, () => {
  const hostKey = sshKeyPair(Buffer.alloc(32, 42));
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-vm-test-"));
  const keyFile = join(folder, "key");
  const machines = new ContainerMachines({
    name: "torrust-pingoo-vm-test",
    subnet: "10.213.51.0/24",
    subnet6: "fd66:7069:6e67:51::/64",
  });
  const [server, volume] = [1, 4711];
  const target: SshTarget = {
    host: machines.ipv4[0]!,
    port: 22,
    user: "root",
    hostKey: hostKey.publicKey,
    keyFile,
  };
  const userData = renderCloudInit({
    hostKey,
    volumeDevice: `/dev/disk/by-id/scsi-0HC_Volume_${volume}`,
    script: readScript,
  });
  const ssh = (line: string, options: Partial<SshTarget> & { input?: string } = {}) => {
    const { input, ...changes } = options;
    return spawnSync("ssh", [...sshArguments({ ...target, ...changes }), line], {
      encoding: "utf8",
      input,
    });
  };
  const inside = (line: string) => ssh(line).stdout.trim();
  /** Lets programs find the machine as the user's own ~/.ssh/config would. */
  const reachable = () => {
    const bin = join(folder, "bin");
    mkdirSync(bin, { recursive: true });
    const options = sshOptions(target).map((word) => `'${word}'`);
    writeFileSync(join(bin, "ssh"), `#!/bin/sh\nexec /usr/bin/ssh ${options.join(" ")} "$@"\n`, {
      mode: 0o755,
    });
    vi.stubEnv("PATH", `${bin}:${process.env.PATH}`);
  };
  const dockerHost = `ssh://root@${target.host}:22`;
  let stack: TestStack;
  let outputs: Outputs;

  beforeAll(async () => {
    await ensureVmImage((line) => console.log(line));
    await run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keyFile);
    await machines.open();
    await machines.createVolume(volume, 1);
    await machines.create({
      server,
      name: "vm",
      userData,
      publicKeys: [(await run("cat", `${keyFile}.pub`)).trim()],
      ipv4: target.host,
      ipv6: "fd66:7069:6e67:51::1",
    });
    // As with Hetzner: the volume comes after the server.
    await machines.attach(server, volume);
    await waitForEngine({ target, setsItselfUp: true, timeout: 120 });
  }, 900_000);

  afterAll(async () => {
    await machines.close();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  afterEach(() => void vi.unstubAllEnvs());

  it("has user data of which cloud-init understands every word", () => {
    const check = (text: string) =>
      spawnSync(
        "docker",
        [
          "run",
          "--rm",
          "--interactive",
          "--entrypoint",
          "cloud-init",
          vmImage,
          "schema",
          "--config-file",
          "/dev/stdin",
        ],
        {
          encoding: "utf8",
          input: text,
        },
      );
    expect(check(userData)).toMatchObject({ status: 0, stdout: expect.stringContaining("Valid") });
    expect(check(userData.replace("disable_root: false", "disable_root: perhaps")).status).not.toBe(0);
  });

  it("has set itself up without an error", () => {
    expect(inside("cloud-init status")).toBe("status: done");
    expect(inside("systemctl --failed --no-legend")).toBe("");
  });

  it("is reached with its own key alone", () => {
    expect(ssh("true").status).toBe(0);
    const other = sshKeyPair(Buffer.alloc(32, 43)).publicKey;
    expect(ssh("true", { hostKey: other })).toMatchObject({
      status: 255,
      stderr: expect.stringContaining("Host key verification failed"),
    });
    expect(inside("ls /etc/ssh/ssh_host_*")).toBe(
      "/etc/ssh/ssh_host_ed25519_key\n/etc/ssh/ssh_host_ed25519_key.pub",
    );
  });

  it("lets nobody in by password, nor with another key", async () => {
    const methods = [
      "-o",
      "PreferredAuthentications=password,keyboard-interactive",
      "-o",
      "PubkeyAuthentication=no",
    ];
    const byPassword = spawnSync("ssh", [...methods, ...sshArguments(target), "true"], { encoding: "utf8" });
    expect(byPassword).toMatchObject({
      status: 255,
      stderr: expect.stringContaining("Permission denied (publickey)"),
    });
    await run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", join(folder, "stranger"));
    expect(ssh("true", { keyFile: join(folder, "stranger") }).stderr).toContain("Permission denied");
    expect(inside("passwd --status root")).toMatch(/^root L /);
  });

  it("runs a container for a Docker client over SSH, and publishes its port", () => {
    const image = "tar -C / -c bin/busybox | docker import - tiny:1";
    expect(ssh(image).status).toBe(0);
    writeFileSync(join(folder, "index.html"), "");
    const serve = "/bin/busybox sh -c 'echo served > /index.html; exec /bin/busybox httpd -f -p 80'";
    expect(ssh(`docker run -d --init -p 8080:80 tiny:1 ${serve}`).status).toBe(0);
    const page = spawnSync(
      "docker",
      [
        "run",
        "--rm",
        "--network",
        "torrust-pingoo-vm-test",
        "--entrypoint",
        "busybox",
        vmImage,
        "wget",
        "-qO-",
        `http://${target.host}:8080/`,
      ],
      { encoding: "utf8" },
    );
    expect(page.stdout).toBe("served\n");
  });

  it("gives containers IPv6", () => {
    expect(ssh("docker network create --ipv6 --subnet fd00:51::/64 six").status).toBe(0);
    expect(inside("ip6tables -t nat -S | grep -c fd00:51::/64")).toBe("1");
  });

  it("has its stack deployed, backed up and restored over SSH", async () => {
    const { pingoo, tracker, restic, python } = await buildImages();
    reachable();
    const load = `docker save ${[pingoo, tracker, restic, python].join(" ")} | ssh root@${target.host} docker load`;
    await run("sh", "-c", load);
    vi.stubEnv("DOCKER_HOST", dockerHost);
    stack = await TestStack.fresh("vm-e2e");
    // In this process, as if the engine were here: the Docker provider's part has a test of its own.
    vi.stubEnv("DOCKER_HOST", "");
    ({ outputs } = await stack.up({
      apiDomain: "api.torrust.test",
      httpTrackers: [{ domain: "tracker.torrust.test" }],
      acme: "none",
      prometheus: false,
      pingooListeners: 1,
      publishAddresses: ["0.0.0.0"],
      backup: { repository: "/srv/repository" },
      backupPassword: "correct-horse-battery-staple",
    }));
    vi.stubEnv("DOCKER_HOST", dockerHost);
    const file = `/var/lib/docker/volumes/${outputs.volumes.tls}/_data/file`;
    const succeeds = async (...args: string[]) => {
      const { code, output } = await command(args[0]!, ...args.slice(1), "--stack", stack.name);
      expect([code, output]).toEqual([0, expect.anything()]);
      return output;
    };
    inside(`echo first > ${file}`);
    await succeeds("backup.ts");
    expect(await succeeds("backup.ts", "--list")).toMatch(/^[0-9a-f]{8} /m);
    inside(`echo second > ${file}`);
    await succeeds("restore.ts", "--only", "tls", "--yes", "--no-verify");
    expect(inside(`cat ${file}`)).toBe("first");
  }, 300_000);

  it.each([
    ["was restarted", "systemctl restart docker"],
    ["was killed", "kill -KILL $(pidof dockerd)"],
  ])("answers those who announce again once its engine %s", async (what, how) => {
    const announce = announceUrl(outputs.announceUrls.http[0]!, randomBytes(20), 6001);
    const answers = async () => (await fetchLocal(announce, { address: target.host })).status === 200;
    await eventually(async () => expect(await answers()).toBe(true));
    const { end } = probe(answers);
    // Nobody waits for it: clients go on.
    const there = (line: string) => run("ssh", ...sshArguments(target), line).catch(() => "");
    const running = () =>
      there("docker inspect --format '{{.Name}} {{.State.StartedAt}}' $(docker ps -q --filter name=vm-e2e)");
    const names = (lines: string) =>
      lines
        .split("\n")
        .map((line) => line.split(" ")[0])
        .sort();
    const before = await running();
    await there(how);
    await eventually(async () => {
      const now = await running();
      expect(names(now)).toEqual(names(before));
      for (const line of before.split("\n")) expect(now).not.toContain(line);
      expect(await answers()).toBe(true);
    });
    const { failures, gap } = await end();
    expect(failures).toBeGreaterThan(0);
    console.log(`Docker engine ${what}: no answer for ${(gap / 1000).toFixed(1)} s`);
  });

  it("goes when it is asked to, over SSH too", async () => {
    reachable();
    await stack.down();
    expect(inside("docker ps --all --quiet --filter name=vm-e2e")).toBe("");
  });

  it("keeps Docker's volumes on the data volume", () => {
    expect(inside("findmnt -no SOURCE,FSTYPE /srv/torrust")).toMatch(/scsi-0HC_Volume_4711\s+ext4/);
    expect(
      ssh("docker volume create kept && echo data > /var/lib/docker/volumes/kept/_data/file").status,
    ).toBe(0);
    expect(inside("cat /srv/torrust/volumes/kept/_data/file")).toBe("data");
    expect(inside("docker volume ls -q | grep lost")).toBe("");
  });

  it("has its services again after the engine was killed", async () => {
    const service = `docker run -d --name service --restart ${restartPolicy} tiny:1 /bin/busybox sleep 3600`;
    expect(ssh(service).status).toBe(0);
    const started = () => inside("docker inspect --format '{{.State.Running}} {{.State.StartedAt}}' service");
    const before = started();
    inside("kill -KILL $(pidof dockerd)");
    await eventually(async () => {
      expect(started()).toMatch(/^true /);
      expect(started()).not.toBe(before);
    });
  });

  it("has a short memory for UDP", () => {
    expect(
      inside(
        "sysctl -n net.netfilter.nf_conntrack_udp_timeout net.netfilter.nf_conntrack_udp_timeout_stream",
      ),
    ).toBe("10\n15");
  });

  it("updates itself", () => {
    expect(inside("apt-config dump | grep -E 'Unattended-Upgrade|Automatic-Reboot ' | sort")).toContain(
      'APT::Periodic::Unattended-Upgrade "1";',
    );
    expect(inside("systemctl is-enabled unattended-upgrades systemd-timesyncd docker")).toBe(
      "enabled\nenabled\nenabled",
    );
  });

  it("comes back with its data and a larger volume after it was switched off", async () => {
    await machines.stop(server);
    await machines.resizeVolume(volume, 2);
    await machines.start(server);
    await waitForEngine({ target, setsItselfUp: true, timeout: 120 });
    expect(inside("cat /var/lib/docker/volumes/kept/_data/file")).toBe("data");
    expect(Number(inside("df --output=size -k /srv/torrust | tail -1"))).toBeGreaterThan(1.8 * 1024 * 1024);
  });
});
