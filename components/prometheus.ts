import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { renderPrometheusConfig, renderTrackerRules, type ProbedEndpoint } from "../configs/prometheus";
import { ports } from "../names";
import type { Secret } from "../settings";
import { dataVolume, serviceContainer, type ConfigFile, type StackContext } from "./service";

export interface PrometheusArgs {
  readonly image: string;
  readonly stack: StackContext;
  /** Seconds. */
  readonly scrapeInterval: number;
  /** Prometheus duration. */
  readonly retention: string;
  /** The tracker itself speaks Prometheus' format; otherwise the JSON exporter translates. */
  readonly native: boolean;
  /** API token of the tracker. */
  readonly token: Secret;
  readonly endpoints: readonly ProbedEndpoint[];
  /** Backups are made. */
  readonly backup: boolean;
}

const folder = "/etc/prometheus";
const tokenFile = `${folder}/tracker-token`;
const rulesFile = `${folder}/tracker.rules.yml`;

/** Prometheus with its data in a volume, reachable on the metrics network only. */
export class Prometheus extends pulumi.ComponentResource {
  public readonly volume: docker.Volume;
  public readonly container: docker.Container;

  constructor(name: string, args: PrometheusArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:Prometheus", name, {}, opts);
    const config = args.token.apply((token) =>
      renderPrometheusConfig({
        scrapeInterval: args.scrapeInterval,
        trackerApi: `tracker:${ports.trackerApi}`,
        tracker: args.native
          ? { kind: "native", tokenFile }
          : { kind: "json", exporter: `json-exporter:${ports.jsonExporter}`, token },
        blackbox: `blackbox:${ports.blackbox}`,
        endpoints: args.endpoints,
        backup: args.backup ? `backup-snapshot:${ports.backupMetrics}` : undefined,
        ruleFiles: args.native ? [rulesFile] : [],
      }),
    );
    const nativeFiles: ConfigFile[] = [
      { path: rulesFile, content: renderTrackerRules() },
      { path: tokenFile, content: pulumi.secret(args.token), private: true },
    ];

    this.volume = dataVolume(name, "prometheus", args.stack, { parent: this });
    this.container = serviceContainer(
      name,
      {
        service: "prometheus",
        image: args.image,
        networks: ["metrics"],
        user: "65534:0",
        command: [
          `--config.file=${folder}/prometheus.yml`,
          "--storage.tsdb.path=/prometheus",
          `--storage.tsdb.retention.time=${args.retention}`,
        ],
        files: [
          { path: `${folder}/prometheus.yml`, content: pulumi.secret(config), private: true },
          ...(args.native ? nativeFiles : []),
        ],
        data: [{ volume: this.volume, path: "/prometheus" }],
        healthCommand: ["wget", "--spider", "-q", `http://127.0.0.1:${ports.prometheus}/-/ready`],
        waitUntilHealthy: true,
        memory: 1024,
      },
      args.stack,
      { parent: this },
    );
    this.registerOutputs({ volume: this.volume.name });
  }
}
