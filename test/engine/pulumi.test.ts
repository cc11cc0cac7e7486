import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { parse, stringify } from "yaml";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

import type { Outputs } from "../e2e/support/engine";
import { expectVerified } from "../e2e/support/verify";
import { buildImages } from "../images/build";
import { root } from "../unit/support/config";

/** The real CLI with its providers, from PATH. */
const hasCli = (() => {
  try {
    execFileSync("pulumi", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    console.warn("SKIPPED: the tests of the Pulumi engine, because there is no pulumi on PATH");
    return false;
  }
})();

describe.skipIf(!hasCli || !inject("engine"))("the real Pulumi engine", { timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-pulumi-"));
  const configFile = join(folder, "stack.yaml");
  const stack = "cli-test";
  const environment = {
    ...process.env,
    PULUMI_BACKEND_URL: `file://${folder}`,
    PULUMI_CONFIG_PASSPHRASE: "only for this test",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_HOME: process.env.PULUMI_HOME ?? join(process.env.HOME ?? "", ".pulumi"),
  };
  const values: Record<string, unknown> = {
    apiDomain: "api.torrust.test",
    httpTrackers: [{ domain: "tracker.torrust.test" }],
    udpTrackers: [{ port: 36969 }],
    acme: "none",
    httpsPort: 38443,
    grafana: true,
    grafanaDomain: "grafana.torrust.test",
    grafanaPort: 33443,
    publishAddresses: ["127.0.0.1"],
  };

  const pulumi = async (...args: string[]) => {
    const { stdout } = await promisify(execFile)("pulumi", [...args, "--stack", stack, "--non-interactive"], {
      cwd: root,
      env: environment,
      maxBuffer: 64 << 20,
    });
    return stdout;
  };
  const configure = (changes: Record<string, unknown>) => {
    Object.assign(values, changes);
    const current = parse(readFileSync(configFile, "utf8")) as Record<string, unknown>;
    const config = Object.fromEntries(
      Object.entries(values).map(([key, value]) => [`torrust-pingoo:${key}`, value]),
    );
    writeFileSync(configFile, stringify({ ...current, config }));
  };
  const up = () => pulumi("up", "--yes", "--skip-preview", "--config-file", configFile);
  const refresh = () => pulumi("refresh", "--yes", "--config-file", configFile);
  const unchanged = () => pulumi("preview", "--diff", "--expect-no-changes", "--config-file", configFile);
  const docker = (...args: string[]) =>
    execFileSync("docker", args, { encoding: "utf8" }).trim().split("\n").filter(Boolean);
  const containers = () =>
    Object.fromEntries(
      docker(
        "ps",
        "--no-trunc",
        "--filter",
        `name=torrust-pingoo-${stack}-`,
        "--format",
        "{{.Names}} {{.ID}}",
      ).map((line) => {
        const [name = "", id = ""] = line.split(" ");
        return [name.slice(`torrust-pingoo-${stack}-`.length), id];
      }),
    );
  const replaced = (before: Record<string, string>, after: Record<string, string>) =>
    Object.keys(before)
      .filter((service) => before[service] !== after[service])
      .sort();

  beforeAll(async () => {
    const { pebble: _, ...images } = await buildImages({ log: (line) => console.log(line) });
    // `stack init` writes the salt of its encryption into the stack's own file, which is none of the tests' business.
    const own = join(root, `Pulumi.${stack}.yaml`);
    await promisify(execFile)("pulumi", ["stack", "init", stack, "--non-interactive"], {
      cwd: root,
      env: environment,
    });
    writeFileSync(configFile, readFileSync(own, "utf8"));
    rmSync(own);
    configure({ images });
    await up();
  }, 1_800_000);

  afterAll(async () => {
    await pulumi("destroy", "--yes", "--skip-preview", "--config-file", configFile);
    rmSync(folder, { recursive: true, force: true });
    const filter = ["--filter", `name=torrust-pingoo-${stack}-`];
    expect([
      ...docker("ps", "-aq", ...filter),
      ...docker("volume", "ls", "-q", ...filter),
      ...docker("network", "ls", "-q", ...filter),
    ]).toEqual([]);
  }, 120_000);

  const settled = async () => {
    await unchanged();
    await refresh();
    await unchanged();
  };

  it("has nothing to do after up, nor after refresh", settled);

  it("runs what passes npm run verify's checks", async () => {
    const outputs = JSON.parse(await pulumi("stack", "output", "--json", "--show-secrets")) as Outputs;
    await expectVerified(outputs);
  });

  it("replaces the tracker alone when one of its settings changes", async () => {
    const before = containers();
    configure({ announceInterval: 120 });
    await up();
    expect(replaced(before, containers())).toEqual(["tracker"]);
  });

  it("keeps the tracker when Grafana moves, and settles again", async () => {
    const before = containers();
    configure({ grafanaOnHttps: true });
    await up();
    expect(replaced(before, containers())).toEqual(["grafana", "pingoo", "prometheus"]);
    await settled();
  });

  it("settles with MySQL and IPv6", async () => {
    configure({ database: "mysql", ipv6: true });
    await up();
    await settled();
  });

  it("puts back what was removed by hand", async () => {
    docker("rm", "--force", `torrust-pingoo-${stack}-pingoo`);
    await refresh();
    await up();
    expect(Object.keys(containers())).toContain("pingoo");
  });

  it("keeps secrets out of the state's plain text and of what it shows", async () => {
    const secrets = JSON.parse(await pulumi("stack", "output", "--json", "--show-secrets")) as Record<
      string,
      string
    >;
    const shown = [await pulumi("stack", "output", "--json"), await pulumi("stack", "export")].join();
    for (const name of ["adminToken", "grafanaAdminPassword"]) {
      expect(secrets[name]).toMatch(/^[A-Za-z0-9]{32,}$/);
      expect(shown).not.toContain(secrets[name]);
    }
  });

  it("says what is wrong with the configuration before anything changes", async () => {
    const before = containers();
    configure({ httpsPort: 0, apiDomain: "*.torrust.test" });
    const said = await unchanged().then(
      String,
      ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
    );
    expect(said).toMatch(/has 2 problems:\n +- apiDomain: .*wildcard.*\n +- httpsPort: 0 is out of range/);
    expect(said).not.toContain("at Object.<anonymous>");
    configure({ httpsPort: 38443, apiDomain: "api.torrust.test" });
    expect(containers()).toEqual(before);
  });
});
