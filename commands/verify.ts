import { writeFileSync } from "node:fs";
import { isIP } from "node:net";

import { parseFlags } from "../terminal/arguments";
import { projectDir } from "../program/project";
import { readOutputsFile, readStackOutputs } from "../pulumi/outputs";
import { readTextFile } from "../terminal/files";
import { defaultStack } from "../program/stack-config";
import { CommandError, createProgress, runMain, styleFor } from "../terminal/terminal";
import {
  readTargets,
  renderJson,
  renderJunit,
  renderTable,
  TargetError,
  verify,
  type Overrides,
  type Targets,
} from "../verify";

const usage = `Checks a deployment from outside: TLS, API, HTTP and UDP trackers, Grafana, what is exposed.

  npm run verify -- [--stack S | --outputs FILE] [options]

  --stack S           the stack of that name, deployed from here or by the Pulumi CLI (default: ${defaultStack})
  --outputs FILE      read them from a file: pulumi stack output --json --show-secrets
  --json              print one JSON object instead of the table (docs/verify.md describes it)
  --junit FILE        also write JUnit XML
  --long              also keep a WebSocket open for a minute
  --skip KINDS        leave checks out, e.g. dns,exposure.stalled-handshake
  --ca FILE           trust these certificates too (PEM)
  --name-server IP    ask this name server instead of the machine's own

What is deployed, instead of or on top of the outputs; lists take commas, a name may carry a port:
  --connect IP        connect there whatever DNS says (one IPv4 and one IPv6 address)
  --api-domain D      --tracker-domain D    --grafana-domain D
  --udp-port N        --udp-domain D        --https-port N        --grafana-port N
  --http-port N       those trackers answer there without TLS as well
  --mode M            none, pingoo, pingoo-tcp, pingoo-https, hybrid, nginx; not said: any proxy
  --acme A            none, letsencrypt, letsencrypt-staging or a directory's URL
  --tracker-mode M    public, listed, private

Secrets come from the outputs, or from VERIFY_ADMIN_TOKEN and VERIFY_GRAFANA_PASSWORD in the environment.
Exit code 0: all holds (known limits of upstream software do not count), 1: something fails, 2: could not run.
`;

const options = {
  stack: { type: "string" },
  outputs: { type: "string" },
  json: { type: "boolean" },
  junit: { type: "string" },
  long: { type: "boolean" },
  skip: { type: "string" },
  ca: { type: "string" },
  "name-server": { type: "string" },
  connect: { type: "string" },
  "api-domain": { type: "string" },
  "tracker-domain": { type: "string" },
  "grafana-domain": { type: "string" },
  "udp-port": { type: "string" },
  "udp-domain": { type: "string" },
  "https-port": { type: "string" },
  "http-port": { type: "string" },
  "grafana-port": { type: "string" },
  mode: { type: "string" },
  acme: { type: "string" },
  "tracker-mode": { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

/** @returns the exit code: 0 all holds, 1 something fails; 2, could not run, is thrown */
export async function main(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<number> {
  const flags = parseFlags("npm run verify --", args, options);
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  const overrides: Overrides = {
    apiDomain: flags["api-domain"],
    trackerDomain: flags["tracker-domain"],
    grafanaDomain: flags["grafana-domain"],
    udpPort: flags["udp-port"],
    udpDomain: flags["udp-domain"],
    httpsPort: flags["https-port"],
    httpPort: flags["http-port"],
    grafanaPort: flags["grafana-port"],
    connect: flags.connect,
    mode: flags.mode,
    acme: flags.acme,
    trackerMode: flags["tracker-mode"],
    adminToken: environment.VERIFY_ADMIN_TOKEN,
    grafanaPassword: environment.VERIFY_GRAFANA_PASSWORD,
  };
  if (flags.stack !== undefined && flags.outputs !== undefined)
    throw new CommandError("--stack and --outputs are two ways to say the same: give one of them.", 2);
  if (flags["name-server"] !== undefined && !isNameServer(flags["name-server"]))
    throw new CommandError(`--name-server ${flags["name-server"]} is no IP address.`, 2);
  const trust = flags.ca === undefined ? [] : [readPem(flags.ca)];
  const targets = targetsOf(await readOutputs(flags, overrides, environment), overrides);

  const progress = createProgress();
  const report = await verify({
    targets,
    long: flags.long,
    skip: flags.skip?.split(",").map((kind) => kind.trim()),
    trust,
    nameServer: flags["name-server"],
    progress,
  });
  progress.stop();
  if (flags.junit !== undefined) write(flags.junit, renderJunit(report));
  process.stdout.write(flags.json ? renderJson(report) : renderTable(report, styleFor(process.stdout)));
  return report.ok ? 0 : 1;
}

/** The stack's outputs; undefined where the flags name the endpoints themselves. */
async function readOutputs(
  { stack, outputs }: { readonly stack?: string; readonly outputs?: string },
  { apiDomain, trackerDomain, grafanaDomain, udpPort }: Overrides,
  environment: NodeJS.ProcessEnv,
): Promise<unknown> {
  if (outputs !== undefined) return readOutputsFile(outputs);
  const named = [apiDomain, trackerDomain, grafanaDomain, udpPort].some((flag) => flag !== undefined);
  if (stack === undefined && named) return undefined;
  return readStackOutputs({ stack: stack ?? defaultStack, projectDir, environment });
}

function targetsOf(outputs: unknown, overrides: Overrides): Targets {
  try {
    return readTargets(outputs, overrides);
  } catch (error) {
    if (error instanceof TargetError) throw new CommandError(`Cannot run: ${error.message}`, 2);
    throw error;
  }
}

function readPem(file: string): string {
  const text = readTextFile(file, "Certificates");
  if (!text.includes("-----BEGIN CERTIFICATE-----"))
    throw new CommandError(`--ca ${file} holds no certificate in PEM form.`, 2);
  return text;
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new CommandError(
      `--junit ${file} cannot be written: ${error instanceof Error && "code" in error ? String(error.code) : "unknown error"}.`,
      2,
    );
  }
}

function isNameServer(text: string): boolean {
  const match = /^(?:\[(.+)\]|([^:]+))(?::(\d+))?$/.exec(text);
  return isIP(text) !== 0 || isIP(match?.[1] ?? match?.[2] ?? "") !== 0;
}

if (require.main === module) runMain(() => main(process.argv.slice(2)));
