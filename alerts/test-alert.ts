import type Docker from "dockerode";
import { parse } from "yaml";

import { secretFolder, testAlert, watchdog } from "../configs/alertmanager";
import { execIn } from "../docker/stack";
import { createMasker } from "../program/secrets";
import { ports } from "../stack/names";
import { CommandError, type Progress } from "../terminal/terminal";

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
  const inside = (...command: string[]) => output(docker, container.id, command);
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
  const deadline = Date.now() + timeout;
  let open: readonly string[];
  for (;;) {
    const now = await read("/metrics");
    open = names.filter((name) => !wasTold(before, now, name));
    if (open.length === 0 || Date.now() > deadline) break;
    step?.update(`waiting for ${open.join(", ")}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  step?.succeed(`${names.length - open.length} of ${names.length} receivers were told`);
  if (open.length === 0) return { prometheus, receivers: names.map((name) => ({ name, delivered: true })) };
  const log = await logSince(container, since);
  // A receiver's answer may repeat what it was asked, and that is secret.
  const masker = createMasker(secretsIn(await inside("sh", "-c", printSecrets)));
  const receivers = names.map((name): Delivery =>
    open.includes(name)
      ? { name, delivered: false, reason: masker.text(reasonIn(log, name)) }
      : { name, delivered: true },
  );
  return { prometheus, receivers };
}

/** Whether a receiver took something between two readings of the counters. */
function wasTold(before: string, now: string, receiver: string): boolean {
  const growth = (metric: string) => counter(now, metric, receiver) - counter(before, metric, receiver);
  return growth(requests) > growth(failures);
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

/** What a command in the container prints. @throws {CommandError} exit code 2 when it fails */
async function output(docker: Docker, container: string, command: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await execIn(docker, container, command);
  if (code === 0) return stdout;
  throw new CommandError(`Alertmanager does not answer (${command[0]}: ${(stderr || stdout).trim()}).`, 2);
}

async function logSince(container: Docker.Container, since: number): Promise<string> {
  // A container whose log is thrown away has none to give.
  return container
    .logs({ stdout: true, stderr: true, since })
    .then((log) => log.toString("utf8"))
    .catch(() => "");
}

/** The last reason that the log gives for a receiver. */
function reasonIn(log: string, receiver: string): string {
  const lines = log.split("\n").filter((line) => line.includes(`receiver=${receiver} `));
  const errors = lines.flatMap((line) => /\berr="((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? []);
  const last = errors.at(-1);
  if (last === undefined) return "no answer yet, and nothing in Alertmanager's log";
  return last.replaceAll('\\"', '"');
}
