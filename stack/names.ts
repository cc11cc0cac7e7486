import { createHash } from "node:crypto";

/**
 * Every physical name, address and port of a stack, in one place. Containers find each other by the aliases and
 * fixed addresses below; the proxies use the addresses, because Pingoo caches a name's address for ten minutes.
 */

/** The services that a stack can consist of; also their container's role and their network alias. */
export const services = [
  "pingoo",
  "nginx",
  "door",
  "certbot",
  "tracker",
  "mysql",
  "prometheus",
  "json-exporter",
  "blackbox",
  "grafana",
  "alertmanager",
  "node-exporter",
  "udp-probe",
  "backup",
  "backup-snapshot",
  "backup-dump",
] as const;
export type Service = (typeof services)[number];

/** What a stack keeps on disk, one volume each. */
export type DataVolume =
  | "tls"
  | "letsencrypt"
  | "tracker"
  | "mysql"
  | "prometheus"
  | "grafana"
  | "alertmanager"
  | "textfile"
  | "backup";

export type NetworkName = "edge" | "metrics" | "database";

/** Ports inside the containers. Only the proxies' three and the UDP trackers' are ever published. */
export const ports = {
  http: 80,
  https: 443,
  grafanaTls: 3443,
  /** First of the ports on which Pingoo listens besides 443 and 3443; below those that Linux gives to outgoing connections. */
  spreadHttps: 20001,
  spreadGrafana: 20501,
  trackerApi: 1212,
  trackerHealth: 1313,
  firstHttpTracker: 7070,
  mysql: 3306,
  prometheus: 9090,
  jsonExporter: 7979,
  blackbox: 9115,
  guard: 9180,
  grafana: 3000,
  alertmanager: 9093,
  nodeExporter: 9100,
  udpProbe: 9117,
  backupMetrics: 9109,
} as const;

/** Host part of each service's address within its network's /26. */
const hostNumbers: Record<Service, number> = {
  pingoo: 10,
  nginx: 11,
  certbot: 12,
  door: 13,
  tracker: 20,
  grafana: 21,
  blackbox: 22,
  prometheus: 30,
  "json-exporter": 31,
  mysql: 40,
  alertmanager: 50,
  "node-exporter": 51,
  "udp-probe": 52,
  backup: 58,
  "backup-snapshot": 59,
  "backup-dump": 60,
};

const networkOffsets: Record<NetworkName, number> = { edge: 0, metrics: 64, database: 128 };

/** Names and addresses of one stack; two stacks on one engine share none of them. */
export interface Names {
  /** Prefix of every name: `<project>-<stack>`. */
  readonly prefix: string;
  container(service: Service): string;
  volume(volume: DataVolume): string;
  network(network: NetworkName): string;
  /** IPv4 subnet of a network, a /26 of the stack's /24, in CIDR form. */
  subnet(network: NetworkName): string;
  /** First address of the subnet: the engine's own. */
  gateway(network: NetworkName): string;
  /** IPv6 subnet of the edge network: a unique local /64 (RFC 4193) derived from the stack's name. */
  readonly edgeSubnet6: string;
  /** First address of that subnet: the engine's own. */
  readonly edgeGateway6: string;
  /** Fixed IPv4 address of a service on a network. */
  address(network: NetworkName, service: Service): string;
}

/**
 * @param project project name, e.g. `torrust-pingoo`
 * @param stack   stack name, e.g. `dev`
 * @param subnet  IPv4 /24 in CIDR form for the stack's networks
 */
export function namesFor(project: string, stack: string, subnet: string): Names {
  const prefix = `${project}-${stack}`;
  const base = subnet.slice(0, subnet.lastIndexOf("."));
  const at = (network: NetworkName, host: number) => `${base}.${networkOffsets[network] + host}`;
  const digest = stackDigest(project, stack).toString("hex");
  const network6 = `fd${digest.slice(0, 2)}:${digest.slice(2, 6)}:${digest.slice(6, 10)}::`;
  return {
    prefix,
    container: (service) => `${prefix}-${service}`,
    volume: (volume) => `${prefix}-${volume}`,
    network: (network) => `${prefix}-${network}`,
    subnet: (network) => `${at(network, 0)}/26`,
    gateway: (network) => at(network, 1),
    edgeSubnet6: `${network6}/64`,
    edgeGateway6: `${network6}1`,
    address: (network, service) => at(network, hostNumbers[service]),
  };
}

/** Name of a stack's machine: `<project>-<stack>` as a host name, of which a stack's name may hold more than is allowed. */
export function serverName(project: string, stack: string): string {
  const name = `${project}-${stack}`
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
  // Room for what is named after it; a digest keeps names apart that are cut to the same.
  return name.length <= 50
    ? name
    : `${name.slice(0, 41)}-${stackDigest(project, stack).toString("hex").slice(0, 8)}`;
}

/**
 * The /24 that a stack uses unless `subnet` is set: one of the 8192 in 10.224.0.0/11, chosen by the stack's name, so
 * that stacks on one engine rarely meet and a stack keeps its addresses.
 */
export function defaultSubnet(project: string, stack: string): string {
  const digest = stackDigest(project, stack);
  return `10.${224 + (digest.readUInt8(0) & 31)}.${digest.readUInt8(1)}.0/24`;
}

function stackDigest(project: string, stack: string): Buffer {
  return createHash("sha256").update(`${project}/${stack}`).digest();
}
