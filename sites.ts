import { ports, type Service } from "./names";
import type { Settings } from "./settings";
import { apiUrl, grafanaUrl, httpsUrl, trackerUrl } from "./urls";

/** A public host name, what stands behind it and who terminates its TLS. */
export interface Site {
  /** Unique: `api`, `http-tracker-<port>`, `grafana`. */
  readonly name: string;
  /** Label of its metrics: `api`, `http-tracker`, `grafana`. */
  readonly kind: string;
  readonly domain: string;
  readonly publicUrl: string;
  /** A page that answers 200 to anybody while the service is well, as containers on the edge network reach it. */
  readonly probeUrl: string;
  readonly proxy: "pingoo" | "nginx";
  /** Port of the proxy's container. */
  readonly proxyPort: number;
  readonly upstream: { readonly service: Service; readonly port: number };
}

/** Every site of a stack: the API, the HTTP trackers, Grafana. */
export function sitesOf(settings: Settings): Site[] {
  const { apiDomain, httpTrackers, tlsProxy, grafana } = settings;
  const api: Site = {
    name: "api",
    kind: "api",
    domain: apiDomain,
    publicUrl: apiUrl(settings),
    probeUrl: httpsUrl(apiDomain, ports.https, "/api/health_check"),
    proxy: tlsProxy,
    proxyPort: ports.https,
    upstream: { service: "tracker", port: ports.trackerApi },
  };
  const trackers = httpTrackers.map((tracker): Site => ({
    name: `http-tracker-${tracker.port}`,
    kind: "http-tracker",
    domain: tracker.domain,
    publicUrl: trackerUrl(settings, tracker),
    probeUrl: httpsUrl(tracker.domain, ports.https, "/health_check"),
    proxy: tlsProxy,
    proxyPort: ports.https,
    upstream: { service: "tracker", port: tracker.port },
  }));
  return [api, ...trackers, ...(grafana ? [grafanaSite(grafana, tlsProxy)] : [])];
}

function grafanaSite(grafana: NonNullable<Settings["grafana"]>, tlsProxy: Settings["tlsProxy"]): Site {
  const { domain, listener } = grafana;
  const proxyPort = listener === "https" ? ports.https : ports.grafanaTls;
  return {
    name: "grafana",
    kind: "grafana",
    domain,
    publicUrl: grafanaUrl(grafana),
    probeUrl: httpsUrl(domain, proxyPort, "/api/health"),
    proxy: listener === "nginx" ? "nginx" : tlsProxy,
    proxyPort,
    upstream: { service: "grafana", port: ports.grafana },
  };
}
