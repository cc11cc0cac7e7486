import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import { guardAlerts, guardJob } from "../configs/guard";
import { namesFor } from "../names";
import type { Secret, Settings } from "../settings";
import { probeUrl, sitesOf } from "../sites";
import {
  announceUrls,
  apiUrl,
  grafanaUrl,
  proxyMode,
  trackerUrl,
  type AnnounceUrls,
  type ProxyMode,
} from "../urls";
import { Blackbox } from "./blackbox";
import { Grafana } from "./grafana";
import { JsonExporter } from "./json-exporter";
import { Mysql } from "./mysql";
import { Networks } from "./networks";
import { Prometheus } from "./prometheus";
import { createProxies } from "./proxies";
import type { StackContext } from "./service";
import { Tracker } from "./tracker";

/** Public URLs of the services; absent services are absent. */
export interface Urls {
  readonly api: string;
  readonly trackers: readonly string[];
  readonly grafana?: string;
}

/** Which parts a stack consists of, and how they meet. */
export class TrackerDeployment extends pulumi.ComponentResource {
  public readonly urls: Urls;
  public readonly announceUrls: AnnounceUrls;
  /** Who terminates TLS for what. */
  public readonly mode: ProxyMode;
  /** Token of the tracker's API. */
  public readonly adminToken: Secret;
  /** Password of Grafana's user `admin`. */
  public readonly grafanaAdminPassword?: Secret;
  /** Data volumes by what they hold. */
  public readonly volumes: Readonly<Record<string, pulumi.Output<string>>>;

  constructor(name: string, settings: Settings, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:deployment:TrackerDeployment", name, {}, opts);
    const { images, acme, grafana, prometheus } = settings;
    const child = { parent: this };
    const names = namesFor(pulumi.getProject(), settings.stack, settings.subnet);
    const sites = sitesOf(settings, names);

    this.urls = {
      api: apiUrl(settings),
      trackers: settings.httpTrackers.map((tracker) => trackerUrl(settings, tracker)),
      grafana: grafana && grafanaUrl(grafana),
    };
    this.announceUrls = announceUrls(settings);
    this.mode = proxyMode(settings);

    const generated = (role: string, length: number): Secret =>
      new random.RandomPassword(`${name}-${role}`, { length, special: false }, child).result;
    const metricsToken = prometheus && generated("metrics-token", 48);
    this.adminToken = settings.adminToken ?? generated("admin-token", 48);
    this.grafanaAdminPassword =
      grafana && (settings.grafanaAdminPassword ?? generated("grafana-password", 32));

    const networks = new Networks(
      `${name}-networks`,
      {
        names,
        ipv6: settings.ipv6,
        metrics: prometheus !== undefined,
        database: settings.tracker.database === "mysql",
      },
      child,
    );
    const stack: StackContext = { names, networks, protectData: settings.protectData };

    const certificates = createProxies(name, { stack, settings, sites }, this);

    const mysql =
      settings.tracker.database === "mysql"
        ? new Mysql(`${name}-mysql`, { image: images.mysql, stack }, child)
        : undefined;
    const tracker = new Tracker(
      `${name}-tracker`,
      {
        image: images.tracker,
        stack,
        settings: settings.tracker,
        httpTrackers: settings.httpTrackers,
        udpTrackers: settings.udpTrackers,
        ipv6: settings.ipv6,
        addresses: settings.publishAddresses,
        accessTokens: { admin: this.adminToken, ...(metricsToken && { metrics: metricsToken }) },
        mysql: mysql?.connection,
        metrics: prometheus !== undefined,
      },
      { ...child, dependsOn: mysql },
    );

    const native = settings.tracker.schemaVersion !== "2.0.0";
    if (prometheus && !native)
      new JsonExporter(`${name}-json-exporter`, { image: images.jsonExporter, stack }, child);
    if (prometheus) new Blackbox(`${name}-blackbox`, { image: images.blackbox, stack, acme }, child);
    const prometheusServer =
      prometheus &&
      metricsToken &&
      new Prometheus(
        `${name}-prometheus`,
        {
          image: images.prometheus,
          stack,
          ...prometheus,
          native,
          token: metricsToken,
          endpoints: sites.map((site) => ({ ...site, probeUrl: probeUrl(site, names) })),
          monitored: [{ jobs: [guardJob(names.address("metrics", "pingoo"))], alerts: guardAlerts }],
        },
        child,
      );
    const grafanaServer =
      grafana &&
      prometheus &&
      this.grafanaAdminPassword &&
      new Grafana(
        `${name}-grafana`,
        {
          image: images.grafana,
          stack,
          publicUrl: grafanaUrl(grafana),
          adminPassword: this.grafanaAdminPassword,
          scrapeInterval: prometheus.scrapeInterval,
        },
        child,
      );

    const volumes = {
      tls: certificates.tls,
      letsencrypt: certificates.letsencrypt,
      tracker: tracker.volume,
      mysql: mysql?.volume,
      prometheus: prometheusServer?.volume,
      grafana: grafanaServer?.volume,
    };
    this.volumes = Object.fromEntries(
      Object.entries(volumes).flatMap(([role, volume]) => (volume ? [[role, volume.name]] : [])),
    );
    this.registerOutputs({
      urls: this.urls,
      announceUrls: this.announceUrls,
      mode: this.mode,
      volumes: this.volumes,
    });
  }
}
