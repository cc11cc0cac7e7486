import * as pulumi from "@pulumi/pulumi";
import { isIPv4 } from "node:net";

import { defaultImages } from "../images";
import { defaultSubnet } from "../names";
import { crossFieldProblems } from "./rules";
import { acmeDirectories, parseConfig, type ParsedConfig } from "./schema";
import { SettingsError, type Acme, type Problem, type Settings } from "./types";

export { configKeys, secretKeys } from "./schema";
export * from "./types";

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
  if ("problems" in result) throw new SettingsError(pulumi.getStack(), result.problems);
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
  const firstDomain = config.httpTrackers[0]?.domain ?? config.apiDomain;
  return {
    stack,
    target: config.target,
    apiDomain: config.apiDomain,
    httpTrackers: config.httpTrackers,
    udpTrackers: config.udpTrackers.map(({ port, domain }) => ({ port, domain: domain ?? firstDomain })),
    tracker: {
      mode: config.trackerMode,
      schemaVersion: config.trackerSchemaVersion,
      announceInterval: config.announceInterval,
      database: config.database,
    },
    acme: toAcme(config),
    tlsProxy: config.tlsProxy,
    pingooListeners: config.pingooListeners,
    httpsPort: config.httpsPort,
    httpPort: config.httpPort,
    prometheus: config.prometheus
      ? { scrapeInterval: config.prometheusScrapeInterval, retention: config.prometheusRetention }
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
    publishAddresses: config.publishAddresses.filter((address) => config.ipv6 || isIPv4(address)),
    ipv6: config.ipv6,
    subnet: config.subnet || defaultSubnet(project, stack),
    images: { ...defaultImages, ...config.images },
    protectData: config.protectData,
  };
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
