import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { renderTrackerConfig, type TrackerDatabase } from "../configs/tracker";
import { trackerHealthCommand } from "../configs/tracker-memory";
import { ports } from "../stack/names";
import type { Secret, Settings } from "../settings";
import type { HttpTracker, UdpTracker } from "../stack/endpoints";
import { dataVolume, serviceContainer, type StackContext } from "./service";

export interface TrackerArgs {
  readonly image: string;
  readonly stack: StackContext;
  readonly settings: Settings["tracker"];
  readonly httpTrackers: readonly HttpTracker[];
  readonly udpTrackers: readonly UdpTracker[];
  readonly ipv6: boolean;
  /** Host addresses on which the UDP trackers are published. */
  readonly addresses: readonly string[];
  /** API tokens by name. */
  readonly accessTokens: Readonly<Record<string, Secret>>;
  /** A server to use instead of SQLite. */
  readonly mysql?: MysqlConnection;
  /** Whether Prometheus reaches the API. */
  readonly metrics: boolean;
  /** Where it leaves metrics as a text file; absent: nobody reads them. */
  readonly textfiles?: docker.Volume;
}

export interface MysqlConnection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: Secret;
  readonly database: string;
}

const configFile = "/etc/torrust/tracker/tracker.toml";
/** Not below /var/lib/torrust, all of which the image's entry script gives to the tracker's user alone. */
const metricsFolder = "/metrics";

/** Torrust Tracker: its API and HTTP trackers behind the proxy, its UDP trackers published. */
export class Tracker extends pulumi.ComponentResource {
  /** Holds the SQLite database. */
  public readonly volume: docker.Volume;
  public readonly container: docker.Container;

  constructor(name: string, args: TrackerArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:Tracker", name, {}, opts);
    const { settings, mysql, textfiles } = args;
    const driver = mysql ? "mysql" : "sqlite3";
    const config = pulumi
      .all([pulumi.all(args.accessTokens), mysql?.password])
      .apply(([accessTokens, password]) =>
        renderTrackerConfig({
          schemaVersion: settings.schemaVersion,
          mode: settings.mode,
          announceInterval: settings.announceInterval,
          countDownloads: settings.countDownloads,
          database: database(mysql, password),
          httpPorts: args.httpTrackers.map(({ port }) => port),
          udpPorts: args.udpTrackers.map(({ port }) => port),
          apiPort: ports.trackerApi,
          healthPort: ports.trackerHealth,
          ipv6: args.ipv6,
          accessTokens,
        }),
      );

    this.volume = dataVolume(name, "tracker", args.stack, { parent: this });
    this.container = serviceContainer(
      name,
      {
        service: "tracker",
        image: args.image,
        networks: [
          "edge",
          ...(args.metrics ? ["metrics" as const] : []),
          ...(mysql ? ["database" as const] : []),
        ],
        environment: {
          TORRUST_TRACKER_CONFIG_TOML_PATH: configFile,
          // Asked for by the image's entry script, which picks its default configuration by it.
          TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__DATABASE__DRIVER: driver,
          USER_ID: "1000",
        },
        files: [{ path: configFile, content: pulumi.secret(config), private: true }],
        data: [
          { volume: this.volume, path: "/var/lib/torrust/tracker" },
          ...(textfiles ? [{ volume: textfiles, path: metricsFolder }] : []),
        ],
        // The entry script starts as root, makes a user, gives it the files and becomes it.
        capabilities: ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_SETGID", "CAP_SETUID"],
        publish: args.addresses.flatMap((address) =>
          args.udpTrackers.map(({ port }) => ({
            host: port,
            container: port,
            protocol: "udp" as const,
            address,
          })),
        ),
        healthCommand: textfiles && trackerHealthCommand(ports.trackerHealth, metricsFolder),
        waitUntilHealthy: true,
        // Release 3.0.0 ignores SIGTERM.
        stopSignal: "SIGINT",
        // Its successors let requests in flight finish for up to 25 s, and ask for 35 (torrust-tracker#1488).
        graceSeconds: settings.schemaVersion === "2.0.0" ? undefined : 35,
        memory: settings.memory,
        // An IPv6 socket of its own for each UDP tracker; otherwise IPv4 peers would appear as ::ffff:a.b.c.d.
        sysctls: args.ipv6 ? { "net.ipv6.bindv6only": "1" } : undefined,
      },
      args.stack,
      { parent: this },
    );
    this.registerOutputs({ volume: this.volume.name });
  }
}

function database(mysql: MysqlConnection | undefined, password: string | undefined): TrackerDatabase {
  if (!mysql) return { driver: "sqlite3", path: "/var/lib/torrust/tracker/database/sqlite3.db" };
  const { host, port, user, database } = mysql;
  return { driver: "mysql", host, port, user, password: password ?? "", database };
}
