import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";

import { CommandError } from "../../../terminal/terminal";
import { main } from "../../../commands/verify";
import { authority, names, password, startDeployment, token } from "./support/deployment";

let folder: string;
let deployment: Awaited<ReturnType<typeof startDeployment>>;
let outputs: string;
let ca: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "verify-"));
  deployment = await startDeployment();
  outputs = join(folder, "outputs.json");
  ca = join(folder, "ca.pem");
  writeFileSync(outputs, JSON.stringify(deployment.outputs));
  writeFileSync(ca, authority.cert);
});
afterAll(async () => {
  await deployment.close();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(() => void vi.restoreAllMocks());

/** Runs the command and returns its exit code and what it wrote. */
async function run(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<{ code: number; stdout: string; stderr: string; error?: string }> {
  const written = { stdout: "", stderr: "" };
  vi.spyOn(process.stdout, "write").mockImplementation((text) => ((written.stdout += String(text)), true));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => ((written.stderr += String(text)), true));
  try {
    return { code: await main(args, environment), ...written };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { code: error.exitCode, ...written, error: error.message };
  } finally {
    vi.restoreAllMocks();
  }
}

const quick = ["--skip", "exposure,dns"];

describe("npm run verify", () => {
  it("prints a table and ends with 0", async () => {
    const { code, stdout, stderr } = await run(["--outputs", outputs, "--ca", ca, ...quick]);
    expect(code).toBe(0);
    expect(stdout).toContain("All that was tried holds: ");
    expect(stdout).toContain("✓ 4 Grafana (WebSocket)");
    expect(stderr).toContain("✓ verify: ");
    expect(stdout + stderr).not.toContain(token);
    expect(stdout + stderr).not.toContain(password);
  });

  it("prints one JSON object with --json, writes JUnit, and ends with 1 when something fails", async () => {
    const junit = join(folder, "junit.xml");
    const { code, stdout } = await run(["--outputs", outputs, "--json", "--junit", junit, ...quick]);
    expect(code).toBe(1);
    const report = JSON.parse(stdout) as { ok: boolean; checks: { kind: string; status: string }[] };
    expect(report.ok).toBe(false);
    const failed = report.checks.filter(({ status }) => status === "fail").map(({ kind }) => kind);
    // Without --ca the test authority is a stranger.
    expect(new Set(failed)).toEqual(new Set(["tls.certificate"]));
    expect(readFileSync(junit, "utf8")).toContain('failures="3"');
  });

  it("takes flags and secrets from the environment alone", async () => {
    const { ports } = deployment;
    const { code, stdout } = await run(
      [
        ...[
          "--api-domain",
          names.api,
          "--tracker-domain",
          names.tracker,
          "--https-port",
          String(ports.https),
        ],
        ...["--grafana-domain", `${names.grafana}:${ports.grafana}`, "--udp-port", String(ports.udp)],
        ...["--connect", "127.0.0.1", "--ca", ca, "--mode", "pingoo-tcp", "--json", ...quick],
      ],
      { VERIFY_ADMIN_TOKEN: token, VERIFY_GRAFANA_PASSWORD: password },
    );
    expect(code).toBe(0);
    const { counts } = JSON.parse(stdout) as { counts: { pass: number; skip: number } };
    expect(counts.pass).toBeGreaterThan(28);
    expect(counts.skip).toBe(0);
    expect(stdout).not.toContain(token);
  });

  it("shows its help", async () => {
    const { code, stdout } = await run(["--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain("--outputs FILE");
  });

  it.each<[string, () => string[], string | RegExp]>([
    ["no such file", () => ["--outputs", join(folder, "none.json")], "none.json: ENOENT"],
    ["an empty deployment", () => ["--outputs", file("{}")], "Cannot run: outputs: name nothing to check"],
    [
      "outputs that are no JSON",
      () => ["--outputs", file("adminToken: hunter2")],
      /^\S+ is no JSON\. Write it with/,
    ],
    ["masked secrets", () => ["--outputs", file('{"adminToken":"[secret]"}')], "--show-secrets"],
    ["several problems", () => ["--outputs", file('{"mode":"x","acme":"y"}')], "2 problems"],
    ["a flag that is not known", () => ["--output", "x"], "Did you mean --outputs?"],
    ["two sources", () => ["--outputs", outputs, "--stack", "dev"], "give one of them"],
    [
      "a CA file without a certificate",
      () => ["--outputs", outputs, "--ca", outputs],
      "holds no certificate in PEM form",
    ],
    [
      "a name server by name",
      () => ["--outputs", outputs, "--name-server", "dns.example"],
      "is no IP address",
    ],
    [
      "a JUnit file that cannot be written",
      () => [
        "--outputs",
        outputs,
        "--skip",
        "tls,dns,api,http-tracker,udp-tracker,grafana,prometheus,exposure",
        "--junit",
        join(folder, "no", "x.xml"),
      ],
      "cannot be written: ENOENT",
    ],
  ])("ends with 2: %s", async (_, args, message) => {
    const { code, error } = await run(args());
    expect(code).toBe(2);
    if (typeof message === "string") expect(error).toContain(message);
    else expect(error).toMatch(message);
    expect(error).not.toContain("hunter2");
  });
});

function file(text: string): string {
  const path = join(folder, "odd.json");
  writeFileSync(path, text);
  return path;
}
