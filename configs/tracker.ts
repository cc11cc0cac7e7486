import { stringify } from "smol-toml";

/** Where the tracker keeps torrents, keys and the whitelist. */
export type TrackerDatabase =
  | { readonly driver: "sqlite3"; readonly path: string }
  | {
      readonly driver: "mysql";
      readonly host: string;
      readonly port: number;
      readonly user: string;
      readonly password: string;
      readonly database: string;
    };

export interface TrackerModel {
  readonly schemaVersion: "2.0.0" | "3.0.0";
  readonly mode: "public" | "listed" | "private";
  /** Seconds. */
  readonly announceInterval: number;
  /** Completed downloads are counted in the database. */
  readonly countDownloads: boolean;
  readonly database: TrackerDatabase;
  /** Ports of the HTTP trackers, reached through the proxy only. */
  readonly httpPorts: readonly number[];
  readonly udpPorts: readonly number[];
  readonly apiPort: number;
  readonly healthPort: number;
  /** UDP trackers also listen on IPv6, on sockets of their own, so that IPv4 peers keep plain IPv4 addresses. */
  readonly ipv6: boolean;
  /** API tokens by name; all of them may do everything. */
  readonly accessTokens: Readonly<Record<string, string>>;
}

/** Renders tracker.toml for Torrust Tracker: schema 2.0.0 for release 3.0.0, schema 3.0.0 for its successor. */
export function renderTrackerConfig(model: TrackerModel): string {
  const render = model.schemaVersion === "2.0.0" ? schema2 : schema3;
  return stringify(render(model));
}

function schema2(model: TrackerModel) {
  return {
    metadata: metadata(model),
    // At level info a failed API request is logged with its URL, token included.
    logging: { threshold: "warn" },
    core: {
      ...core(model),
      database: dataSource(model.database),
      net: { on_reverse_proxy: model.httpPorts.length > 0 },
    },
    udp_trackers: udpAddresses(model).map((bind_address) => ({ bind_address })),
    http_trackers: model.httpPorts.map((port) => ({ bind_address: `0.0.0.0:${port}` })),
    ...interfaces(model),
  };
}

function schema3(model: TrackerModel) {
  return {
    metadata: metadata(model),
    logging: { trace_filter: "warn", trace_style: "full" },
    core: { ...core(model), database: { ...model.database } },
    // Without tracker_usage_statistics a listener's own metrics stay at zero.
    udp_trackers: udpAddresses(model).map((bind_address) => ({
      bind_address,
      tracker_usage_statistics: true,
      network: { ipv6_v6only: bind_address.startsWith("[") },
    })),
    http_trackers: model.httpPorts.map((port) => ({
      bind_address: `0.0.0.0:${port}`,
      tracker_usage_statistics: true,
      network: { on_reverse_proxy: true },
    })),
    ...interfaces(model),
  };
}

function metadata({ schemaVersion }: TrackerModel) {
  return { app: "torrust-tracker", purpose: "configuration", schema_version: schemaVersion };
}

/** Seconds without an announce after which a peer is gone: one of its announces may be lost, and it may be late. */
function peerTimeout(announceInterval: number): number {
  return Math.max(900, 2 * announceInterval + 300);
}

function core({ mode, announceInterval, countDownloads }: TrackerModel) {
  return {
    listed: mode === "listed",
    private: mode === "private",
    announce_policy: { interval: announceInterval, interval_min: announceInterval },
    tracker_policy: {
      max_peer_timeout: peerTimeout(announceInterval),
      persistent_torrent_completed_stat: countDownloads,
    },
  };
}

function interfaces({ apiPort, healthPort, accessTokens }: TrackerModel) {
  return {
    http_api: { bind_address: `0.0.0.0:${apiPort}`, access_tokens: { ...accessTokens } },
    health_check_api: { bind_address: `127.0.0.1:${healthPort}` },
  };
}

function udpAddresses({ udpPorts, ipv6 }: TrackerModel): string[] {
  return udpPorts.flatMap((port) => (ipv6 ? [`0.0.0.0:${port}`, `[::]:${port}`] : [`0.0.0.0:${port}`]));
}

/** Schema 2 names a MySQL database by URL, in which user and password are percent-encoded (RFC 3986). */
function dataSource(database: TrackerDatabase) {
  if (database.driver === "sqlite3") return { ...database };
  const { user, password, host, port } = database;
  const authority = `${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}:${port}`;
  return { driver: "mysql", path: `mysql://${authority}/${database.database}` };
}
