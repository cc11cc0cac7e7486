import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { renderAlertRules, type Alert, type AlertModel } from "../configs/alerts";
import {
  renderPrometheusConfig,
  renderTrackerRules,
  type ProbedEndpoint,
  type ProbedUdpTracker,
  type ScrapeJob,
} from "../configs/prometheus";
import { ports } from "../stack/names";
import type { Secret } from "../settings";
import { dataVolume, serviceContainer, type ConfigFile, type StackContext } from "./service";

/** What a part of the stack adds to monitoring: metrics to read, and alerts about them. */
export interface Monitored {
  readonly jobs?: readonly ScrapeJob[];
  readonly alerts?: readonly Alert[];
}

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
  readonly udpTrackers: readonly ProbedUdpTracker[];
  /** Certificates are such as anybody can verify. */
  readonly verifiable: boolean;
  /** Absent: there is no Alertmanager, and no alert. */
  readonly alerts?: Omit<AlertModel, "more" | "verifiable" | "scrapeInterval">;
  readonly monitored: readonly Monitored[];
}

const folder = "/etc/prometheus";
const tokenFile = `${folder}/tracker-token`;
const rulesFile = `${folder}/tracker.rules.yml`;
const alertsFile = `${folder}/alerts.rules.yml`;

/** Prometheus with its data in a volume, reachable on the metrics network only. */
export class Prometheus extends pulumi.ComponentResource {
  public readonly volume: docker.Volume;
  public readonly container: docker.Container;

  constructor(name: string, args: PrometheusArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:Prometheus", name, {}, opts);
    this.volume = dataVolume(name, "prometheus", args.stack, { parent: this });
    this.container = serviceContainer(
      name,
      {
        service: "prometheus",
        image: args.image,
        networks: ["metrics"],
        // There is always an answer to who has these names: without one, Prometheus would go on with the last one.
        metricsAliases: args.monitored.flatMap(({ jobs = [] }) =>
          jobs.flatMap(({ sought }) => sought?.name ?? []),
        ),
        user: "65534:0",
        command: [
          `--config.file=${folder}/prometheus.yml`,
          "--storage.tsdb.path=/prometheus",
          `--storage.tsdb.retention.time=${args.retention}`,
        ],
        files: [
          { path: `${folder}/prometheus.yml`, content: pulumi.secret(config(args)), private: true },
          ...(args.native ? nativeFiles(args.token) : []),
          ...alertFiles(args),
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

function config({ token, alerts, monitored, ...args }: PrometheusArgs): pulumi.Output<string> {
  return token.apply((token) =>
    renderPrometheusConfig({
      scrapeInterval: args.scrapeInterval,
      trackerApi: `tracker:${ports.trackerApi}`,
      tracker: args.native
        ? { kind: "native", tokenFile }
        : { kind: "json", exporter: `json-exporter:${ports.jsonExporter}`, token },
      blackbox: `blackbox:${ports.blackbox}`,
      endpoints: args.endpoints,
      verifiable: args.verifiable,
      udpProbe: `udp-probe:${ports.udpProbe}`,
      udpTrackers: args.udpTrackers,
      jobs: monitored.flatMap(({ jobs = [] }) => jobs),
      alertmanager: alerts && `alertmanager:${ports.alertmanager}`,
      ruleFiles: [...(args.native ? [rulesFile] : []), ...(alerts ? [alertsFile] : [])],
    }),
  );
}

function nativeFiles(token: Secret): ConfigFile[] {
  return [
    { path: rulesFile, content: renderTrackerRules() },
    { path: tokenFile, content: pulumi.secret(token), private: true },
  ];
}

function alertFiles({ alerts, scrapeInterval, verifiable, monitored }: PrometheusArgs): ConfigFile[] {
  if (!alerts) return [];
  const more = monitored.flatMap((part) => part.alerts ?? []);
  return [{ path: alertsFile, content: renderAlertRules({ ...alerts, scrapeInterval, verifiable, more }) }];
}
