import type Docker from "dockerode";
import { PassThrough } from "node:stream";
import { parse } from "yaml";

import { secretFolder, testAlert, watchdog } from "../configs/alertmanager";
import { ports } from "../stack/names";
import { parseFlags } from "../terminal/arguments";
import { findDocker } from "../docker/host";
import { noEngine } from "../docker/install";
import { projectName } from "../program/project";
import { createMasker } from "../program/secrets";
import { defaultStack } from "../program/stack-config";
import { CommandError, createProgress, runMain, styleFor, table, type Progress } from "../terminal/terminal";

const usage = `Sends a test alert through the deployed Alertmanager to every receiver, and says what became of it.

  npm run alert:test [-- --stack S] [--json]

  --stack S  the stack of that name (default: ${defaultStack})
  --json     print one JSON object: {"prometheus": true, "receivers": [{"name", "delivered", "reason"}]}

It talks to the Docker engine of this machine, or to the one that DOCKER_HOST names (ssh://user@host for a remote one).
Exit code 0: all were told, 1: somebody was not, 2: could not be tried.
`;

/** What became of the test alert at one receiver. */
export interface Delivery {
  /** Kind of the receiver: `webhook`, `email`, … */
  readonly name: string;
  readonly delivered: boolean;
  /** Why not, as far as Alertmanager's log says, without secrets. */
  readonly reason?: string;
}

export interface TestResult {
  /** Prometheus' alerts reach Alertmanager: its Watchdog is there. */
  readonly prometheus: boolean;
  /** Empty: nobody is told of alerts. */
  readonly receivers: readonly Delivery[];
}

export interface TestOptions {
  readonly docker: Docker;
  /** Prefix of the stack's names, e.g. `torrust-pingoo-dev`. */
  readonly prefix: string;
  /** Milliseconds to wait for the receivers. @default 30 000 */
  readonly timeout?: number;
  readonly progress?: Progress;
}

const address = `http://127.0.0.1:${ports.alertmanager}`;
/** A receiver's counters, of which only the growth is looked at. */
const requests = "alertmanager_notification_requests_total";
const failures = "alertmanager_notification_requests_failed_total";

/**
 * Posts an alert to the Alertmanager of a stack, from inside its container, and watches its counters.
 *
 * @throws {CommandError} exit code 2 where there is none, or it does not answer
 */
export async function sendTestAlert(options: TestOptions): Promise<TestResult> {
  const { docker, prefix, timeout = 30_000, progress } = options;
  const container = await findAlertmanager(docker, prefix);
  const inside = (...command: string[]) => execIn(docker, container, command);
  const read = (path: string) => inside("wget", "-qO-", `${address}${path}`);

  const { config } = JSON.parse(await read("/api/v2/status")) as { config: { original: string } };
  const names = receiversIn(config.original);
  const alerts = JSON.parse(await read("/api/v2/alerts")) as { labels: { alertname?: string } }[];
  const prometheus = alerts.some(({ labels }) => labels.alertname === watchdog);
  if (names.length === 0) return { prometheus, receivers: [] };

  const before = await read("/metrics");
  const since = Math.floor(Date.now() / 1000);
  const step = progress?.step("test alert");
  await inside(
    ...["amtool", `--alertmanager.url=${address}`, "alert", "add"],
    ...[`alertname=${testAlert}`, "severity=none", `sent=${new Date().toISOString()}`],
    `--annotation=summary=This is a test`,
    `--annotation=description=Somebody has run npm run alert:test. Nothing is wrong.`,
    `--annotation=runbook_url=docs/monitoring.md`,
    `--end=${new Date(Date.now() + 60_000).toISOString()}`,
  );
  const until = Date.now() + timeout;
  for (;;) {
    const now = await read("/metrics");
    const growth = (metric: string, name: string) =>
      counter(now, metric, name) - counter(before, metric, name);
    const delivered = (name: string) => growth(requests, name) > growth(failures, name);
    const open = names.filter((name) => !delivered(name));
    step?.update(open.length > 0 ? `waiting for ${open.join(", ")}` : "");
    if (open.length === 0 || Date.now() > until) {
      step?.succeed(`${names.length - open.length} of ${names.length} receivers were told`);
      const log = open.length > 0 ? await logSince(container, since) : "";
      // A receiver's answer may repeat what it was asked, and that is secret.
      const masker = createMasker(open.length > 0 ? secretsIn(await inside("sh", "-c", printSecrets)) : []);
      const receivers = names.map((name): Delivery =>
        delivered(name)
          ? { name, delivered: true }
          : { name, delivered: false, reason: masker.text(reasonIn(log, name)) },
      );
      return { prometheus, receivers };
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Each secret on a line of its own; `echo` ends the last line of a file. */
const printSecrets = `for file in ${secretFolder}/*; do cat "$file"; echo; done`;

/** The secrets themselves, and of URLs the parts that somebody might repeat. */
function secretsIn(files: string): string[] {
  const secrets = files.split("\n").filter((line) => line !== "");
  const parts = secrets.flatMap((secret) => {
    if (!URL.canParse(secret)) return [];
    const { pathname, search } = new URL(secret);
    return [pathname, ...pathname.split("/"), search].filter((part) => part.length >= 8);
  });
  return [...secrets, ...parts];
}

async function findAlertmanager(docker: Docker, prefix: string): Promise<Docker.Container> {
  const found = await docker.listContainers({
    all: true,
    filters: { label: [`torrust-pingoo.stack=${prefix}`, "torrust-pingoo.role=alertmanager"] },
  });
  const [container] = found;
  if (!container)
    throw new CommandError(
      `${prefix} has no Alertmanager on this engine. Deploy it with alerts (and prometheus) true, name another with --stack, or set DOCKER_HOST to its host.`,
      2,
    );
  if (container.State !== "running")
    throw new CommandError(
      `${prefix}-alertmanager is ${container.State}. See its log: docker logs ${prefix}-alertmanager`,
      2,
    );
  return docker.getContainer(container.Id);
}

/** The receivers that are told of faults, from Alertmanager's configuration. */
function receiversIn(config: string): string[] {
  const { route } = parse(config) as {
    route: { routes?: readonly { receiver?: string; matchers?: unknown }[] };
  };
  return (route.routes ?? []).flatMap(({ receiver, matchers }) => (receiver && !matchers ? [receiver] : []));
}

/** Sum of a counter's series of one receiver, in Prometheus' text format. */
function counter(metrics: string, name: string, receiver: string): number {
  return metrics
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) && line.includes(`receiver_name="${receiver}"`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

async function logSince(container: Docker.Container, since: number): Promise<string> {
  // A container whose log is thrown away has none to give.
  return container
    .logs({ stdout: true, stderr: true, since })
    .then((log) => log.toString("utf8"))
    .catch(() => "");
}

/** The last reason that the log gives for a receiver. Exported for its tests. */
export function reasonIn(log: string, receiver: string): string {
  const lines = log.split("\n").filter((line) => line.includes(`receiver=${receiver} `));
  const errors = lines.flatMap((line) => /\berr="((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? []);
  const last = errors.at(-1);
  if (last === undefined) return "no answer yet, and nothing in Alertmanager's log";
  return last.replaceAll('\\"', '"');
}

async function execIn(docker: Docker, container: Docker.Container, command: string[]): Promise<string> {
  const run = await container.exec({ Cmd: command, AttachStdout: true, AttachStderr: true });
  const stream = await run.start({});
  const [out, err] = [new PassThrough(), new PassThrough()];
  let [output, errors] = ["", ""];
  out.on("data", (chunk: Buffer) => (output += chunk.toString("utf8")));
  err.on("data", (chunk: Buffer) => (errors += chunk.toString("utf8")));
  docker.modem.demuxStream(stream, out, err);
  await new Promise((resolve) => stream.on("end", resolve));
  const { ExitCode } = await run.inspect();
  if (ExitCode !== 0)
    throw new CommandError(`Alertmanager does not answer (${command[0]}: ${(errors || output).trim()}).`, 2);
  return output;
}

/** @returns the exit code: 0 all were told, 1 somebody was not; 2, could not be tried, is thrown */
export async function main(args: readonly string[]): Promise<number> {
  const flags = parseFlags("npm run alert:test --", args, {
    stack: { type: "string" },
    json: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  });
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  const engine = await findDocker();
  if (!("docker" in engine)) throw new CommandError(noEngine(engine), 2);
  const prefix = `${projectName()}-${flags.stack ?? defaultStack}`;
  const progress = createProgress();
  const result = await sendTestAlert({ docker: engine.docker, prefix, progress });
  progress.stop();
  process.stdout.write(flags.json ? `${JSON.stringify(result, null, 2)}\n` : report(prefix, result));
  return result.prometheus &&
    result.receivers.length > 0 &&
    result.receivers.every(({ delivered }) => delivered)
    ? 0
    : 1;
}

function report(prefix: string, { prometheus, receivers }: TestResult): string {
  const style = styleFor(process.stdout);
  const mark = (good: boolean) => (good ? style.green("✓") : style.red("✗"));
  const rows = [
    [
      mark(prometheus),
      "prometheus",
      prometheus
        ? "its alerts reach Alertmanager"
        : "none of its alerts has reached Alertmanager: see the container's log, or wait a minute after a start",
    ],
    ...receivers.map(({ name, delivered, reason }) => [
      mark(delivered),
      name,
      delivered ? "took the test alert; it is taken back in a minute" : `was not told: ${reason}`,
    ]),
    ...(receivers.length === 0
      ? [
          [
            mark(false),
            "receivers",
            "nobody is told of alerts. Run: pulumi config set --secret --path alertReceivers.ntfy.url https://ntfy.sh/<a topic that nobody guesses>",
          ],
        ]
      : []),
  ];
  return `${prefix}\n${table(rows, { indent: "  " })}\n`;
}

if (require.main === module) runMain(() => main(process.argv.slice(2)));
