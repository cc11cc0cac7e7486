import { isIP } from "node:net";

import { defaultImages } from "./images";
import { ports } from "./names";
import type { ParsedConfig, Problem, Settings } from "./settings";

/** The rules that concern more than one key; each names the key that is easiest to change. */
export function crossFieldProblems(settings: Settings, config: ParsedConfig): Problem[] {
  return [
    ...nothingToServe(settings),
    ...repeatedDomains(settings),
    ...domainsWithoutCertificate(settings),
    ...caWithoutDirectory(settings, config),
    ...hostPortClashes(settings),
    ...containerPortClashes(settings),
    ...grafanaRules(config),
    ...schemaRules(settings),
  ];
}

function nothingToServe({ httpTrackers, udpTrackers }: Settings): Problem[] {
  if (httpTrackers.length > 0 || udpTrackers.length > 0) return [];
  return [
    {
      path: "httpTrackers",
      message:
        "is empty and so is udpTrackers: nobody could announce. Add one, e.g. pulumi config set --path 'udpTrackers[0].port' 6969",
    },
  ];
}

/** Every public host name with the key that set it; a UDP tracker may share its name with any other service. */
export function httpsDomains(settings: Settings): { path: string; domain: string }[] {
  return [
    { path: "apiDomain", domain: settings.apiDomain },
    ...settings.httpTrackers.map(({ domain }, index) => ({ path: `httpTrackers[${index}].domain`, domain })),
    ...(settings.grafana?.domain ? [{ path: "grafanaDomain", domain: settings.grafana.domain }] : []),
  ];
}

function repeatedDomains(settings: Settings): Problem[] {
  return repeated(httpsDomains(settings), ({ domain }) => domain).map(([{ path, domain }, first]) => ({
    path,
    message: `"${domain}" is already used by ${first.path}. Each service needs a host name of its own.`,
  }));
}

function domainsWithoutCertificate(settings: Settings): Problem[] {
  const { acme } = settings;
  if (acme.kind === "none") return [];
  const reserved = /(^|\.)(example|invalid|test|local|internal|onion)$/;
  const isPublic = acme.name !== acme.directoryUrl;
  return httpsDomains(settings).flatMap(({ path, domain }) => {
    const what =
      isIP(domain) !== 0
        ? "is an IP address"
        : /(^|\.)localhost$/.test(domain)
          ? "is this machine itself"
          : isPublic && (reserved.test(domain) || !domain.includes("."))
            ? "is a name that exists in no public DNS"
            : undefined;
    if (!what) return [];
    return [
      {
        path,
        message: `"${domain}" ${what}, for which ${acme.name} issues no certificate. Use a public name, or run: pulumi config set acme none`,
      },
    ];
  });
}

function caWithoutDirectory({ acme }: Settings, config: ParsedConfig): Problem[] {
  if (config.acmeCaCertificate === "" || (acme.kind === "directory" && acme.name === acme.directoryUrl))
    return [];
  return [
    {
      path: "acmeCaCertificate",
      message: `is only for an ACME directory given by its URL, but acme is ${config.acme}. Run: pulumi config rm acmeCaCertificate`,
    },
  ];
}

function hostPortClashes(settings: Settings): Problem[] {
  const tcp = [
    { path: "httpsPort", port: settings.httpsPort },
    ...(settings.grafana?.listener === "tcp" ? [{ path: "grafanaPort", port: settings.grafana.port }] : []),
  ];
  const udp = settings.udpTrackers.map(({ port }, index) => ({ path: `udpTrackers[${index}].port`, port }));
  return [...clashes(tcp, "TCP port", "on the host"), ...clashes(udp, "UDP port", "on the host")];
}

function containerPortClashes({ httpTrackers }: Settings): Problem[] {
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

function grafanaRules(config: ParsedConfig): Problem[] {
  const problems: Problem[] = [];
  if (config.grafana && !config.prometheus)
    problems.push({
      path: "grafana",
      message: "needs Prometheus to show anything. Run: pulumi config set prometheus true",
    });
  if (config.grafana && config.grafanaDomain === "")
    problems.push({
      path: "grafanaDomain",
      message: "is missing. Run: pulumi config set grafanaDomain grafana.example.org",
    });
  if (config.grafanaOnHttps && !config.grafana)
    problems.push({
      path: "grafanaOnHttps",
      message: "is set, but Grafana is off. Run: pulumi config set grafana true",
    });
  return problems;
}

function schemaRules({ tracker, images }: Settings): Problem[] {
  if (tracker.schemaVersion === "3.0.0" && images.tracker === defaultImages.tracker)
    return [
      {
        path: "trackerSchemaVersion",
        message: `3.0.0 is not understood by ${defaultImages.tracker}. Set images.tracker to a development build by digest, or run: pulumi config set trackerSchemaVersion 2.0.0`,
      },
    ];
  return [];
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
