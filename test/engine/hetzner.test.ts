import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

import type { Outputs } from "../e2e/support/engine";
import { expectVerified } from "../e2e/support/verify";
import { buildImages } from "../images/build";
import { ensureVmImage } from "../images/vm";
import { HetznerApi } from "../stand-ins/hetzner/api";
import { ContainerMachines, run, whyNoMachines } from "../stand-ins/hetzner/machines";
import { CliStack, hasPulumi } from "./support/cli";

const obstacle = !hasPulumi()
  ? "there is no pulumi on PATH"
  : inject("engine")
    ? whyNoMachines()
    : "no Docker engine answers";
if (obstacle)
  console.warn(`SKIPPED: the real Pulumi engine on a stand-in for Hetzner Cloud, because ${obstacle}`);

describe.skipIf(obstacle)("the real Pulumi engine on Hetzner Cloud", { timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-hetzner-"));
  const token = "t".repeat(64);
  const zone = "torrust-demo.com";
  const machines = new ContainerMachines({
    name: "torrust-pingoo-hetzner",
    subnet: "10.213.52.0/24",
    subnet6: "fd66:7069:6e67:52::/64",
    preload: folder,
  });
  const api = new HetznerApi({
    token,
    machines,
    ipv4: machines.ipv4,
    ipv6: machines.ipv6,
    zones: [zone],
    actionTime: 200,
  });
  let stack: CliStack;
  let endpoint: string;
  let publicKey: string;
  const machine = () => api.list("servers")[0]!;
  const inMachine = (...command: string[]) => machines.exec(machine().id as number, ...command);
  const engine = (...args: string[]) => inMachine("docker", ...args);
  const certificates = "/var/lib/docker/volumes/torrust-pingoo-hetzner-test-tls/_data";
  const marker = `${certificates}/marker`;
  const configure = (values: object = {}, hetzner: object = {}) =>
    stack.configure({
      "hcloud:token": token,
      "hcloud:endpoint": endpoint,
      "hcloud:pollInterval": "100ms",
      target: "hetzner",
      sshKeyFile: join(folder, "key"),
      acme: "none",
      apiDomain: `api.${zone}`,
      httpTrackers: [{ domain: `tracker.${zone}` }],
      udpTrackers: [{ port: 6969, domain: `udp.${zone}` }],
      prometheus: false,
      publishAddresses: ["0.0.0.0", "::"],
      hetzner: { sshKeys: [publicKey], sshAllowedFrom: ["10.213.52.1/32"], dnsZone: zone, ...hetzner },
      ...values,
    });
  /** A change that no server survives. */
  const another = { image: "debian-12", serverType: "cax11", protectServer: false };
  const failure = (doing: Promise<unknown>) =>
    doing.then(
      () => "it worked",
      ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
    );
  const settled = async () => {
    await stack.unchanged();
    await stack.refresh();
    await stack.unchanged();
  };

  beforeAll(async () => {
    const log = (line: string) => console.log(line);
    const [images] = await Promise.all([
      buildImages({ only: ["pingoo", "guardBase", "nginx", "tracker"], log }),
      ensureVmImage(log),
    ]);
    const preloaded = [images.pingoo, images.guardBase, images.nginx, images.tracker];
    await run("docker", "save", "--output", join(folder, "images.tar"), ...preloaded);
    await run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@laptop", "-f", join(folder, "key"));
    publicKey = await run("cat", join(folder, "key.pub"));
    await machines.open();
    endpoint = await api.start();
    stack = await CliStack.fresh("hetzner-test");
  }, 1_800_000);

  afterAll(async () => {
    await api.stop();
    await machines.close();
    stack.forget();
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  it("says that the token is wrong", async () => {
    configure({ "hcloud:token": "x".repeat(64) });
    expect(await failure(stack.up())).toContain("unable to authenticate");
  });

  it("goes on where it was interrupted, through quota, locks and rate limits", async () => {
    configure();
    api.fail(/^POST \/volumes\/\d+\/actions\/attach/, 403, "resource_limit_exceeded");
    api.fail(/^POST \/servers$/, 429, "rate_limit_exceeded", 2);
    expect(await failure(stack.up())).toContain("resource_limit_exceeded");
    const { id } = machine();
    api.fail(/^POST \/volumes\/\d+\/actions\/attach/, 409, "locked");
    await stack.up();
    expect(machine().id).toBe(id);
  });

  it("has made a machine with its addresses, volume, firewall and records", async () => {
    expect(api.list("servers")).toMatchObject([{ name: "torrust-pingoo-hetzner-test", status: "running" }]);
    expect(api.list("volumes")).toMatchObject([{ size: 10, server: machine().id }]);
    expect(api.list("primary_ips").map(({ dns_ptr }) => dns_ptr[0].dns_ptr)).toEqual([
      `udp.${zone}`,
      `udp.${zone}`,
    ]);
    const rules = api.list("firewalls")[0]!.rules as { protocol: string; port: string | null }[];
    const open = ["icmp null", "tcp 22", "tcp 443", "udp 6969"];
    expect(rules.map(({ protocol, port }) => `${protocol} ${port}`).sort()).toEqual(open);
    const [ipv4, ipv6] = [machines.ipv4[0], "fd66:7069:6e67:52::1"];
    expect(api.records(zone)).toEqual([
      `api A ${ipv4}`,
      `api AAAA ${ipv6}`,
      `tracker A ${ipv4}`,
      `tracker AAAA ${ipv6}`,
      'tracker TXT "BITTORRENT TCP:443"',
      `udp A ${ipv4}`,
      `udp AAAA ${ipv6}`,
      'udp TXT "BITTORRENT UDP:6969"',
    ]);
  });

  it("has nothing to do after up, nor after refresh", settled);

  it("runs what passes npm run verify's checks", async () => {
    await expectVerified(await stack.outputs());
  });

  it("prints a command that logs in", async () => {
    const { ssh } = (await stack.outputs()) as Outputs & { ssh: string };
    expect(execFileSync("sh", ["-c", `${ssh} hostname`], { encoding: "utf8" }).trim()).toBe(
      "torrust-pingoo-hetzner-test",
    );
  });

  it("keeps the machine's key out of the state's plain text", async () => {
    const state = await stack.pulumi("stack", "export");
    expect(api.userDataOf(machine().id as number)).toContain("OPENSSH PRIVATE KEY");
    expect(state).not.toContain("OPENSSH PRIVATE KEY");
    expect(state).toContain("hcloud:index/server:Server");
  });

  it("finds its data and addresses again when the server is replaced", async () => {
    const before = { id: machine().id, ips: api.list("primary_ips").map(({ ip }) => ip) };
    const checksums = () =>
      inMachine("sh", "-c", `echo kept > ${marker} && cd ${certificates} && sha256sum *`);
    const sums = await checksums();
    configure({ protectData: true }, another);
    await stack.up();
    expect(machine().id).not.toBe(before.id);
    expect(api.list("primary_ips").map(({ ip }) => ip)).toEqual(before.ips);
    expect(await checksums()).toBe(sums);
    expect((await engine("ps", "--format", "{{.Names}}")).split("\n").sort()).toEqual([
      "torrust-pingoo-hetzner-test-door",
      "torrust-pingoo-hetzner-test-pingoo",
      "torrust-pingoo-hetzner-test-tracker",
    ]);
    await stack.unchanged();
  });

  it("does not order certificates for names that lead elsewhere, and lists the records", async () => {
    configure({ protectData: true, acme: "letsencrypt-staging", hostTimeout: 10 }, another);
    const before = await engine("ps", "--quiet", "--filter", "name=pingoo-hetzner-test-pingoo");
    const said = await failure(stack.up());
    expect(said).toMatch(
      /not lead to the host yet\.\n *Create these records:\n +api\.torrust-demo\.com\. 300 IN A 10\.213\.52\.10/,
    );
    expect(await engine("ps", "--quiet", "--filter", "name=pingoo-hetzner-test-pingoo")).toBe(before);
  });

  it("destroys all but what is protected", async () => {
    configure({ protectData: true }, another);
    expect(await failure(stack.destroy())).toContain("is protected");
    expect(machine().status).toBe("running");
    await stack.destroy("--exclude-protected");
    expect(api.list("servers")).toEqual([]);
    expect(api.list("firewalls")).toEqual([]);
    expect(api.records(zone)).toEqual([]);
    expect(api.list("volumes")).toMatchObject([{ size: 10, server: null, protection: { delete: true } }]);
    expect(api.list("primary_ips")).toHaveLength(2);
  });

  it("comes back with its data, and goes entirely when the protection is lifted", async () => {
    configure();
    await stack.up();
    expect(await inMachine("cat", marker)).toBe("kept");
    await stack.destroy();
    const kinds = ["servers", "volumes", "primary_ips", "ssh_keys", "firewalls"] as const;
    expect(kinds.map((kind) => api.list(kind))).toEqual([[], [], [], [], []]);
  });
});
