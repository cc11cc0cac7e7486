import type * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import { dnsRecords, zoneLine, type DnsRecord } from "../configs/dns-records";
import type { BackupSettings, Secret, Settings } from "../settings";
import { namesFor, type Names } from "../stack/names";
import { sitesOf } from "../stack/sites";
import {
  announceUrls,
  proxyMode,
  publicUrls,
  type AnnounceUrls,
  type ProxyMode,
  type PublicUrls,
} from "../stack/urls";
import { Backup } from "./backup";
import type { Host } from "./hosts";
import { Monitoring } from "./monitoring";
import { Mysql } from "./mysql";
import { Networks, type NetworksArgs } from "./networks";
import { createProxies } from "./proxies";
import { dataVolume, type ServiceFile, type StackContext } from "./service";
import { Tracker, type TrackerArgs } from "./tracker";

export interface TrackerDeploymentArgs extends Settings {
  /** Where the host is reached; absent: nobody should look whether the names lead there. */
  readonly addresses?: Host["addresses"];
}

/** Which parts a stack consists of, and how they meet. */
export class TrackerDeployment extends pulumi.ComponentResource {
  public readonly urls: PublicUrls;
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
    const { grafana, prometheus } = settings;
    const child = { parent: this };
    const names = namesFor(pulumi.getProject(), settings.stack, settings.subnet);
    const sites = sitesOf(settings, names);
    const records = recordsOf(settings);
    this.urls = publicUrls(settings);
    this.announceUrls = announceUrls(settings);
    this.mode = proxyMode(settings);
    this.dnsRecords = records.apply((lines) => lines.map(zoneLine));

    const generated = (role: string, length: number): Secret =>
      new random.RandomPassword(`${name}-${role}`, { length, special: false }, child).result;
    this.adminToken = settings.adminToken ?? generated("admin-token", 48);
    this.grafanaAdminPassword =
      grafana && (settings.grafanaAdminPassword ?? generated("grafana-password", 32));

    const files: ServiceFile[] = [];
    const networks = new Networks(`${name}-networks`, networksArgs(settings, names), child);
    const stack: StackContext = {
      names,
      networks,
      protectData: settings.protectData,
      onFiles: (rendered) => void files.push(...rendered),
    };
    const measured = prometheus && {
      prometheus,
      token: generated("metrics-token", 48),
      textfiles: dataVolume(`${name}-textfile`, "textfile", stack, child),
    };

    const { textfiles } = measured ?? {};
    const certificates = createProxies(name, { stack, settings, sites, records, textfiles }, this);
    const mysql = hasMysql(settings)
      ? new Mysql(`${name}-mysql`, { image: settings.images.mysql, stack }, child)
      : undefined;
    const tracker = new Tracker(
      `${name}-tracker`,
      {
        ...trackerArgs(settings, stack),
        accessTokens: { admin: this.adminToken, ...(measured && { metrics: measured.token }) },
        mysql: mysql?.connection,
        textfiles,
      },
      { ...child, dependsOn: mysql },
    );
    const { grafanaAdminPassword } = this;
    const monitoring =
      measured &&
      new Monitoring(
        `${name}-monitoring`,
        { stack, settings, sites, grafanaAdminPassword, ...measured },
        child,
      );
    const kept = { certificates, tracker: tracker.volume, grafana: monitoring?.volumes.grafana };
    const backup =
      settings.backup &&
      new Backup(
        `${name}-backup`,
        {
          ...backupArgs(settings, settings.backup, stack),
          ...kept,
          mysql: mysql?.connection,
          files: [...files],
        },
        child,
      );

    this.volumes = volumeNames({
      tls: certificates.tls,
      letsencrypt: certificates.letsencrypt,
      tracker: tracker.volume,
      mysql: mysql?.volume,
      ...monitoring?.volumes,
      backup: backup?.volume,
    });
    this.registerOutputs({
      urls: this.urls,
      announceUrls: this.announceUrls,
      mode: this.mode,
      dnsRecords: this.dnsRecords,
      volumes: this.volumes,
    });
  }
}

function recordsOf(settings: TrackerDeploymentArgs): pulumi.Output<DnsRecord[]> {
  const { ipv4 = "", ipv6 } = settings.addresses ?? {};
  return pulumi.all([ipv4, ipv6]).apply(([v4, v6]) => dnsRecords(settings, { ipv4: v4, ipv6: v6 }));
}

const hasMysql = ({ tracker }: Settings) => tracker.database === "mysql";

function networksArgs(settings: Settings, names: Names): NetworksArgs {
  return {
    names,
    ipv6: settings.ipv6,
    metrics: settings.prometheus !== undefined,
    database: hasMysql(settings),
  };
}

function trackerArgs(settings: Settings, stack: StackContext): Omit<TrackerArgs, "accessTokens" | "mysql"> {
  return {
    image: settings.images.tracker,
    stack,
    settings: settings.tracker,
    httpTrackers: settings.httpTrackers,
    udpTrackers: settings.udpTrackers,
    ipv6: settings.ipv6,
    addresses: settings.publishAddresses,
    metrics: settings.prometheus !== undefined,
  };
}

function backupArgs({ images, prometheus }: Settings, settings: BackupSettings, stack: StackContext) {
  return { images, stack, settings, metrics: prometheus !== undefined };
}

function volumeNames(volumes: Readonly<Record<string, docker.Volume | undefined>>) {
  return Object.fromEntries(
    Object.entries(volumes).flatMap(([role, volume]) => (volume ? [[role, volume.name]] : [])),
  );
}
