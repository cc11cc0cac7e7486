import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

import { parseSettings, type Problem, type Settings } from "../../../settings";

export const project = "torrust-pingoo";
export const root = join(__dirname, "../../..");

export interface SchemaEntry {
  readonly type: string;
  readonly description: string;
  readonly default?: unknown;
}

export function configSchema(): Record<string, SchemaEntry> {
  return parse(readFileSync(join(root, "Pulumi.yaml"), "utf8")).config;
}

/** The defaults of Pulumi.yaml and the given values, as the engine hands them to the program. */
export function rawConfig(values: Record<string, unknown> = {}): Record<string, string> {
  const defaults = Object.entries(configSchema()).flatMap(([key, entry]) =>
    "default" in entry ? [[key, entry.default]] : [],
  );
  return Object.fromEntries(
    [...defaults, ...Object.entries(values)].map(([key, value]) => [
      key,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
}

/** A small stack that is valid as it is. */
export const minimal = { apiDomain: "api.torrust.org", httpTrackers: [{ domain: "tracker.torrust.org" }] };

/** The smallest stack: neither HTTPS nor Prometheus. */
export const udpOnly = {
  apiDomain: "",
  httpTrackers: [],
  udpTrackers: [{ port: 6969, domain: "udp.torrust.org" }],
  prometheus: false,
};

/** A tracker that is announced to with and without TLS. */
export const plainHttp = { httpTrackers: [{ domain: "tracker.torrust.org", plainHttp: true }] };

export function settingsOf(values: Record<string, unknown> = {}, stack = "dev"): Settings {
  const result = parseSettings(rawConfig({ ...minimal, ...values }), project, stack);
  if ("problems" in result) throw new Error(JSON.stringify(result.problems));
  return result.settings;
}

export function problemsOf(values: Record<string, unknown>): readonly Problem[] {
  const result = parseSettings(rawConfig({ ...minimal, ...values }), project, "dev");
  return "problems" in result ? result.problems : [];
}
