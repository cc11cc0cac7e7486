import type { ParsedConfig } from "./schema";

/**
 * GB of memory of Hetzner Cloud's server types: https://docs.hetzner.com/cloud/servers/overview and, for those that are
 * sold no longer, `GET /v1/server_types` of its API.
 */
const serverMemory: Readonly<Record<string, number>> = {
  ...{ cx22: 4, cx32: 8, cx42: 16, cx52: 32 },
  ...{ cx23: 4, cx33: 8, cx43: 16, cx53: 32 },
  ...{ cpx11: 2, cpx21: 4, cpx31: 8, cpx41: 16, cpx51: 32 },
  ...{ cpx12: 2, cpx22: 4, cpx32: 8, cpx42: 16, cpx52: 24, cpx62: 32 },
  ...{ cax11: 4, cax21: 8, cax31: 16, cax41: 32 },
  ...{ ccx13: 8, ccx23: 16, ccx33: 32, ccx43: 64, ccx53: 128, ccx63: 192 },
};

/** Megabytes that the rest takes of a machine. Not their limits, which they are far from, but what they use and room to work in. */
const rest = { system: 512, proxies: 256, prometheus: 384, grafana: 128, mysql: 768 } as const;

/** Where nobody knows the machine: some eight million torrents, and on a smaller one its own memory is the limit. */
const elsewhere = 8192;

/** Megabytes that the tracker may take: what is configured, or what the machine has for it. */
export function trackerMemory(config: ParsedConfig): number {
  const { trackerMemory: configured, target, hetzner, prometheus, grafana, database } = config;
  if (configured > 0) return configured;
  const gigabytes = target === "hetzner" ? serverMemory[hetzner.serverType] : undefined;
  if (gigabytes === undefined) return elsewhere;
  const taken =
    rest.system +
    rest.proxies +
    (prometheus ? rest.prometheus : 0) +
    (grafana ? rest.grafana : 0) +
    (database === "mysql" ? rest.mysql : 0);
  return Math.max(1024 * gigabytes - taken, 512);
}
