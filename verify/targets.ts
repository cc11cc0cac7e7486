import { isIP, isIPv4 } from "node:net";

import { normalizeAddress } from "./addresses";
import type { Endpoint } from "./net";
import {
  asObject,
  present,
  readDomain,
  readIssuer,
  readList,
  readOneOf,
  readPort,
  readSecret,
  readUrl,
  splitList,
  type Located,
  type Report,
} from "./readers";

/** Who terminates TLS for what; the stack output `mode`. */
const modes = ["none", "pingoo", "pingoo-tcp", "pingoo-https", "hybrid", "nginx"] as const;
export type Mode = (typeof modes)[number];

/** Who terminates TLS at an endpoint. Of an unknown one only what every proxy should do is expected. */
export type Terminator = "pingoo" | "nginx" | "unknown";

const trackerModes = ["public", "listed", "private"] as const;
export type TrackerMode = (typeof trackerModes)[number];

/** Who is expected to have issued the certificates. */
export type Issuer = "none" | "letsencrypt" | "letsencrypt-staging" | "directory" | "public";

/** An HTTPS endpoint. */
export interface WebTarget extends Endpoint {
  readonly terminator: Terminator;
}

export interface HttpTrackerTarget extends WebTarget {
  /** Without TLS. */
  readonly plain: boolean;
  /** Path of the announce URL, `/announce`. */
  readonly announcePath: string;
}

export interface UdpTarget {
  readonly host: string;
  readonly port: number;
}

/** A deployment as it is to be checked: plain and complete. */
export interface Targets {
  /** Undefined: not said, any proxy may be in front. */
  readonly mode?: Mode;
  readonly issuer: Issuer;
  readonly trackerMode: TrackerMode;
  /** The tracker is told to count completed downloads. */
  readonly countDownloads: boolean;
  /** Addresses under which the deployment is reached; without them, what DNS says. */
  readonly addresses: { readonly ipv4?: string; readonly ipv6?: string };
  readonly api?: WebTarget;
  readonly httpTrackers: readonly HttpTrackerTarget[];
  /** Those that are announced to without TLS as well. */
  readonly plainTrackers: readonly HttpTrackerTarget[];
  readonly udpTrackers: readonly UdpTarget[];
  readonly grafana?: WebTarget;
  readonly adminToken?: string;
  readonly grafanaPassword?: string;
}

/** Something in the inputs that cannot be used. */
export interface TargetProblem {
  /** The output or flag. */
  readonly path: string;
  readonly message: string;
}

/** Thrown when there is nothing that could be checked; carries every problem of the inputs. */
export class TargetError extends Error {
  constructor(readonly problems: readonly TargetProblem[]) {
    super(
      problems.length === 1 && problems[0]
        ? `${problems[0].path}: ${problems[0].message}`
        : `${problems.length} problems:\n${problems.map(({ path, message }) => `  - ${path}: ${message}`).join("\n")}`,
    );
    this.name = "TargetError";
  }
}

/** What flags and environment say; each replaces what the outputs say. Lists are separated by commas. */
export interface Overrides {
  /** `name` or `name:port`. */
  readonly apiDomain?: string;
  readonly trackerDomain?: string;
  readonly grafanaDomain?: string;
  readonly udpDomain?: string;
  readonly udpPort?: string;
  readonly httpsPort?: string;
  /** Where the HTTP trackers that flags name answer without TLS as well. */
  readonly httpPort?: string;
  readonly grafanaPort?: string;
  /** Addresses, at most one of each family. */
  readonly connect?: string;
  readonly mode?: string;
  readonly acme?: string;
  readonly trackerMode?: string;
  readonly adminToken?: string;
  readonly grafanaPassword?: string;
}

/** Flag that sets each override, for messages. */
const flagOf: Readonly<Record<keyof Overrides, string>> = {
  apiDomain: "--api-domain",
  trackerDomain: "--tracker-domain",
  grafanaDomain: "--grafana-domain",
  udpDomain: "--udp-domain",
  udpPort: "--udp-port",
  httpsPort: "--https-port",
  httpPort: "--http-port",
  grafanaPort: "--grafana-port",
  connect: "--connect",
  mode: "--mode",
  acme: "--acme",
  trackerMode: "--tracker-mode",
  adminToken: "VERIFY_ADMIN_TOKEN",
  grafanaPassword: "VERIFY_GRAFANA_PASSWORD",
};

/**
 * Makes targets of stack outputs and overrides, either of which may be absent.
 *
 * @param outputs what `pulumi stack output --json --show-secrets` prints, parsed
 * @throws {TargetError} with every problem at once; never with a secret in it
 */
export function readTargets(outputs: unknown, overrides: Overrides = {}): Targets {
  const problems: TargetProblem[] = [];
  const problem = (path: string, message: string): undefined => void problems.push({ path, message });
  const given = outputs === undefined ? {} : asObject(outputs, "outputs", problem);
  const urls = asObject(given.urls, "urls", problem);
  const announce = asObject(given.announceUrls, "announceUrls", problem);
  /** A value of the outputs, or of the flag in its place; and which of the two. */
  const choose = (key: "mode" | "trackerMode" | "acme"): [unknown, string] =>
    overrides[key] === undefined ? [given[key], key] : [overrides[key], flagOf[key]];

  const mode = readOneOf(...choose("mode"), modes, problem);
  const trackerMode = readOneOf(...choose("trackerMode"), trackerModes, problem) ?? "public";
  const issuer = readIssuer(...choose("acme"), problem) ?? "public";
  const addresses = readAddresses(given.addresses, overrides.connect, problem);
  const ports = readPorts(overrides, mode, problem);
  const connect = addresses.ipv4 ?? addresses.ipv6;
  const web = (endpoint: { readonly host: string; readonly port: number }, terminator: Terminator) => ({
    ...bare(endpoint),
    connect,
    terminator,
  });
  const tracker = (terminator: Terminator) => (located: Located) => ({
    ...web(located, terminator),
    plain: isPlain(located),
    announcePath: located.pathname,
  });

  const api =
    overrides.apiDomain !== undefined
      ? readDomain(overrides.apiDomain, flagOf.apiDomain, ports.https, problem)
      : readUrl(urls.api, "urls.api", ["https:"], problem);
  const grafana =
    overrides.grafanaDomain !== undefined
      ? readDomain(overrides.grafanaDomain, flagOf.grafanaDomain, ports.grafana, problem)
      : readUrl(urls.grafana, "urls.grafana", ["https:"], problem);
  const httpTrackers = readHttpTrackers(announce.http, urls.trackers, overrides, ports, problem);
  const udpTrackers = readUdpTrackers(announce.udp, overrides, connect, problem);
  const { adminToken, grafanaAdminPassword } = given;
  const secrets = {
    adminToken: overrides.adminToken || readSecret(adminToken, "adminToken", problem),
    grafanaPassword:
      overrides.grafanaPassword || readSecret(grafanaAdminPassword, "grafanaAdminPassword", problem),
  };
  if (problems.length === 0 && !api && !grafana && httpTrackers.length === 0 && udpTrackers.length === 0)
    problem(
      "outputs",
      `name nothing to check: no urls, no announceUrls. Is the stack deployed? Or say what to check: ${flagOf.apiDomain}, ${flagOf.trackerDomain}, ${flagOf.udpPort}, ${flagOf.grafanaDomain}.`,
    );
  if (problems.length > 0) throw new TargetError(problems);
  return {
    mode,
    issuer,
    trackerMode,
    countDownloads: given.countDownloads === true,
    addresses,
    api: api && web(api, terminatorOf(mode, false)),
    httpTrackers: httpTrackers.filter((tracker) => !isPlain(tracker)).map(tracker(terminatorOf(mode, false))),
    // nginx has the port wherever it runs.
    plainTrackers: httpTrackers.filter(isPlain).map(tracker(terminatorOf(mode, true))),
    udpTrackers: udpTrackers.map(bare),
    grafana: grafana && web(grafana, terminatorOf(mode, true)),
    ...secrets,
  };
}

function terminatorOf(mode: Mode | undefined, grafana: boolean): Terminator {
  if (mode === undefined) return "unknown";
  return mode === "nginx" || (mode === "hybrid" && grafana) ? "nginx" : "pingoo";
}

function isPlain({ protocol }: Located): boolean {
  return protocol === "http:";
}

function readPorts({ httpsPort, httpPort, grafanaPort }: Overrides, mode: Mode | undefined, problem: Report) {
  return {
    https: readPort(httpsPort, flagOf.httpsPort, problem) ?? 443,
    http: readPort(httpPort, flagOf.httpPort, problem),
    grafana:
      readPort(grafanaPort, flagOf.grafanaPort, problem) ??
      (mode === "pingoo-https" || mode === "nginx" ? 443 : 3443),
  };
}

function readHttpTrackers(
  announceUrls: unknown,
  urls: unknown,
  { trackerDomain }: Overrides,
  ports: { readonly https: number; readonly http?: number },
  problem: Report,
): Located[] {
  const announced = (endpoint: Located | undefined) => endpoint && { ...endpoint, pathname: "/announce" };
  if (trackerDomain !== undefined)
    return present(
      splitList(trackerDomain).flatMap((domain) => {
        const tracker = announced(readDomain(domain, flagOf.trackerDomain, ports.https, problem));
        return [
          tracker,
          ...(tracker && ports.http ? [{ ...tracker, port: ports.http, protocol: "http:" as const }] : []),
        ];
      }),
    );
  return present([
    // Announce URLs come first: they know the path.
    ...readList(announceUrls, "announceUrls.http", problem).map((url, index) =>
      readUrl(url, `announceUrls.http[${index}]`, ["https:", "http:"], problem),
    ),
    ...readList(urls, "urls.trackers", problem).map((url, index) =>
      announced(readUrl(url, `urls.trackers[${index}]`, ["https:"], problem)),
    ),
  ]);
}

function readUdpTrackers(
  announceUrls: unknown,
  { udpPort, udpDomain, trackerDomain, apiDomain }: Overrides,
  connect: string | undefined,
  problem: Report,
): UdpTarget[] {
  if (udpPort === undefined)
    return present(
      readList(announceUrls, "announceUrls.udp", problem).map((url, index) =>
        readUrl(url, `announceUrls.udp[${index}]`, ["udp:"], problem),
      ),
    );
  const host =
    udpDomain ?? splitList(trackerDomain ?? "")[0]?.split(":")[0] ?? apiDomain?.split(":")[0] ?? connect;
  return present(
    splitList(udpPort).map((text) => {
      const port = readPort(text, flagOf.udpPort, problem);
      if (host === undefined)
        return problem(flagOf.udpPort, `give ${flagOf.udpDomain} or ${flagOf.connect} too.`);
      return port === undefined ? undefined : { host, port };
    }),
  );
}

function readAddresses(value: unknown, connect: string | undefined, problem: Report): Targets["addresses"] {
  const found: { ipv4?: string; ipv6?: string } = {};
  const add = (text: unknown, path: string, family?: 4 | 6) => {
    const address = typeof text === "string" ? text.trim().replace(/^\[|\]$/g, "") : "";
    const actual = isIP(address);
    if (actual === 0 || (family && actual !== family))
      return problem(path, `${JSON.stringify(text)} is no IP${family ? `v${family}` : ""} address.`);
    const key = isIPv4(address) ? "ipv4" : "ipv6";
    if (found[key]) return problem(path, `names two ${key === "ipv4" ? "IPv4" : "IPv6"} addresses.`);
    found[key] = normalizeAddress(address);
  };
  if (connect !== undefined) {
    for (const text of splitList(connect)) add(text, flagOf.connect);
    return found;
  }
  const { ipv4, ipv6 } = asObject(value, "addresses", problem);
  if (ipv4 !== undefined && ipv4 !== null && ipv4 !== "") add(ipv4, "addresses.ipv4", 4);
  if (ipv6 !== undefined && ipv6 !== null && ipv6 !== "") add(ipv6, "addresses.ipv6", 6);
  return found;
}

/** All HTTPS endpoints, each once. */
export function webTargets({ api, httpTrackers, grafana }: Targets): WebTarget[] {
  const all = [...(api ? [api] : []), ...httpTrackers, ...(grafana ? [grafana] : [])];
  return all.filter(
    (target, index) =>
      all.findIndex(({ host, port }) => host === target.host && port === target.port) === index,
  );
}

/** One endpoint of each listener: addresses and ports, whatever the name. */
export function listeners(targets: Targets): WebTarget[] {
  const all = webTargets(targets);
  return all.filter(
    (target, index) =>
      all.findIndex(
        ({ host, port, connect }) =>
          port === target.port && (connect ?? host) === (target.connect ?? target.host),
      ) === index,
  );
}

function bare({ host, port }: UdpTarget): UdpTarget {
  return { host, port };
}
