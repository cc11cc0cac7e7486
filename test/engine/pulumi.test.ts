import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

import { projectDir } from "../../program/project";
import { expectVerified } from "../e2e/support/verify";
import { buildImages } from "../images/build";
import { CliStack, hasPulumi } from "./support/cli";

const hasCli = hasPulumi();
if (!hasCli) console.warn("SKIPPED: the tests of the Pulumi engine, because there is no pulumi on PATH");

describe.skipIf(!hasCli || !inject("engine"))("the real Pulumi engine", { timeout: 300_000 }, () => {
  const name = "cli-test";
  let stack: CliStack;
  const values: Record<string, unknown> = {
    apiDomain: "api.torrust.test",
    httpTrackers: [{ domain: "tracker.torrust.test" }],
    udpTrackers: [{ port: 36969 }],
    acme: "none",
    httpsPort: 38443,
    httpPort: 38080,
    grafana: true,
    grafanaDomain: "grafana.torrust.test",
    grafanaPort: 33443,
  };
  const configure = (changes: Record<string, unknown>) => stack.configure(Object.assign(values, changes));
  const docker = (...args: string[]) =>
    execFileSync("docker", args, { encoding: "utf8" }).trim().split("\n").filter(Boolean);
  const containers = () =>
    Object.fromEntries(
      docker(
        "ps",
        "--no-trunc",
        "--filter",
        `name=torrust-pingoo-${name}-`,
        "--format",
        "{{.Names}} {{.ID}}",
      ).map((line) => {
        const [container = "", id = ""] = line.split(" ");
        return [container.slice(`torrust-pingoo-${name}-`.length), id];
      }),
    );
  const replaced = (before: Record<string, string>, after: Record<string, string>) =>
    Object.keys(before)
      .filter((service) => before[service] !== after[service])
      .sort();

  beforeAll(async () => {
    await buildImages({ log: (line) => console.log(line) });
    stack = await CliStack.fresh(name);
    configure({});
    await stack.up();
  }, 1_800_000);

  afterAll(async () => {
    await stack.down();
    expect(stack.leftovers()).toEqual([]);
  }, 120_000);

  const settled = async () => {
    await stack.unchanged();
    await stack.refresh();
    await stack.unchanged();
  };

  it("has nothing to do after up, nor after refresh", settled);

  it("keeps to the policy pack, which advises to protect the data", async () => {
    const said = await stack.preview("--policy-pack", join(projectDir, "policy"));
    expect(said).toMatch(/protected-data/);
    expect(said).not.toMatch(/mandatory/);
  });

  it("runs what passes npm run verify's checks", async () => {
    await expectVerified(await stack.outputs());
  });

  it("replaces the tracker alone when one of its settings changes", async () => {
    const before = containers();
    configure({ announceInterval: 120 });
    await stack.up();
    expect(replaced(before, containers())).toEqual(["tracker"]);
  });

  it("gives the tracker more memory while it runs", async () => {
    const before = containers();
    configure({ trackerMemory: 4096 });
    await stack.up();
    // Prometheus' alert names the limit.
    expect(replaced(before, containers())).toEqual(["prometheus"]);
    const memory = docker("inspect", "--format", "{{.HostConfig.Memory}}", `torrust-pingoo-${name}-tracker`);
    expect(memory).toEqual([String(4096 * 2 ** 20)]);
    await settled();
  });

  it("keeps the tracker when Grafana moves, and settles again", async () => {
    const before = containers();
    configure({ grafanaOnHttps: true });
    await stack.up();
    expect(replaced(before, containers())).toEqual(["grafana", "pingoo", "prometheus"]);
    await settled();
  });

  it.each([
    ["to hybrid", { grafanaOnHttps: false, hybrid: true }],
    ["back", { hybrid: false }],
    ["to nginx", { tlsProxy: "nginx" }],
    ["to hybrid", { tlsProxy: "pingoo", hybrid: true }],
    ["to nginx again", { tlsProxy: "nginx", hybrid: false }],
    ["back", { tlsProxy: "pingoo" }],
    ["to plain HTTP too", { httpTrackers: [{ domain: "tracker.torrust.test", plainHttp: true }] }],
    ["to no public API", { apiDomain: "" }],
    ["back to an API", { apiDomain: "api.torrust.test" }],
  ])("switches %s without touching the tracker, and settles", async (_way, changes) => {
    const { tracker } = containers();
    configure(changes);
    await stack.up();
    expect(containers().tracker).toBe(tracker);
    await settled();
  });

  it("settles with MySQL and IPv6", async () => {
    configure({ database: "mysql", ipv6: true });
    await stack.up();
    await settled();
  });

  it("puts back what was removed by hand", async () => {
    docker("rm", "--force", `torrust-pingoo-${name}-pingoo`);
    await stack.refresh();
    await stack.up();
    expect(Object.keys(containers())).toContain("pingoo");
  });

  it("puts right what was stopped or limited by hand", async () => {
    const [tracker, prometheus] = ["tracker", "prometheus"].map(
      (service) => `torrust-pingoo-${name}-${service}`,
    );
    const limits = () => docker("inspect", "--format", "{{.HostConfig.Memory}}", tracker!)[0];
    const before = limits();
    docker("update", "--memory", "64m", "--memory-swap", "64m", tracker!);
    docker("stop", prometheus!);
    await stack.refresh();
    await stack.up();
    expect(limits()).toBe(before);
    await expectVerified(await stack.outputs());
    await settled();
  });

  it("keeps secrets out of the state's plain text and of what it shows", async () => {
    const { adminToken, grafanaAdminPassword } = await stack.outputs();
    const shown = [
      await stack.pulumi("stack", "output", "--json"),
      await stack.pulumi("stack", "export"),
    ].join();
    for (const secret of [adminToken, grafanaAdminPassword]) {
      expect(secret).toMatch(/^[A-Za-z0-9]{32,}$/);
      expect(shown).not.toContain(secret);
    }
  });

  it("says what is wrong with the configuration before anything changes", async () => {
    const before = containers();
    configure({ httpsPort: 0, apiDomain: "*.torrust.test" });
    const said = await stack
      .unchanged()
      .then(String, ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr);
    expect(said).toMatch(/has 2 problems:\n +- apiDomain: .*wildcard.*\n +- httpsPort: 0 is out of range/);
    expect(said).not.toContain("at Object.<anonymous>");
    configure({ httpsPort: 38443, apiDomain: "api.torrust.test" });
    expect(containers()).toEqual(before);
  });
});
