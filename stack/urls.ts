import type { GrafanaSettings, HttpTracker, Settings, TlsProxy } from "../settings";

/** What people put into their torrents. */
export interface AnnounceUrls {
  readonly http: readonly string[];
  readonly udp: readonly string[];
}

/**
 * Who terminates TLS: `none` (there is nothing but UDP trackers), `pingoo` (no Grafana), `pingoo-tcp` (Grafana on a listener of its own), `pingoo-https` (Grafana
 * beside API and trackers), `hybrid` (Grafana behind nginx, the rest behind Pingoo), `nginx` (everything behind nginx).
 */
export type ProxyMode = "none" | "pingoo" | "pingoo-tcp" | "pingoo-https" | "hybrid" | "nginx";

/** Absent: the API is not public. */
export function apiUrl({ apiDomain, httpsPort }: Settings): string | undefined {
  return apiDomain && httpsUrl(apiDomain, httpsPort);
}

export function trackerUrl({ httpsPort }: Settings, { domain }: HttpTracker): string {
  return httpsUrl(domain, httpsPort);
}

export function grafanaUrl({ domain, port }: GrafanaSettings): string {
  return httpsUrl(domain, port);
}

export function announceUrls(settings: Settings): AnnounceUrls {
  return {
    http: settings.httpTrackers.map((tracker) => `${trackerUrl(settings, tracker)}/announce`),
    udp: settings.udpTrackers.map(({ domain, port }) => `udp://${domain}:${port}/announce`),
  };
}

export function proxyMode(settings: Settings): ProxyMode {
  const { grafana } = settings;
  const proxies = proxiesOf(settings);
  if (proxies.size === 0) return "none";
  if (proxies.size === 2) return "hybrid";
  if (proxies.has("nginx")) return "nginx";
  if (!grafana) return "pingoo";
  return grafana.listener === "own" ? "pingoo-tcp" : "pingoo-https";
}

/** The programs that terminate TLS for anything. */
export function proxiesOf(settings: Settings): ReadonlySet<TlsProxy> {
  const { apiDomain, httpTrackers, grafana, tlsProxy } = settings;
  return new Set([
    ...(apiDomain !== undefined || httpTrackers.length > 0 ? [tlsProxy] : []),
    ...(grafana ? [grafana.proxy] : []),
  ]);
}

/** Whether anything is served on `httpsPort`. */
export function usesHttpsPort({ apiDomain, httpTrackers, grafana }: Settings): boolean {
  return apiDomain !== undefined || httpTrackers.length > 0 || grafana?.listener === "https";
}

/** A URL without the port that https implies. */
function httpsUrl(domain: string, port: number): string {
  return port === 443 ? `https://${domain}` : `https://${domain}:${port}`;
}
