import { isIP } from "node:net";

import { defaultImages } from "../stack/images";
import { ports } from "../stack/names";
import { firewallProblems, hostProblems, sshPort, zoneProblems } from "./hosts";
import { backupProblems } from "./backup";
import { acmeDirectories, type ParsedConfig } from "./schema";
import type { Problem } from "./problems";

/** What could be read of a configuration. */
type Readable = Partial<ParsedConfig>;
type Key = keyof ParsedConfig;

/** A rule that concerns more than one key. */
interface Rule {
  /** Keys without which there is nothing to say. */
  readonly needs: readonly Key[];
  readonly check: (config: ParsedConfig) => Problem[];
}

/** The problems between values that are good by themselves; each names the key that is easiest to change. */
export function crossFieldProblems(config: Readable): Problem[] {
  return rules
    .filter(({ needs }) => needs.every((key) => key in config))
    .flatMap(({ check }) => check(config as ParsedConfig));
}

function rule<K extends Key>(
  needs: readonly K[],
  check: (config: Readable & Pick<ParsedConfig, K>) => Problem[],
): Rule {
  return { needs, check };
}

const rules: readonly Rule[] = [
  rule(["httpTrackers", "udpTrackers"], ({ httpTrackers, udpTrackers }) =>
    httpTrackers.length > 0 || udpTrackers.length > 0
      ? []
      : [
          {
            path: "httpTrackers",
            message:
              "is empty and so is udpTrackers: nobody could announce. Add one, e.g. pulumi config set --path 'udpTrackers[0].port' 6969",
          },
        ],
  ),
  rule(["trackerMode", "udpTrackers"], ({ trackerMode, udpTrackers }) =>
    trackerMode !== "private" || udpTrackers.length === 0
      ? []
      : [
          {
            path: "udpTrackers",
            message:
              "must be empty where trackerMode is private: the tracker serves no UDP then. Run: pulumi config set udpTrackers '[]'",
          },
        ],
  ),
  rule(["apiDomain", "httpTrackers", "udpTrackers"], udpTrackersWithoutName),
  rule(["target", "hetzner", "ssh"], hostProblems),
  rule(["target", "hetzner", "udpTrackers"], (config) =>
    zoneProblems(config, [
      ...httpsDomains(config).map(({ domain }) => domain),
      ...config.udpTrackers.flatMap(({ domain }) => domain ?? []),
    ]),
  ),
  rule(["target", "udpTrackers"], (config) =>
    firewallProblems(
      config,
      config.udpTrackers.map(({ port }) => port),
    ),
  ),
  rule([], repeatedDomains),
  rule(["acme"], domainsWithoutCertificate),
  rule(["acme", "acmeCaCertificate"], ({ acme, acmeCaCertificate }) =>
    acmeCaCertificate === "" || isDirectoryUrl(acme)
      ? []
      : [
          {
            path: "acmeCaCertificate",
            message: `is only for an ACME directory given by its URL, but acme is ${acme}. Run: pulumi config rm acmeCaCertificate`,
          },
        ],
  ),
  rule([], hostPortClashes),
  rule(["httpTrackers"], containerPortClashes),
  rule(["grafana", "prometheus"], ({ grafana, prometheus }) =>
    !grafana || prometheus
      ? []
      : [
          {
            path: "grafana",
            message: "needs Prometheus to show anything. Run: pulumi config set prometheus true",
          },
        ],
  ),
  rule(["prometheus", "alerts", "alertReceivers"], ({ prometheus, alerts, alertReceivers }) =>
    prometheus || !alerts || Object.keys(alertReceivers).length === 0
      ? []
      : [
          {
            path: "alertReceivers",
            message:
              "are told of nothing without Prometheus. Run: pulumi config set prometheus true (or alerts false, to keep them for later)",
          },
        ],
  ),
  rule(["grafana", "grafanaDomain"], ({ grafana, grafanaDomain }) =>
    !grafana || grafanaDomain !== ""
      ? []
      : [
          {
            path: "grafanaDomain",
            message: "is missing. Run: pulumi config set grafanaDomain grafana.example.org",
          },
        ],
  ),
  rule(["grafana", "grafanaOnHttps"], ({ grafana, grafanaOnHttps }) =>
    grafana || !grafanaOnHttps
      ? []
      : [
          {
            path: "grafanaOnHttps",
            message: "is set, but Grafana is off. Run: pulumi config set grafana true",
          },
        ],
  ),
  rule(["grafana", "hybrid"], ({ grafana, hybrid }) =>
    grafana || !hybrid
      ? []
      : [{ path: "hybrid", message: "is for Grafana, which is off. Run: pulumi config set grafana true" }],
  ),
  rule(["grafanaOnHttps", "hybrid"], ({ grafanaOnHttps, hybrid }) =>
    !grafanaOnHttps || !hybrid
      ? []
      : [
          {
            path: "grafanaOnHttps",
            message:
              "puts Grafana beside API and trackers, but hybrid gives it a proxy of its own. Run: pulumi config set grafanaOnHttps false",
          },
        ],
  ),
  rule(["tlsProxy", "hybrid"], addressesBehindNginx),
  rule(["backup"], ({ backup, ...secrets }) => backupProblems(backup, secrets)),
  rule(["trackerSchemaVersion", "images"], ({ trackerSchemaVersion, images }) =>
    trackerSchemaVersion !== "3.0.0" || (images.tracker ?? defaultImages.tracker) !== defaultImages.tracker
      ? []
      : [
          {
            path: "trackerSchemaVersion",
            message: `3.0.0 is not understood by ${defaultImages.tracker}. Set images.tracker to a development build by digest, or run: pulumi config set trackerSchemaVersion 2.0.0`,
          },
        ],
  ),
];

/** Every public host name that needs a certificate, with the key that set it. A UDP tracker may share one of them. */
function httpsDomains({
  apiDomain,
  httpTrackers = [],
  grafana,
  grafanaDomain,
}: Readable): { path: string; domain: string }[] {
  return [
    ...(apiDomain ? [{ path: "apiDomain", domain: apiDomain }] : []),
    ...httpTrackers.map(({ domain }, index) => ({ path: `httpTrackers[${index}].domain`, domain })),
    ...(grafana && grafanaDomain ? [{ path: "grafanaDomain", domain: grafanaDomain }] : []),
  ];
}

/** What an announce URL begins with. */
function udpTrackersWithoutName({
  apiDomain,
  httpTrackers,
  udpTrackers,
}: Pick<ParsedConfig, "apiDomain" | "httpTrackers" | "udpTrackers">): Problem[] {
  if (apiDomain !== "" || httpTrackers.length > 0) return [];
  return udpTrackers.flatMap(({ domain }, index) => {
    const path = `udpTrackers[${index}].domain`;
    const message = `is missing, and neither httpTrackers nor apiDomain has a name that it could share. Run: pulumi config set --path '${path}' udp.example.org`;
    return domain === undefined ? [{ path, message }] : [];
  });
}

function repeatedDomains(config: Readable): Problem[] {
  return repeated(httpsDomains(config), ({ domain }) => domain).map(([{ path, domain }, first]) => ({
    path,
    message: `"${domain}" is already used by ${first.path}. Each service needs a host name of its own.`,
  }));
}

function domainsWithoutCertificate(config: Readable & Pick<ParsedConfig, "acme">): Problem[] {
  const { acme } = config;
  if (acme === "none") return [];
  return httpsDomains(config).flatMap(({ path, domain }) => {
    const reason = reasonWithoutCertificate(domain, isDirectoryUrl(acme));
    if (!reason) return [];
    return [
      {
        path,
        message: `"${domain}" ${reason}, for which ${acme} issues no certificate. Use a public name, or run: pulumi config set acme none`,
      },
    ];
  });
}

/** Why an authority cannot check a name; one of one's own may know names that public DNS does not (RFC 6761, 9476). */
function reasonWithoutCertificate(domain: string, ownAuthority: boolean): string | undefined {
  if (isIP(domain) !== 0) return "is an IP address";
  if (/(^|\.)localhost$/.test(domain)) return "is this machine itself";
  const unknownToAll =
    !domain.includes(".") || /\.(alt|example|internal|invalid|local|onion|test)$/.test(domain);
  return unknownToAll && !ownAuthority ? "is a name that exists in no public DNS" : undefined;
}

/** nginx tells its names apart in the TLS handshake, in which clients send no name for an address (RFC 6066). */
function addressesBehindNginx(config: Readable & Pick<ParsedConfig, "tlsProxy" | "hybrid">): Problem[] {
  return httpsDomains(config)
    .filter(({ path }) => config.tlsProxy === "nginx" || (config.hybrid && path === "grafanaDomain"))
    .filter(({ domain }) => isIP(domain) !== 0)
    .map(({ path, domain }) => ({
      path,
      message: `"${domain}" is an IP address, which nginx cannot serve. Use a host name.`,
    }));
}

function isDirectoryUrl(acme: string): boolean {
  return acme !== "none" && !(acme in acmeDirectories);
}

function hostPortClashes(config: Readable): Problem[] {
  const { httpsPort, httpPort, grafana, grafanaPort, grafanaOnHttps, udpTrackers = [] } = config;
  const served = httpsDomains(config);
  const nginxRuns = served.length > 0 && (config.tlsProxy === "nginx" || config.hybrid);
  const plainHttp = config.httpTrackers?.some((tracker) => tracker.plainHttp);
  const httpsTaken = served.some(({ path }) => path !== "grafanaDomain" || grafanaOnHttps);
  const { target = "local", ssh } = config;
  const sshd = ssh && sshPort({ target, ssh });
  const tcp = [
    ...(sshd ? [{ path: "the host's SSH", port: sshd }] : []),
    ...(httpsPort && httpsTaken ? [{ path: "httpsPort", port: httpsPort }] : []),
    ...(grafana && grafanaOnHttps === false && grafanaPort
      ? [{ path: "grafanaPort", port: grafanaPort }]
      : []),
    ...(httpPort && (nginxRuns || plainHttp) ? [{ path: "httpPort", port: httpPort }] : []),
  ];
  const udp = udpTrackers.map(({ port }, index) => ({ path: `udpTrackers[${index}].port`, port }));
  return [...clashes(tcp, "TCP port", "on the host"), ...clashes(udp, "UDP port", "on the host")];
}

function containerPortClashes({ httpTrackers }: Pick<ParsedConfig, "httpTrackers">): Problem[] {
  return clashes(
    [
      { path: "the tracker's API", port: ports.trackerApi },
      { path: "the tracker's health check", port: ports.trackerHealth },
      ...httpTrackers.map(({ port }, index) => ({ path: `httpTrackers[${index}].port`, port })),
    ],
    "TCP port",
    "in the tracker's container",
  );
}

function clashes(listeners: { path: string; port: number }[], kind: string, where: string): Problem[] {
  return repeated(listeners, ({ port }) => String(port)).map(([{ path, port }, first]) => ({
    path,
    message: `${kind} ${port} is already taken ${where} by ${first.path}. Choose another.`,
  }));
}

/** Pairs every element whose key has been seen before with the first that had it. */
function repeated<T>(items: readonly T[], key: (item: T) => string): [T, T][] {
  const first = new Map<string, T>();
  return items.flatMap((item): [T, T][] => {
    const seen = first.get(key(item));
    if (seen !== undefined) return [[item, seen]];
    first.set(key(item), item);
    return [];
  });
}
