import type { AlertReceivers } from "../configs/alertmanager";
import type { Images } from "../stack/images";
import type { HostSettings } from "./hosts";
import type { BackupSettings } from "./backup";
import type { Secret } from "./secret";

export interface HttpTracker {
  /** Public host name. */
  readonly domain: string;
  /** TCP port inside the tracker's container. */
  readonly port: number;
}

export interface UdpTracker {
  /** UDP port, the same in the container and on the host. */
  readonly port: number;
  /** Host name used in the announce URL. */
  readonly domain: string;
}

/** Who issues certificates; with `none` they are self-signed. */
export type Acme =
  | { readonly kind: "none" }
  | {
      readonly kind: "directory";
      /** The config value, for people: `letsencrypt`, `letsencrypt-staging` or the URL. */
      readonly name: string;
      readonly directoryUrl: string;
      /** PEM of the CA that signed the directory's own certificate, where it is not a public one. */
      readonly caCertificate?: string;
      /** Contact that certbot registers with; Pingoo needs none. */
      readonly email?: string;
    };

/** A program that terminates TLS. */
export type TlsProxy = "pingoo" | "nginx";

/** How Grafana is reached, if it runs at all. */
export type GrafanaSettings = {
  readonly domain: string;
  /** Host port in its public URL. */
  readonly port: number;
  /** `own`: a port of its own, where WebSockets pass. `https`: beside API and HTTP trackers. */
  readonly listener: "own" | "https";
  readonly proxy: TlsProxy;
};

/** Who is told of what goes wrong, and when. */
export interface AlertSettings {
  readonly receivers: AlertReceivers<Secret>;
  /** Seconds that a fault must last before anybody is told. */
  readonly delay: number;
  /** Days before a certificate's end at which its renewal counts as overdue. */
  readonly certificateDays: number;
}

/** The whole configuration of a stack: complete, validated, without a trace of where it came from. */
export interface Settings {
  readonly stack: string;
  readonly host: HostSettings;
  readonly apiDomain: string;
  readonly httpTrackers: readonly HttpTracker[];
  readonly udpTrackers: readonly UdpTracker[];
  readonly tracker: {
    readonly mode: "public" | "listed" | "private";
    readonly schemaVersion: "2.0.0" | "3.0.0";
    /** Seconds. */
    readonly announceInterval: number;
    /** Completed downloads are counted in the database. */
    readonly countDownloads: boolean;
    /** Megabytes that it may take. */
    readonly memory: number;
    readonly database: "sqlite" | "mysql";
  };
  readonly acme: Acme;
  /** Who terminates TLS for API and HTTP trackers. */
  readonly tlsProxy: TlsProxy;
  /** Listeners that Pingoo has for HTTPS; with more than one, a guard stands beside it. */
  readonly pingooListeners: number;
  /** Requests a second from one address; 0: without a limit. */
  readonly nginxRateLimit: number;
  readonly httpsPort: number;
  /** Host port of HTTP-01 challenges and redirects; taken only where nginx runs. */
  readonly httpPort: number;
  readonly prometheus?: {
    /** Seconds. */
    readonly scrapeInterval: number;
    /** Prometheus duration, e.g. `15d`. */
    readonly retention: string;
  };
  /** Absent: nothing is watched over. */
  readonly alerts?: AlertSettings;
  readonly grafana?: GrafanaSettings;
  /** Host addresses; IPv6 ones only where the tracker has IPv6. */
  readonly publishAddresses: readonly string[];
  readonly ipv6: boolean;
  /** IPv4 /24 in CIDR form. */
  readonly subnet: string;
  readonly images: Images;
  readonly protectData: boolean;
  /** Whether certificates are ordered only once the names lead to the host; absent: nobody looks. */
  readonly dnsCheck?: {
    readonly mode: "require" | "warn";
    /** Seconds to wait for them. */
    readonly timeout: number;
  };
  readonly backup?: BackupSettings;
  /** Set by the user; generated when absent. */
  readonly adminToken?: Secret;
  /** Set by the user; generated when absent. */
  readonly grafanaAdminPassword?: Secret;
}
