import type { Endpoints } from "../stack/endpoints";
import { plainHttpProxy, usesHttpsPort } from "../stack/urls";
import { portRanges } from "./firewall-ports";

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

const everywhere = ["0.0.0.0/0", "::/0"];

/** Lets in what the stack serves, and SSH from where it is allowed. */
export function firewallRules(endpoints: Endpoints, sshAllowedFrom: readonly string[]): FirewallRule[] {
  const { grafana } = endpoints;
  const open = (description: string, protocol: "tcp" | "udp", port: number | string): FirewallRule => ({
    description,
    direction: "in",
    protocol,
    port: String(port),
    sourceIps: [...everywhere],
  });
  return [
    { ...open("SSH", "tcp", 22), sourceIps: [...sshAllowedFrom] },
    ...(usesHttpsPort(endpoints) ? [open("HTTPS", "tcp", endpoints.httpsPort)] : []),
    ...(grafana?.listener === "own" ? [open("Grafana", "tcp", grafana.port)] : []),
    ...(plainHttpProxy(endpoints) ? [open("Plain HTTP", "tcp", endpoints.httpPort)] : []),
    ...portRanges(endpoints.udpTrackers.map(({ port }) => port)).map((range) =>
      open("UDP tracker", "udp", range),
    ),
    // Without it no path MTU discovery.
    { description: "ICMP", direction: "in", protocol: "icmp", sourceIps: [...everywhere] },
  ];
}
