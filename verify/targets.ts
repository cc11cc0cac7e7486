import { isIP, isIPv4 } from "node:net";

import { nearest } from "../settings/nearest";
import { normalizeAddress } from "./addresses";
import type { Endpoint } from "./net";
import {
  asObject,
  readDomain,
  readList,
  readPort,
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

  const oneOf = <T extends string>(
    value: unknown,
    path: string,
    known: readonly T[],
    override: string | undefined,
    flag: string,
  ): T | undefined => {
    const [text, where] = override !== undefined ? [override, flag] : [value, path];
    if (text === undefined || text === null) return undefined;
    const found = known.find((candidate) => candidate === text);
    if (found) return found;
    const near = typeof text === "string" ? nearest(text, known) : undefined;
    return problem(
      where,
      `${JSON.stringify(text)} is none of ${known.join(", ")}.${near ? ` Did you mean ${near}?` : ""}`,
    );
  };
  const mode = oneOf(given.mode, "mode", modes, overrides.mode, flagOf.mode);
  const trackerMode = oneOf(
    given.trackerMode,
    "trackerMode",
    trackerModes,
    overrides.trackerMode,
    flagOf.trackerMode,
  );
  const issuer = readIssuer(
    overrides.acme ?? given.acme,
    overrides.acme === undefined ? "acme" : flagOf.acme,
    problem,
  );
  const addresses = readAddresses(given.addresses, overrides.connect, problem);
  const ports = {
    https: readPort(overrides.httpsPort, flagOf.httpsPort, problem) ?? 443,
    http: readPort(overrides.httpPort, flagOf.httpPort, problem),
    grafana:
      readPort(overrides.grafanaPort, flagOf.grafanaPort, problem) ??
      (mode === "pingoo-https" || mode === "nginx" ? 443 : 3443),
  };
  const connect = addresses.ipv4 ?? addresses.ipv6;
  const terminator = (grafana: boolean): Terminator =>
    mode === undefined ? "unknown" : mode === "nginx" || (mode === "hybrid" && grafana) ? "nginx" : "pingoo";

  const apiEndpoint =
    overrides.apiDomain !== undefined
      ? readDomain(overrides.apiDomain, flagOf.apiDomain, ports.https, problem)
      : readUrl(urls.api, "urls.api", ["https:"], problem);
  const grafanaEndpoint =
    overrides.grafanaDomain !== undefined
      ? readDomain(overrides.grafanaDomain, flagOf.grafanaDomain, ports.grafana, problem)
      : readUrl(urls.grafana, "urls.grafana", ["https:"], problem);

  const httpTrackers: readonly (Located | undefined)[] =
    overrides.trackerDomain !== undefined
      ? splitList(overrides.trackerDomain).flatMap((domain) => {
          const endpoint = readDomain(domain, flagOf.trackerDomain, ports.https, problem);
          const tracker = endpoint && { ...endpoint, pathname: "/announce" };
          return [
            tracker,
            ...(tracker && ports.http ? [{ ...tracker, port: ports.http, protocol: "http:" as const }] : []),
          ];
        })
      : [
          // Announce URLs come first: they know the path.
          ...readList(announce.http, "announceUrls.http", problem).map((url, index) =>
            readUrl(url, `announceUrls.http[${index}]`, ["https:", "http:"], problem),
          ),
          ...readList(urls.trackers, "urls.trackers", problem).map((url, index) => {
            const endpoint = readUrl(url, `urls.trackers[${index}]`, ["https:"], problem);
            return endpoint && { ...endpoint, pathname: "/announce" };
          }),
        ];
  const udpTrackers: readonly ({ host: string; port: number } | undefined)[] =
    overrides.udpPort !== undefined
      ? splitList(overrides.udpPort).map((text) => {
          const port = readPort(text, flagOf.udpPort, problem);
          const host =
            overrides.udpDomain ??
            splitList(overrides.trackerDomain ?? "")[0]?.split(":")[0] ??
            overrides.apiDomain?.split(":")[0] ??
            connect;
          if (host === undefined)
            return problem(flagOf.udpPort, `give ${flagOf.udpDomain} or ${flagOf.connect} too.`);
          return port === undefined ? undefined : { host, port };
        })
      : readList(announce.udp, "announceUrls.udp", problem).map((url, index) =>
          readUrl(url, `announceUrls.udp[${index}]`, ["udp:"], problem),
        );

  const secret = (value: unknown, path: string, override: string | undefined): string | undefined => {
    if (override) return override;
    if (value === undefined || value === null || value === "") return undefined;
    if (typeof value !== "string") return problem(path, "must be a text.");
    if (value === "[secret]")
      return problem(path, "is hidden. Write the outputs with `pulumi stack output --json --show-secrets`.");
    return value;
  };
  const adminToken = secret(given.adminToken, "adminToken", overrides.adminToken);
  const grafanaPassword = secret(
    given.grafanaAdminPassword,
    "grafanaAdminPassword",
    overrides.grafanaPassword,
  );

  const trackerTarget =
    (terminates: Terminator) =>
    (tracker: Located): HttpTrackerTarget => ({
      ...bare(tracker),
      connect,
      terminator: terminates,
      plain: tracker.protocol === "http:",
      announcePath: tracker.pathname,
    });
  const trackers = unique(httpTrackers.filter(isDefined));
  const udp = unique(udpTrackers.filter(isDefined));
  if (problems.length === 0 && !apiEndpoint && !grafanaEndpoint && trackers.length === 0 && udp.length === 0)
    problem(
      "outputs",
      `name nothing to check: no urls, no announceUrls. Is the stack deployed? Or say what to check: ${flagOf.apiDomain}, ${flagOf.trackerDomain}, ${flagOf.udpPort}, ${flagOf.grafanaDomain}.`,
    );
  if (problems.length > 0) throw new TargetError(problems);
  return {
    mode,
    issuer: issuer ?? "public",
    trackerMode: trackerMode ?? "public",
    countDownloads: given.countDownloads === true,
    addresses,
    api: apiEndpoint && { ...bare(apiEndpoint), connect, terminator: terminator(false) },
    httpTrackers: trackers
      .filter(({ protocol }) => protocol !== "http:")
      .map(trackerTarget(terminator(false))),
    // nginx has the port wherever it runs.
    plainTrackers: trackers
      .filter(({ protocol }) => protocol === "http:")
      .map(trackerTarget(terminator(true))),
    udpTrackers: udp.map(bare),
    grafana: grafanaEndpoint && { ...bare(grafanaEndpoint), connect, terminator: terminator(true) },
    adminToken,
    grafanaPassword,
  };
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

// ---- readers of what has a flag of its own

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

function readIssuer(value: unknown, path: string, problem: Report): Issuer | undefined {
  switch (value) {
    case undefined:
    case null:
      return undefined;
    case "none":
    case "letsencrypt":
    case "letsencrypt-staging":
      return value;
    default:
      if (typeof value === "string" && URL.canParse(value) && new URL(value).protocol === "https:")
        return "directory";
      return problem(
        path,
        `${JSON.stringify(value)} is none of none, letsencrypt, letsencrypt-staging or an https:// directory.`,
      );
  }
}

function unique<T extends { readonly host: string; readonly port: number }>(items: readonly T[]): T[] {
  return items.filter(
    (item, index) => items.findIndex(({ host, port }) => host === item.host && port === item.port) === index,
  );
}

function isDefined<T>(value: T | undefined | null | void): value is T {
  return value !== undefined && value !== null;
}

function bare({ host, port }: { readonly host: string; readonly port: number }): {
  host: string;
  port: number;
} {
  return { host, port };
}
