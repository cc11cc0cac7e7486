import { isIP } from "node:net";

import type { Endpoints, HttpTracker, TlsProxy } from "./endpoints";
import { ports, type Names } from "./names";
import { apiUrl, grafanaUrl, plainHttpProxy, plainTrackerUrl, trackerUrl } from "./urls";

/** A public host name: who terminates its TLS, where, and what stands behind it. */
export interface Site {
  /** Unique, e.g. `http-tracker-7070`. */
  readonly name: string;
  readonly service: "api" | "http-tracker" | "grafana";
  readonly domain: string;
  readonly publicUrl: string;
  /** Path that answers 200 to everybody while the service is well. */
  readonly healthPath: string;
  readonly proxy: TlsProxy;
  /** Port of the proxy's container. */
  readonly port: number;
  /** Port of the host. */
  readonly hostPort: number;
  /** `address:port`. The address is literal: Pingoo caches a name's for ten minutes, nginx until it is restarted. */
  readonly upstream: string;
  /** Where announces and the like are answered without TLS as well. */
  readonly plain?: { readonly proxy: TlsProxy; readonly publicUrl: string };
}

/**
 * By this name on the edge network probes find who answers plain HTTP, so that they do not change with the proxy: public
 * names lead to who terminates TLS, which may be another one.
 */
export const plainHttpAlias = "plain-http";
/** The same over IPv6. */
export const plainHttpIpv6Alias = "plain-http-ipv6";

/** By this name on the edge network probes find who answers for a site over IPv6, so that they do not change with it either. */
export function ipv6Alias({ name }: Pick<Site, "name">): string {
  return `${name}-ipv6`;
}

/** Every site of a stack. */
export function sitesOf(endpoints: Endpoints, names: Names): Site[] {
  const { apiDomain, httpTrackers, grafana, httpsPort, tlsProxy } = endpoints;
  const upstream = (service: "tracker" | "grafana", port: number) =>
    `${names.address("edge", service)}:${port}`;
  const shared = { proxy: tlsProxy, port: ports.https, hostPort: httpsPort };
  const publicApi = apiUrl(endpoints);
  const api = publicApi !== undefined &&
    apiDomain !== undefined && {
      ...shared,
      name: "api",
      service: "api" as const,
      domain: apiDomain,
      publicUrl: publicApi,
      healthPath: "/api/health_check",
      upstream: upstream("tracker", ports.trackerApi),
    };
  const plainProxy = plainHttpProxy(endpoints);
  const plain = (tracker: HttpTracker): Site["plain"] => {
    const publicUrl = plainTrackerUrl(endpoints, tracker);
    return plainProxy && publicUrl !== undefined ? { proxy: plainProxy, publicUrl } : undefined;
  };
  const trackers = httpTrackers.map((tracker): Site => ({
    ...shared,
    name: `http-tracker-${tracker.port}`,
    service: "http-tracker",
    domain: tracker.domain,
    publicUrl: trackerUrl(endpoints, tracker),
    healthPath: "/health_check",
    upstream: upstream("tracker", tracker.port),
    plain: plain(tracker),
  }));
  const dashboards = grafana && {
    name: "grafana",
    service: "grafana" as const,
    domain: grafana.domain,
    publicUrl: grafanaUrl(grafana),
    healthPath: "/api/health",
    proxy: grafana.proxy,
    port: grafana.listener === "own" ? ports.grafanaTls : ports.https,
    hostPort: grafana.port,
    upstream: upstream("grafana", ports.grafana),
  };
  return [...(api ? [api] : []), ...trackers, ...(dashboards ? [dashboards] : [])];
}

/**
 * Where a container on the edge network reaches a site's health check: by its public name, which is an alias of the proxy
 * in force, so that nobody who probes has to change when the proxy does. An IP address can be nobody's alias.
 */
export function probeUrl({ domain, port, proxy, healthPath }: Site, names: Names): string {
  const host = isIP(domain) ? names.address("edge", proxy) : domain;
  return `https://${host}:${port}${healthPath}`;
}
