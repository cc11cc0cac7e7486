import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { isIP, isIPv6 } from "node:net";

import { guardAlerts, guardJob } from "../configs/guard";
import type { ProbedEndpoint } from "../configs/prometheus";
import { trackerMemoryAlert } from "../configs/tracker-memory";
import type { Secret, Settings } from "../settings";
import { longestPause } from "../settings/cron";
import { ports, type Names } from "../stack/names";
import { runbooksUrl } from "../stack/runbooks";
import { ipv6Alias, plainHttpAlias, plainHttpIpv6Alias, probeUrl, type Site } from "../stack/sites";
import { announceUrls, grafanaUrl } from "../stack/urls";
import { Alertmanager } from "./alertmanager";
import { Blackbox } from "./blackbox";
import { Grafana } from "./grafana";
import { JsonExporter } from "./json-exporter";
import { NodeExporter } from "./node-exporter";
import { Prometheus, type Monitored, type PrometheusArgs } from "./prometheus";
import type { StackContext } from "./service";
import { UdpProbe } from "./udp-probe";

export interface MonitoringArgs {
  readonly stack: StackContext;
  readonly settings: Settings;
  readonly prometheus: NonNullable<Settings["prometheus"]>;
  readonly sites: readonly Site[];
  /** API token of the tracker. */
  readonly token: Secret;
  /** Set where Grafana runs. */
  readonly grafanaAdminPassword?: Secret;
  /** Where others leave metrics as text files. */
  readonly textfiles: docker.Volume;
}

/** Prometheus with what it scrapes and probes, who is told of what it finds, and Grafana that shows it. */
export class Monitoring extends pulumi.ComponentResource {
  public readonly volumes: {
    readonly prometheus: docker.Volume;
    readonly alertmanager?: docker.Volume;
    readonly grafana?: docker.Volume;
  };

  constructor(name: string, args: MonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:monitoring:Monitoring", name, {}, opts);
    const { stack, settings, sites, textfiles } = args;
    const { images, alerts, udpTrackers } = settings;
    // Before there was this component, its parts were the deployment's own.
    const child = (role: string): pulumi.ComponentResourceOptions => ({
      parent: this,
      aliases: [{ name: `torrust-${role}`, parent: opts?.parent }],
    });

    if (!hasOwnMetrics(settings))
      new JsonExporter(
        `${name}-json-exporter`,
        { image: images.jsonExporter, stack },
        child("json-exporter"),
      );
    if (sites.length > 0)
      new Blackbox(
        `${name}-blackbox`,
        { image: images.blackbox, stack, ipv6: servesIpv6(settings) },
        child("blackbox"),
      );
    new NodeExporter(
      `${name}-node-exporter`,
      { image: images.nodeExporter, stack, textfiles },
      child("node-exporter"),
    );
    if (udpTrackers.length > 0)
      new UdpProbe(`${name}-udp-probe`, { image: images.python, stack }, child("udp-probe"));
    const alertmanager = alerts && this.alertmanager(name, alerts, args, child("alertmanager"));
    const prometheus = new Prometheus(`${name}-prometheus`, prometheusArgs(args), {
      ...child("prometheus"),
      // An alert that Alertmanager misses is told again a minute later only.
      dependsOn: alertmanager,
    });
    const grafana = this.grafana(name, args, child("grafana"));

    this.volumes = {
      prometheus: prometheus.volume,
      alertmanager: alertmanager?.volume,
      grafana: grafana?.volume,
    };
    this.registerOutputs({});
  }

  private alertmanager(
    name: string,
    alerts: NonNullable<Settings["alerts"]>,
    { stack, settings, prometheus }: MonitoringArgs,
    opts: pulumi.ComponentResourceOptions,
  ): Alertmanager {
    return new Alertmanager(
      `${name}-alertmanager`,
      {
        image: settings.images.alertmanager,
        stack,
        settings: alerts,
        scrapeInterval: prometheus.scrapeInterval,
        isPublic: settings.acme.kind === "directory",
      },
      opts,
    );
  }

  private grafana(
    name: string,
    { stack, settings, prometheus, grafanaAdminPassword }: MonitoringArgs,
    opts: pulumi.ComponentResourceOptions,
  ): Grafana | undefined {
    const { grafana, alerts, images } = settings;
    if (!grafana || !grafanaAdminPassword) return undefined;
    return new Grafana(
      `${name}-grafana`,
      {
        image: images.grafana,
        stack,
        publicUrl: grafanaUrl(grafana),
        adminPassword: grafanaAdminPassword,
        scrapeInterval: prometheus.scrapeInterval,
        alerts: alerts !== undefined,
        native: hasOwnMetrics(settings),
        countDownloads: settings.tracker.countDownloads,
      },
      opts,
    );
  }
}

/** Release 3.0.0 has no metrics in Prometheus' format. */
const hasOwnMetrics = ({ tracker }: Settings) => tracker.schemaVersion !== "2.0.0";

function prometheusArgs({ stack, settings, prometheus, sites, token }: MonitoringArgs): PrometheusArgs {
  const { acme, alerts, backup, images, udpTrackers } = settings;
  const { names } = stack;
  const urls = announceUrls(settings).udp;
  return {
    image: images.prometheus,
    stack,
    ...prometheus,
    native: hasOwnMetrics(settings),
    token,
    endpoints: sites.flatMap((site) => [
      ...probedEndpoints(site, names),
      ...(servesIpv6(settings) ? probedIpv6Endpoints(site) : []),
    ]),
    udpTrackers: udpTrackers.map(({ port }, index) => ({
      announceUrl: urls[index]!,
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
      backup: backup && { maxAge: longestPause(backup.schedule) + 86_400 },
      runbooks: runbooksUrl(),
    },
    monitored: monitoredParts(settings, names),
  };
}

function probedEndpoints(site: Site, names: Names): ProbedEndpoint[] {
  const { service, domain, publicUrl, healthPath, plain } = site;
  return [
    { service, domain, publicUrl, probeUrl: probeUrl(site, names) },
    ...(plain
      ? [
          {
            service,
            domain,
            publicUrl: plain.publicUrl,
            probeUrl: `http://${plainHttpAlias}:${ports.http}${healthPath}`,
            plain: true,
          },
        ]
      : []),
  ];
}

/** No client comes to an IPv4 address over IPv6. */
function probedIpv6Endpoints(site: Site): ProbedEndpoint[] {
  const { service, domain, publicUrl, port, healthPath, plain } = site;
  if (isIP(domain) !== 0) return [];
  const endpoint = (scheme: string, host: string) => ({
    service,
    domain,
    ipv6: true,
    probeUrl: `${scheme}://${host}${healthPath}`,
  });
  return [
    { ...endpoint("https", `${ipv6Alias(site)}:${port}`), publicUrl },
    ...(plain
      ? [
          {
            ...endpoint("http", `${plainHttpIpv6Alias}:${ports.http}`),
            publicUrl: plain.publicUrl,
            plain: true,
          },
        ]
      : []),
  ];
}

const servesIpv6 = ({ publishAddresses }: Settings) => publishAddresses.some((address) => isIPv6(address));

function monitoredParts({ alerts, backup, tracker }: Settings, names: Names): Monitored[] {
  return [
    { alerts: [trackerMemoryAlert(tracker.memory)] },
    { jobs: [{ name: "node", targets: [`node-exporter:${ports.nodeExporter}`] }] },
    { jobs: [guardJob(names.address("metrics", "pingoo"))], alerts: guardAlerts },
    ...(alerts
      ? [{ jobs: [{ name: "alertmanager", targets: [`alertmanager:${ports.alertmanager}`] }] }]
      : []),
    ...(backup ? [{ jobs: [{ name: "backup", targets: [`backup-snapshot:${ports.backupMetrics}`] }] }] : []),
  ];
}
