/** A program that terminates TLS. */
export type TlsProxy = "pingoo" | "nginx";

export interface HttpTracker {
  /** Public host name. */
  readonly domain: string;
  /** TCP port inside the tracker's container. */
  readonly port: number;
  /** Announces and the like are answered on `httpPort` as well, without TLS. */
  readonly plainHttp: boolean;
}

export interface UdpTracker {
  /** UDP port, the same in the container and on the host. */
  readonly port: number;
  /** Host name used in the announce URL. */
  readonly domain: string;
}

/** How Grafana is reached, if it runs at all. */
export interface GrafanaEndpoint {
  readonly domain: string;
  /** Host port in its public URL. */
  readonly port: number;
  /** `own`: a port of its own, where WebSockets pass. `https`: beside API and HTTP trackers. */
  readonly listener: "own" | "https";
  readonly proxy: TlsProxy;
}

/** What a stack serves to the world, by which names, on which ports of its host. */
export interface Endpoints {
  /** Absent: the API is not public. */
  readonly apiDomain?: string;
  readonly httpTrackers: readonly HttpTracker[];
  readonly udpTrackers: readonly UdpTracker[];
  readonly grafana?: GrafanaEndpoint;
  /** Who terminates TLS for API and HTTP trackers. */
  readonly tlsProxy: TlsProxy;
  readonly httpsPort: number;
  /** Host port of plain HTTP: of nginx where it runs, else of Pingoo where a tracker has `plainHttp`, else of nobody. */
  readonly httpPort: number;
}
