import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import { dnsRecords, zoneLine } from "../configs/dns-records";
import { guardAlerts, guardJob } from "../configs/guard";
import { trackerMemoryAlert } from "../configs/tracker-memory";
import { namesFor, ports } from "../stack/names";
import type { Secret, Settings } from "../settings";
import { longestPause } from "../settings/cron";
import { probeUrl, sitesOf } from "../stack/sites";
import {
  announceUrls,
  apiUrl,
  grafanaUrl,
  proxyMode,
  trackerUrl,
  type AnnounceUrls,
  type ProxyMode,
} from "../stack/urls";
import { Alertmanager } from "./alertmanager";
import { Backup } from "./backup";
import { Blackbox } from "./blackbox";
import { Grafana } from "./grafana";
import { JsonExporter } from "./json-exporter";
import { Mysql } from "./mysql";
import { Networks } from "./networks";
import { NodeExporter } from "./node-exporter";
import { Prometheus, type Monitored } from "./prometheus";
import { createProxies } from "./proxies";
import type { Host } from "./hosts";
import { dataVolume, type ServiceFile, type StackContext } from "./service";
import { Tracker } from "./tracker";
import { UdpProbe } from "./udp-probe";

/** Public URLs of the services; absent services are absent. */
export interface Urls {
  readonly api: string;
  readonly trackers: readonly string[];
  readonly grafana?: string;
}

export interface TrackerDeploymentArgs extends Settings {
  /** Where the host is reached; absent: nobody should look whether the names lead there. */
  readonly addresses?: Host["addresses"];
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
  /** The records that lead to the host, as lines of a zone file. */
  public readonly dnsRecords: pulumi.Output<string[]>;
  /** Data volumes by what they hold. */
  public readonly volumes: Readonly<Record<string, pulumi.Output<string>>>;

  constructor(name: string, settings: TrackerDeploymentArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:deployment:TrackerDeployment", name, {}, opts);
    const { images, acme, alerts, grafana, prometheus, udpTrackers } = settings;
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
    const { ipv4 = "", ipv6 } = settings.addresses ?? {};
    const records = pulumi
      .all([ipv4, ipv6])
      .apply(([v4, v6]) => dnsRecords(settings, { ipv4: v4, ipv6: settings.ipv6 ? v6 : undefined }));
    this.dnsRecords = records.apply((lines) => lines.map(zoneLine));

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
    const files: ServiceFile[] = [];
    const stack: StackContext = {
      names,
      networks,
      protectData: settings.protectData,
      onFiles: (rendered) => void files.push(...rendered),
    };

    // Metrics that are written down rather than asked for.
    const textfiles = prometheus && dataVolume(`${name}-textfile`, "textfile", stack, child);

    const certificates = createProxies(name, { stack, settings, sites, records, textfiles }, this);

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
        udpTrackers,
        ipv6: settings.ipv6,
        addresses: settings.publishAddresses,
        accessTokens: { admin: this.adminToken, ...(metricsToken && { metrics: metricsToken }) },
        mysql: mysql?.connection,
        metrics: prometheus !== undefined,
        textfiles,
      },
      { ...child, dependsOn: mysql },
    );

    const native = settings.tracker.schemaVersion !== "2.0.0";
    if (prometheus && !native)
      new JsonExporter(`${name}-json-exporter`, { image: images.jsonExporter, stack }, child);
    if (prometheus) new Blackbox(`${name}-blackbox`, { image: images.blackbox, stack }, child);
    if (textfiles)
      new NodeExporter(`${name}-node-exporter`, { image: images.nodeExporter, stack, textfiles }, child);
    if (prometheus && udpTrackers.length > 0)
      new UdpProbe(`${name}-udp-probe`, { image: images.python, stack }, child);
    const alertmanager =
      alerts &&
      prometheus &&
      new Alertmanager(
        `${name}-alertmanager`,
        {
          image: images.alertmanager,
          stack,
          settings: alerts,
          scrapeInterval: prometheus.scrapeInterval,
          isPublic: acme.kind === "directory",
        },
        child,
      );
    const monitored: Monitored[] = [
      { alerts: [trackerMemoryAlert(settings.tracker.memory)] },
      { jobs: [{ name: "node", targets: [`node-exporter:${ports.nodeExporter}`] }] },
      { jobs: [guardJob(names.address("metrics", "pingoo"))], alerts: guardAlerts },
      ...(alertmanager
        ? [{ jobs: [{ name: "alertmanager", targets: [`alertmanager:${ports.alertmanager}`] }] }]
        : []),
      ...(settings.backup
        ? [{ jobs: [{ name: "backup", targets: [`backup-snapshot:${ports.backupMetrics}`] }] }]
        : []),
    ];
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
          udpTrackers: udpTrackers.map(({ port }, index) => ({
            announceUrl: this.announceUrls.udp[index]!,
            address: `${names.address("metrics", "tracker")}:${port}`,
          })),
          // A directory of one's own issues from a CA of its own, which need not be the one that signed the
          // directory's certificate: only what public authorities issue can be verified here.
          verifiable: acme.kind === "directory" && acme.name === "letsencrypt",
          alerts: alerts && {
            delay: alerts.delay,
            certificateDays: alerts.certificateDays,
            ordered: acme.kind === "directory",
            // A day late.
            backup: settings.backup && { maxAge: longestPause(settings.backup.schedule) + 86_400 },
          },
          monitored,
        },
        // An alert that Alertmanager misses is told again a minute later only.
        { ...child, dependsOn: alertmanager },
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
          alerts: alerts !== undefined,
          native,
          countDownloads: settings.tracker.countDownloads,
        },
        child,
      );

    const backup =
      settings.backup &&
      new Backup(
        `${name}-backup`,
        {
          images,
          stack,
          settings: settings.backup,
          certificates,
          tracker: tracker.volume,
          mysql: mysql?.connection,
          grafana: grafanaServer?.volume,
          files: [...files],
          metrics: prometheus !== undefined,
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
      alertmanager: alertmanager?.volume,
      backup: backup?.volume,
    };
    this.volumes = Object.fromEntries(
      Object.entries(volumes).flatMap(([role, volume]) => (volume ? [[role, volume.name]] : [])),
    );
    this.registerOutputs({
      urls: this.urls,
      announceUrls: this.announceUrls,
      mode: this.mode,
      dnsRecords: this.dnsRecords,
      volumes: this.volumes,
    });
  }
}
