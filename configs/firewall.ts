import type { Settings } from "../settings";
import { proxiesOf, usesHttpsPort } from "../stack/urls";
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
export function firewallRules(settings: Settings, sshAllowedFrom: readonly string[]): FirewallRule[] {
  const { grafana } = settings;
  const open = (description: string, protocol: "tcp" | "udp", port: number | string): FirewallRule => ({
    description,
    direction: "in",
    protocol,
    port: String(port),
    sourceIps: [...everywhere],
  });
  return [
    { ...open("SSH", "tcp", 22), sourceIps: [...sshAllowedFrom] },
    ...(usesHttpsPort(settings) ? [open("HTTPS", "tcp", settings.httpsPort)] : []),
    ...(grafana?.listener === "own" ? [open("Grafana", "tcp", grafana.port)] : []),
    ...(proxiesOf(settings).has("nginx") ? [open("HTTP-01 challenges", "tcp", settings.httpPort)] : []),
    ...portRanges(settings.udpTrackers.map(({ port }) => port)).map((range) =>
      open("UDP tracker", "udp", range),
    ),
    // Without it no path MTU discovery.
    { description: "ICMP", direction: "in", protocol: "icmp", sourceIps: [...everywhere] },
  ];
}
