import { Resolver } from "node:dns/promises";
import { setMaxListeners } from "node:events";
import { createSecureContext, rootCertificates } from "node:tls";

import { createMasker } from "../program/secrets";
import type { Progress } from "../terminal/terminal";
import { hasIpv6For } from "./addresses";
import { apiChecks } from "./api";
import type { Check, Context } from "./check";
import { dnsChecks } from "./dns";
import { exposureChecks } from "./exposure";
import { grafanaChecks } from "./grafana";
import { httpTrackerChecks } from "./http-tracker";
import { ipv6Checks } from "./ipv6";
import { makeReport, mapTexts, type Report } from "./report";
import { requestChecks } from "./requests";
import { runChecks } from "./run";
import { stalledChecks } from "./stalled";
import type { Targets } from "./targets";
import { tlsChecks } from "./tls";
import { udpTrackers } from "./udp-tracker";

export interface VerifyOptions {
  /** What is deployed: `readTargets(outputs)`. */
  readonly targets: Targets;
  /** Also keep a WebSocket open for a minute. */
  readonly long?: boolean;
  /** Kinds of checks to leave out, or the beginning of kinds up to a dot: `dns`, `exposure.stalled-handshake`. */
  readonly skip?: readonly string[];
  /** Certificates to trust besides the public ones, PEM. */
  readonly trust?: readonly string[];
  /** Name server to ask, `IP` or `IP:port`; default: this machine's. */
  readonly nameServer?: string;
  readonly progress?: Progress;
  /** For tests. */
  readonly hasIpv6For?: (address: string) => boolean;
}

/** Milliseconds, so that all of it, cleaning up included, stays under a minute (`long`: two). */
const deadlines = { together: 40_000, togetherLong: 95_000, cleanUp: 5000, alone: 12_000 };

/**
 * Checks a deployment from outside: everything that a run announces, logs in to or lists is taken back. Under a minute
 * without `long`, whatever happens at the other side.
 *
 * @returns a report without secrets
 */
export async function verify(options: VerifyOptions): Promise<Report> {
  const { targets, long = false, trust = [], progress } = options;
  const startedAt = new Date();
  const since = performance.now();
  const cleanUps: { readonly task: CleanUp; readonly last: boolean }[] = [];
  const secrets = [targets.adminToken, targets.grafanaPassword].filter((secret) => secret !== undefined);
  const context: Context = {
    targets,
    // Made once: it takes a while to read all public roots.
    trust: trust.length > 0 ? createSecureContext({ ca: [...rootCertificates, ...trust] }) : undefined,
    long,
    resolver: resolverFor(options.nameServer),
    hasIpv6For: options.hasIpv6For ?? hasIpv6For,
    secret: (text) => void secrets.push(text),
    atEnd: (task, last) => void cleanUps.push({ task, last: last !== undefined }),
  };
  const checks = selectChecks(allChecks(context), options.skip ?? []);

  const step = progress?.step("verify");
  step?.update(`0 of ${checks.length} checks`);
  const results = await runChecks(checks, {
    deadlines: { together: long ? deadlines.togetherLong : deadlines.together, alone: deadlines.alone },
    between: async () => {
      await cleanUp(cleanUps.filter(({ last }) => !last).map(({ task }) => task));
      await cleanUp(cleanUps.filter(({ last }) => last).map(({ task }) => task));
    },
    onStart: ({ topic, name }) => step?.update(`${topic}, ${name}`),
    onResult: (_, done) => step?.update(`${done} of ${checks.length} checks`),
  });

  const report = makeReport(targets, results, { startedAt, durationMs: performance.now() - since });
  const { pass, fail } = report.counts;
  if (report.ok) step?.succeed(`${pass} of ${checks.length} checks hold`);
  else step?.fail(`${fail} of ${checks.length} checks fail`);
  const masker = createMasker(secrets);
  return mapTexts(report, (text) => masker.text(text));
}

/** Every check of a deployment, in the order of the report. */
function allChecks(context: Context): Check[] {
  const udp = udpTrackers(context);
  return [
    ...tlsChecks(context),
    ...dnsChecks(context),
    ...apiChecks(context),
    ...httpTrackerChecks(context, (signal) => udp.seenAddress(4, signal)),
    ...requestChecks(context),
    ...udp.checks,
    ...grafanaChecks(context),
    ...ipv6Checks(context, (signal) => udp.seenAddress(6, signal)),
    ...exposureChecks(context),
    ...stalledChecks(context),
  ];
}

/** Leaves out what is not wanted; what needs it runs all the same. */
function selectChecks(checks: readonly Check[], unwanted: readonly string[]): Check[] {
  const out = (kind: string) => unwanted.some((skip) => kind === skip || kind.startsWith(`${skip}.`));
  return checks
    .filter(({ kind }) => !out(kind))
    .map((check) => ({
      ...check,
      needs: check.needs?.filter((need) => !out(need.slice(0, need.indexOf(":")))),
    }));
}

type CleanUp = (signal: AbortSignal) => Promise<unknown>;

/** Takes back what the checks did, all at once and within their time; what fails is passed over. */
async function cleanUp(tasks: readonly CleanUp[]): Promise<void> {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  const timer = setTimeout(() => controller.abort(), deadlines.cleanUp / 2);
  await Promise.allSettled(tasks.map(async (task) => task(controller.signal)));
  clearTimeout(timer);
}

function resolverFor(server: string | undefined): Resolver {
  const resolver = new Resolver({ timeout: 2000, tries: 2 });
  if (server !== undefined) resolver.setServers([server]);
  return resolver;
}
