import { randomBytes } from "node:crypto";
import { isIP } from "node:net";

import { guarded } from "./access";
import { decodeBencode, isDictionary } from "./bencode";
import { checkId, fail, knownLimit, pass, type Check, type Context, type Outcome } from "./check";
import { fetchHttp, fetchHttps } from "./http";
import { fetchHttp2 } from "./http2";
import { escapeBytes, readAnswer, Swarm } from "./http-tracker";
import { hostPort, networkError } from "./net";
import { count, list } from "./text";
import { limitsPage } from "./tls";
import type { HttpTrackerTarget, Targets, WebTarget } from "./targets";

/** Requests as clients in the wild write them: names in other forms, long scrapes, odd parameters and User-Agents. */
export function requestChecks(context: Context): Check[] {
  return [
    ...formChecks(context.targets),
    ...context.targets.httpTrackers.flatMap((tracker) => trackerChecks(tracker, context)),
  ];
}

// ---- forms of a name

function formChecks({ api, httpTrackers, plainTrackers, grafana }: Targets): Check[] {
  const of = (target: WebTarget, kind: string, topic: Check["topic"], path: string): Check => ({
    kind: `${kind}.name-forms`,
    target: hostPort(target.host, target.port),
    topic,
    name: "every form of the name",
    expected: `200 for the name in any case, with a trailing dot and with its port, over ${list(Object.keys(protocolsOf(target)))}`,
    remedy:
      "The proxy's route compares the Host header letter by letter: `pulumi up` puts a route in force that does not.",
    needs: [checkId({ kind: `${kind}.health`, target: hostPort(target.host, target.port) })],
    run: (signal) => checkForms(target, path, signal),
  });
  return [
    ...(api ? [of(api, "api", "API", "/api/health_check")] : []),
    ...[...httpTrackers, ...plainTrackers].map((tracker) =>
      of(tracker, "http-tracker", "HTTP tracker", "/health_check"),
    ),
    ...(grafana ? [of(grafana, "grafana", "Grafana", "/api/health")] : []),
  ];
}

/** Host headers that all mean the endpoint (RFC 9110, sections 4.2.3 and 7.2). */
function formsOf(target: WebTarget): string[] {
  const { host, port } = target;
  const names = isIP(host) === 0 ? [host, host.toUpperCase(), `${host}.`] : [host];
  return [
    ...names.map((name) => hostPort(name, port)),
    ...(port === (isPlain(target) ? 80 : 443) ? names : []),
  ];
}

const isPlain = (target: WebTarget) => "plain" in target && target.plain === true;

/** Without TLS there is no HTTP/2 to agree on. */
function protocolsOf(target: WebTarget): Readonly<Record<string, typeof fetchHttp | typeof fetchHttp2>> {
  return isPlain(target) ? { "HTTP/1.1": fetchHttp } : { "HTTP/1.1": fetchHttps, "HTTP/2": fetchHttp2 };
}

async function checkForms(target: WebTarget, path: string, signal: AbortSignal): Promise<Outcome> {
  const protocols = protocolsOf(target);
  const tries = await Promise.all(
    Object.entries(protocols).flatMap(([protocol, ask]) =>
      formsOf(target).map(async (form) => {
        const answer = await ask(target, { path, hostHeader: form }, signal);
        return { protocol, form, status: answer?.status };
      }),
    ),
  );
  const wrong = tries.filter(({ status }) => status !== undefined && status !== 200);
  if (wrong.length > 0)
    return fail(list(wrong.map(({ protocol, form, status }) => `${status} for ${form} over ${protocol}`)));
  const spoken = Object.keys(protocols).filter((protocol) =>
    tries.some((one) => one.protocol === protocol && one.status !== undefined),
  );
  return pass(`${count(formsOf(target).length, "form")} over ${list(spoken)}`);
}

// ---- what HTTP trackers are asked

/** Info-hashes in a scrape that is nearly as long as Torrust Tracker takes one: 65,534 bytes, 71 for each. */
const longScrape = 900;

/** Parameters that BEP 3 and BEP 21 allow, or that clients send all the same, and who does. */
const oddParameters: readonly (readonly [parameter: string, sentBy: string])[] = [
  ["event=", "allowed by BEP 3"],
  ["event=paused", "BEP 21: qBittorrent, Deluge and Transmission, with some files left out"],
  ["numwant=-1", "as many peers as there are"],
  ["left", "no value: WebTorrent before 2025, with magnet links"],
];

const oddUserAgents: readonly (readonly [what: string, userAgent: string])[] = [
  ["300 bytes long", `${"x".repeat(296)}/1.0`],
  ["with letters that are not ASCII", Buffer.from("Übertorrent/1.0").toString("latin1")],
];

function trackerChecks(tracker: HttpTrackerTarget, context: Context): Check[] {
  const target = hostPort(tracker.host, tracker.port);
  const common = {
    target,
    topic: "HTTP tracker" as const,
    needs: [checkId({ kind: "http-tracker.announce", target })],
  };
  const swarm = new Swarm(tracker, context);
  return [
    {
      ...common,
      needs: [checkId({ kind: "http-tracker.scrape", target })],
      kind: "http-tracker.long-scrape",
      name: "long scrape",
      expected: `${longScrape} torrents in one scrape, over HTTP/1.1 and HTTP/2`,
      remedy:
        "The proxy takes no address as long as the tracker does: see nginx's large_client_header_buffers.",
      run: (signal) => guarded(() => checkLongScrape(tracker, swarm, signal)),
    },
    {
      ...common,
      kind: "http-tracker.parameters",
      name: "odd parameters",
      expected: `announces with ${list(oddParameters.map(([parameter]) => `\`${parameter}\``))} are answered`,
      remedy: "See the tracker's log.",
      run: (signal) => guarded(() => checkParameters(swarm, signal)),
    },
    {
      ...common,
      kind: "http-tracker.odd-user-agent",
      name: "odd User-Agents",
      expected: `announces with User-Agents ${list(oddUserAgents.map(([what]) => what))} are answered`,
      remedy: "The proxy or the tracker refuses clients for their name.",
      run: (signal) => guarded(() => checkUserAgents(tracker, swarm, signal)),
    },
  ];
}

async function checkLongScrape(
  tracker: HttpTrackerTarget,
  swarm: Swarm,
  signal: AbortSignal,
): Promise<Outcome> {
  const hashes = Array.from({ length: longScrape }, () => `info_hash=${escapeBytes(randomBytes(20))}`);
  const path = `${await swarm.path(signal, "scrape")}?${hashes.join("&")}`;
  const judge = (answer: { readonly status: number; readonly body: Buffer }) => {
    const found = answer.status === 200 ? decodeBencode(answer.body) : undefined;
    const files = isDictionary(found) ? found.get("files") : undefined;
    return isDictionary(files) ? `${files.size} torrents` : `${answer.status}`;
  };
  const first = judge(await fetchHttps(tracker, { path }, signal));
  const answer = await fetchHttp2(
    tracker,
    { path, hostHeader: hostPort(tracker.host, tracker.port) },
    signal,
  );
  const second = answer && judge(answer);
  const seen = `${first} over HTTP/1.1${second === undefined ? "" : `, ${second} over HTTP/2`}`;
  const right = `${longScrape} torrents`;
  if (first !== right) return fail(seen);
  if (second === undefined || second === right) return pass(seen);
  if (answer?.status === 431 && tracker.terminator !== "nginx")
    return knownLimit(
      `${seen}: Pingoo takes 16 KiB of header fields there, some 225 torrents; concerns who scrapes more at once`,
      limitsPage,
      "They can ask for fewer at once or over HTTP/1.1, or use `tlsProxy: nginx`.",
    );
  return fail(seen);
}

async function checkParameters(swarm: Swarm, signal: AbortSignal): Promise<Outcome> {
  const refused: string[] = [];
  for (const [parameter, sentBy] of oddParameters) {
    const { response } = await swarm.announce(signal, { parameters: parameter });
    try {
      readAnswer(response);
    } catch (error) {
      // A failure reason is the tracker's own; another status is not.
      if (response.status !== 200) return fail(`${networkError(error).message} for \`${parameter}\``);
      refused.push(`\`${parameter}\` (${sentBy})`);
    }
  }
  if (refused.length === 0) return pass("answered");
  return knownLimit(
    `the tracker refuses ${list(refused)}`,
    "https://github.com/torrust/torrust-tracker/issues/1309",
    "Nothing to do: by UDP the tracker takes all but `paused`, which Transmission does not send there.",
  );
}

async function checkUserAgents(
  tracker: HttpTrackerTarget,
  swarm: Swarm,
  signal: AbortSignal,
): Promise<Outcome> {
  const refused: string[] = [];
  for (const [what, userAgent] of oddUserAgents) {
    const { response } = await swarm.announce(signal, { userAgent });
    if (response.status === 403 && tracker.terminator !== "nginx") refused.push(what);
    else readAnswer(response);
  }
  if (refused.length === 0) return pass("answered");
  return knownLimit(
    `403 for one ${list(refused)}: Pingoo refuses it; concerns clients whose name somebody chose`,
    limitsPage,
    "Such clients can use the UDP trackers, or `tlsProxy: nginx`.",
  );
}
