import type { Endpoints, GrafanaEndpoint, HttpTracker } from "./endpoints";

/** Public URLs of the services; absent services are absent. */
export interface PublicUrls {
  readonly api: string;
  readonly trackers: readonly string[];
  readonly grafana?: string;
}

/** What people put into their torrents. */
export interface AnnounceUrls {
  readonly http: readonly string[];
  readonly udp: readonly string[];
}

/**
 * Who terminates TLS: `pingoo` (no Grafana), `pingoo-tcp` (Grafana on a listener of its own), `pingoo-https` (Grafana
 * beside API and trackers), `hybrid` (Grafana behind nginx, the rest behind Pingoo), `nginx` (everything behind nginx).
 */
export type ProxyMode = "pingoo" | "pingoo-tcp" | "pingoo-https" | "hybrid" | "nginx";

export function apiUrl({ apiDomain, httpsPort }: Endpoints): string {
  return httpsUrl(apiDomain, httpsPort);
}

export function trackerUrl({ httpsPort }: Endpoints, { domain }: HttpTracker): string {
  return httpsUrl(domain, httpsPort);
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
  return {
    http: endpoints.httpTrackers.map((tracker) => `${trackerUrl(endpoints, tracker)}/announce`),
    udp: endpoints.udpTrackers.map(({ domain, port }) => `udp://${domain}:${port}/announce`),
  };
}

export function proxyMode({ grafana, tlsProxy }: Endpoints): ProxyMode {
  if (tlsProxy === "nginx") return "nginx";
  if (!grafana) return "pingoo";
  if (grafana.proxy === "nginx") return "hybrid";
  return grafana.listener === "own" ? "pingoo-tcp" : "pingoo-https";
}

/** A URL without the port that https implies. */
function httpsUrl(domain: string, port: number): string {
  return port === 443 ? `https://${domain}` : `https://${domain}:${port}`;
}
