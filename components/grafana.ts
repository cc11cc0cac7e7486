import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import type { DashboardsModel } from "../configs/dashboards";
import type { Dashboard } from "../configs/dashboards/panels";
import {
  dashboardFolder,
  grafanaEnvironment,
  renderDashboardProviders,
  renderDatasources,
  renderGrafanaStart,
} from "../configs/grafana";
import { readScript } from "../scripts";
import { ports } from "../stack/names";
import type { Secret } from "../settings";
import { dataVolume, serviceContainer, type StackContext } from "./service";

export interface GrafanaArgs {
  readonly image: string;
  readonly stack: StackContext;
  /** Where people open it. */
  readonly publicUrl: string;
  readonly adminPassword: Secret;
  /** Seconds between two of Prometheus' scrapes. */
  readonly scrapeInterval: number;
  /** There is an Alertmanager. */
  readonly alerts: boolean;
  /** The tracker has metrics of its own. */
  readonly native: boolean;
  /** The tracker counts completed downloads. */
  readonly countDownloads: boolean;
}

const provisioning = "/etc/grafana/provisioning";
const passwordFile = "/etc/grafana/admin-password";
const startScript = "/opt/torrust/start.sh";

/** Grafana with the provisioned datasource and dashboards. */
export class Grafana extends pulumi.ComponentResource {
  /** Holds users, preferences and annotations. */
  public readonly volume: docker.Volume;
  public readonly container: docker.Container;

  constructor(name: string, args: GrafanaArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:Grafana", name, {}, opts);
    this.volume = dataVolume(name, "grafana", args.stack, { parent: this });
    this.container = serviceContainer(
      name,
      {
        service: "grafana",
        image: args.image,
        networks: ["edge", "metrics"],
        user: "472:0",
        entrypoint: ["/bin/sh", startScript],
        environment: grafanaEnvironment({ publicUrl: args.publicUrl, passwordFile }),
        files: [
          { path: startScript, content: renderGrafanaStart(readScript("grafana-start.sh"), passwordFile) },
          { path: passwordFile, content: pulumi.secret(args.adminPassword), private: true },
          {
            path: `${provisioning}/datasources/torrust.yaml`,
            content: renderDatasources({
              prometheusUrl: `http://prometheus:${ports.prometheus}`,
              scrapeInterval: args.scrapeInterval,
              alertmanagerUrl: args.alerts ? `http://alertmanager:${ports.alertmanager}` : undefined,
            }),
          },
          { path: `${provisioning}/dashboards/torrust.yaml`, content: renderDashboardProviders() },
          ...dashboards(args).map(({ file, json }) => ({
            path: `${dashboardFolder}/${file}`,
            content: json,
          })),
        ],
        data: [{ volume: this.volume, path: "/var/lib/grafana" }],
        healthCommand: ["wget", "--spider", "-q", `http://127.0.0.1:${ports.grafana}/api/health`],
        waitUntilHealthy: true,
        memory: 512,
      },
      args.stack,
      { parent: this },
    );
    this.registerOutputs({ volume: this.volume.name });
  }
}

/** Grafana's library is loaded only for a Grafana: it takes a tenth of a second. */
function dashboards(model: DashboardsModel): Dashboard[] {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { renderDashboards } = require("../configs/dashboards") as typeof import("../configs/dashboards");
  return renderDashboards(model);
}
