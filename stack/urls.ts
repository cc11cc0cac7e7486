import type { Endpoints, GrafanaEndpoint, HttpTracker, TlsProxy } from "./endpoints";

/** Public URLs of the services; absent services are absent. */
export interface PublicUrls {
  readonly api?: string;
  readonly trackers: readonly string[];
  readonly grafana?: string;
}

/** What people put into their torrents. */
export interface AnnounceUrls {
  /** Those with TLS come first. */
  readonly http: readonly string[];
  readonly udp: readonly string[];
}

/**
 * Who terminates TLS: `none` (nothing but UDP is served), `pingoo` (no Grafana), `pingoo-tcp` (Grafana on a listener of its
 * own), `pingoo-https` (Grafana beside API and trackers), `hybrid` (Grafana behind nginx, the rest behind Pingoo), `nginx`
 * (everything behind nginx).
 */
export type ProxyMode = "none" | "pingoo" | "pingoo-tcp" | "pingoo-https" | "hybrid" | "nginx";

/** Absent: the API is not public. */
export function apiUrl({ apiDomain, httpsPort }: Endpoints): string | undefined {
  return apiDomain && httpsUrl(apiDomain, httpsPort);
}

export function trackerUrl({ httpsPort }: Endpoints, { domain }: HttpTracker): string {
  return httpsUrl(domain, httpsPort);
}

/** Where an HTTP tracker is announced to without TLS; absent: nowhere. */
export function plainTrackerUrl(
  { httpPort }: Endpoints,
  { domain, plainHttp }: HttpTracker,
): string | undefined {
  if (!plainHttp) return undefined;
  return httpPort === 80 ? `http://${domain}` : `http://${domain}:${httpPort}`;
}

export function grafanaUrl({ domain, port }: GrafanaEndpoint): string {
  return httpsUrl(domain, port);
}

export function publicUrls(endpoints: Endpoints): PublicUrls {
  const { httpTrackers, grafana } = endpoints;
  return {
    api: apiUrl(endpoints),
    trackers: httpTrackers.map((tracker) => trackerUrl(endpoints, tracker)),
    grafana: grafana && grafanaUrl(grafana),
  };
}

export function announceUrls(endpoints: Endpoints): AnnounceUrls {
  const { httpTrackers } = endpoints;
  const https = httpTrackers.map((tracker) => trackerUrl(endpoints, tracker));
  const plain = httpTrackers.flatMap((tracker) => plainTrackerUrl(endpoints, tracker) ?? []);
  return {
    http: [...https, ...plain].map((url) => `${url}/announce`),
    udp: endpoints.udpTrackers.map(({ domain, port }) => `udp://${domain}:${port}/announce`),
  };
}

export function proxyMode(endpoints: Endpoints): ProxyMode {
  const { grafana } = endpoints;
  const proxies = proxiesOf(endpoints);
  if (proxies.size === 0) return "none";
  if (proxies.size === 2) return "hybrid";
  if (proxies.has("nginx")) return "nginx";
  if (!grafana) return "pingoo";
  return grafana.listener === "own" ? "pingoo-tcp" : "pingoo-https";
}

/** The programs that terminate TLS for anything. */
export function proxiesOf(endpoints: Endpoints): ReadonlySet<TlsProxy> {
  const { apiDomain, httpTrackers, grafana, tlsProxy } = endpoints;
  return new Set([
    ...(apiDomain !== undefined || httpTrackers.length > 0 ? [tlsProxy] : []),
    ...(grafana ? [grafana.proxy] : []),
  ]);
}

/** Who answers on `httpPort`, if anybody: nginx where it runs, for challenges and redirects, else Pingoo for plain announces. */
export function plainHttpProxy(endpoints: Endpoints): TlsProxy | undefined {
  if (proxiesOf(endpoints).has("nginx")) return "nginx";
  return endpoints.httpTrackers.some(({ plainHttp }) => plainHttp) ? "pingoo" : undefined;
}

/** Whether anything is served on `httpsPort`. */
export function usesHttpsPort({ apiDomain, httpTrackers, grafana }: Endpoints): boolean {
  return apiDomain !== undefined || httpTrackers.length > 0 || grafana?.listener === "https";
}

/** A URL without the port that https implies. */
function httpsUrl(domain: string, port: number): string {
  return port === 443 ? `https://${domain}` : `https://${domain}:${port}`;
}
