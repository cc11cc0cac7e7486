import type { Settings } from "../settings";

/** A rule of Hetzner's firewall; what no rule lets in is dropped. */
export interface FirewallRule {
  readonly description: string;
  readonly direction: "in";
  readonly protocol: "tcp" | "udp" | "icmp";
  /** A port or a range of ports such as `6969-6972`; absent for ICMP. */
  readonly port?: string;
  /** CIDR. */
  readonly sourceIps: string[];
}

/** So many rules a firewall takes; what is not UDP needs five at most. */
const mostRules = 50;
export const mostUdpRules = mostRules - 5;

const everywhere = ["0.0.0.0/0", "::/0"];

/** Lets in what the stack serves, and SSH from where it is allowed. */
export function firewallRules(settings: Settings, sshAllowedFrom: readonly string[]): FirewallRule[] {
  const { grafana, tlsProxy } = settings;
  const open = (description: string, protocol: "tcp" | "udp", port: number | string): FirewallRule => ({
    description,
    direction: "in",
    protocol,
    port: String(port),
    sourceIps: [...everywhere],
  });
  const nginxRuns = tlsProxy === "nginx" || grafana?.proxy === "nginx";
  return [
    { ...open("SSH", "tcp", 22), sourceIps: [...sshAllowedFrom] },
    open("HTTPS", "tcp", settings.httpsPort),
    ...(grafana?.listener === "own" ? [open("Grafana", "tcp", grafana.port)] : []),
    ...(nginxRuns ? [open("HTTP-01 challenges", "tcp", settings.httpPort)] : []),
    ...portRanges(settings.udpTrackers.map(({ port }) => port)).map((range) =>
      open("UDP tracker", "udp", range),
    ),
    // Without it no path MTU discovery.
    { description: "ICMP", direction: "in", protocol: "icmp", sourceIps: [...everywhere] },
  ];
}

/** Ports as ranges, such as `6868` and `6969-6972`, in ascending order. */
export function portRanges(ports: readonly number[]): string[] {
  const ranges: [first: number, last: number][] = [];
  for (const port of [...ports].sort((a, b) => a - b)) {
    const current = ranges.at(-1);
    if (current && port - current[1] <= 1) current[1] = port;
    else ranges.push([port, port]);
  }
  return ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`));
}
