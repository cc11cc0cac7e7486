import * as pulumi from "@pulumi/pulumi";
import { isIPv4 } from "node:net";

import { secretFiles, type AlertReceivers } from "../configs/alertmanager";
import { defaultImages } from "../stack/images";
import { defaultSubnet } from "../stack/names";
import { completeHost, tokenProblems } from "./hosts";
import { completeBackup } from "./backup";
import { trackerMemory } from "./memory";
import { crossFieldProblems } from "./rules";
import { acmeDirectories, parseConfig, type ParsedConfig } from "./schema";
import { SettingsError, type Problem } from "./problems";
import type { Secret } from "./secret";
import type { Acme, Settings } from "./types";
import { warningsOf } from "./warnings";

export { configKeys, secretKeys } from "./schema";
export * from "./problems";
export type { Secret } from "./secret";
export * from "./types";
export type { HetznerSettings, HostSettings, SshHostSettings } from "./hosts";
export type { BackupPart, BackupSettings } from "./backup";

/**
 * Reads the running program's configuration.
 *
 * @throws {SettingsError} naming every problem at once
 */
export function readSettings(): Settings {
  const config = new pulumi.Config();
  const prefix = `${pulumi.getProject()}:`;
  const raw = Object.fromEntries(
    Object.entries(pulumi.runtime.allConfig())
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), value]),
  );
  const result = parseSettings(raw, pulumi.getProject(), pulumi.getStack());
  const hcloudToken = new pulumi.Config("hcloud").get("token") ?? process.env.HCLOUD_TOKEN;
  const problems = [
    ...("problems" in result ? result.problems : []),
    ...tokenProblems(raw.target, hcloudToken),
  ];
  if ("problems" in result || problems.length > 0) throw new SettingsError(pulumi.getStack(), problems);
  warnOfClearText(result.settings, `${prefix}alertReceivers`);
  for (const warning of warningsOf(result.settings)) void pulumi.log.warn(warning);
  return {
    ...result.settings,
    adminToken: config.getSecret("adminToken"),
    grafanaAdminPassword: config.getSecret("grafanaAdminPassword"),
  };
}

/**
 * Turns raw configuration into settings, or into the list of all its problems. Pure.
 *
 * @param raw key to text as the Pulumi engine hands it over: objects and lists as JSON, the defaults of Pulumi.yaml filled in
 */
export function parseSettings(
  raw: Readonly<Record<string, string>>,
  project: string,
  stack: string,
): { settings: Settings } | { problems: readonly Problem[] } {
  const { config, problems } = parseConfig(raw);
  const all = [...problems, ...crossFieldProblems(config)];
  // Without a problem every key has been parsed.
  return all.length > 0 ? { problems: all } : { settings: complete(config as ParsedConfig, project, stack) };
}

function complete(config: ParsedConfig, project: string, stack: string): Settings {
  const apiDomain = config.apiDomain || undefined;
  const sharedDomain = config.httpTrackers[0]?.domain ?? apiDomain;
  // A machine on Hetzner Cloud always has IPv6, and its engine is set up for it.
  const ipv6 = config.ipv6 || config.target === "hetzner";
  return {
    stack,
    host: completeHost(config),
    apiDomain,
    httpTrackers: config.httpTrackers,
    // Where there is no name to share, each has its own: the rules ask for it.
    udpTrackers: config.udpTrackers.map(({ port, domain }) => ({ port, domain: (domain ?? sharedDomain)! })),
    tracker: {
      mode: config.trackerMode,
      schemaVersion: config.trackerSchemaVersion,
      announceInterval: config.announceInterval,
      countDownloads: config.countDownloads,
      memory: trackerMemory(config),
      database: config.database,
    },
    acme: toAcme(config),
    tlsProxy: config.tlsProxy,
    pingooListeners: config.pingooListeners,
    nginxRateLimit: config.nginxRateLimit,
    httpsPort: config.httpsPort,
    httpPort: config.httpPort,
    prometheus: config.prometheus
      ? { scrapeInterval: config.prometheusScrapeInterval, retention: config.prometheusRetention }
      : undefined,
    alerts:
      config.prometheus && config.alerts
        ? {
            receivers: sealed(config.alertReceivers),
            delay: config.alertDelay,
            certificateDays: config.alertCertificateDays,
          }
        : undefined,
    grafana: config.grafana
      ? {
          domain: config.grafanaDomain,
          port: config.grafanaOnHttps ? config.httpsPort : config.grafanaPort,
          listener: config.grafanaOnHttps ? "https" : "own",
          proxy: config.hybrid ? "nginx" : config.tlsProxy,
        }
      : undefined,
    // Without an IPv6 address of its own the tracker would take peers over IPv6 for the engine's gateway.
    publishAddresses: config.publishAddresses.filter((address) => ipv6 || isIPv4(address)),
    ipv6,
    subnet: config.subnet || defaultSubnet(project, stack),
    images: { ...defaultImages, ...config.images },
    protectData: config.protectData,
    dnsCheck: toDnsCheck(config),
    backup: completeBackup(config.backup, config),
  };
}

/** The receivers' secrets are secret from here on; in the stack's file they may stand for everybody to read. */
function warnOfClearText({ alerts }: Settings, key: string): void {
  // A function of the runtime that its types leave out.
  const { isConfigSecret } = pulumi.runtime as unknown as { isConfigSecret?: (key: string) => boolean };
  if (!alerts || secretFiles(alerts.receivers).length === 0 || isConfigSecret?.(key) !== false) return;
  void pulumi.log.warn(
    "alertReceivers stand in the stack's file as clear text, URLs and tokens included. Set them again with --secret, e.g. pulumi config set --secret --path alertReceivers.slack.url https://…",
  );
}

/** The receivers' secrets as secrets of Pulumi's, however they were set. */
function sealed({
  webhook,
  ntfy,
  email,
  slack,
  discord,
  telegram,
  heartbeat,
}: AlertReceivers<string>): AlertReceivers<Secret> {
  const seal = (value: string) => pulumi.secret(value);
  const optional = (value: string | undefined) => (value === undefined ? undefined : seal(value));
  return {
    webhook: webhook && { url: seal(webhook.url), token: optional(webhook.token) },
    ntfy: ntfy && { url: seal(ntfy.url), token: optional(ntfy.token) },
    email: email && { ...email, password: optional(email.password) },
    slack: slack && { ...slack, url: seal(slack.url) },
    discord: discord && { url: seal(discord.url) },
    telegram: telegram && { ...telegram, token: seal(telegram.token) },
    heartbeat: heartbeat && { url: seal(heartbeat.url) },
  };
}

/** On this machine nobody expects the names to lead here; without ACME nothing fails if they do not. */
function toDnsCheck({ target, acme, dnsCheck, hostTimeout }: ParsedConfig): Settings["dnsCheck"] {
  return target === "local" || acme === "none" || dnsCheck === "skip"
    ? undefined
    : { mode: dnsCheck, timeout: hostTimeout };
}

function toAcme({ acme: name, acmeCaCertificate, acmeEmail }: ParsedConfig): Acme {
  if (name === "none") return { kind: "none" };
  return {
    kind: "directory",
    name,
    directoryUrl: acmeDirectories[name] ?? name,
    caCertificate: acmeCaCertificate || undefined,
    email: acmeEmail || undefined,
  };
}
