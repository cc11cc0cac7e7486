import type { AlertReceivers } from "../configs/alertmanager";
import type { Endpoints } from "../stack/endpoints";
import type { Images } from "../stack/images";
import type { HostSettings } from "./hosts";
import type { BackupSettings } from "./backup";
import type { Secret } from "./secret";

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

/** Who is told of what goes wrong, and when. */
export interface AlertSettings {
  readonly receivers: AlertReceivers<Secret>;
  /** Seconds that a fault must last before anybody is told. */
  readonly delay: number;
  /** Days before a certificate's end at which its renewal counts as overdue. */
  readonly certificateDays: number;
}

/** The whole configuration of a stack: complete, validated, without a trace of where it came from. */
export interface Settings extends Endpoints {
  readonly stack: string;
  readonly host: HostSettings;
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
  /** Listeners that Pingoo has for HTTPS; with more than one, a guard stands beside it. */
  readonly pingooListeners: number;
  /** Requests a second from one address; 0: without a limit. */
  readonly nginxRateLimit: number;
  readonly prometheus?: {
    /** Seconds. */
    readonly scrapeInterval: number;
    /** Prometheus duration, e.g. `15d`. */
    readonly retention: string;
  };
  /** Absent: nothing is watched over. */
  readonly alerts?: AlertSettings;
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
