import { ports } from "../stack/names";
import type { Alert } from "./alerts";
import type { ScrapeJob } from "./prometheus";

/** A published port of Pingoo's container and the listeners that share its connections. */
export interface GuardedPort {
  /** What it serves, e.g. `https`. */
  readonly name: string;
  /** Ports of the listeners; the first is the published one. */
  readonly ports: readonly number[];
}

/** Ports for `count` equal listeners: the published one, and further ones from `next` on. */
export function spreadPorts(published: number, next: number, count: number): number[] {
  return [published, ...Array.from({ length: count - 1 }, (_, index) => next + index)];
}

/**
 * Divides a port's listeners: the new connections of a client that has stalled before go to the slow ones only, an eighth
 * of all, where they can hold up nobody but each other.
 */
function divide(all: readonly number[]): { fast: readonly number[]; slow: readonly number[] } {
  const slow = Math.max(1, Math.floor(all.length / 8));
  return { fast: all.slice(0, -slow), slow: all.slice(-slow) };
}

const table = "inet guard";

/**
 * Renders the nftables rules of Pingoo's network namespace, for `nft -f`. Loading them again changes nothing but the two
 * sets, which the guard fills and which are empty then.
 *
 * @param metricsSubnet where nothing in the container may open a connection to; absent where there are no metrics
 */
export function renderGuardRules(shared: readonly GuardedPort[], metricsSubnet?: string): string {
  const redirects = shared.flatMap(({ ports: [published, ...others] }) => {
    const { fast, slow } = divide([published!, ...others]);
    const to = (targets: readonly number[]) =>
      `redirect to :numgen inc mod ${targets.length} map { ${targets.map((port, i) => `${i} : ${port}`).join(", ")} }`;
    return [
      `tcp dport ${published} ip saddr @slow4 ${to(slow)}`,
      `tcp dport ${published} ip6 saddr & ffff:ffff:ffff:ffff:: @slow6 ${to(slow)}`,
      `tcp dport ${published} ${to(fast)}`,
    ];
  });
  return `# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
add table ${table}
delete table ${table}
table ${table} {
	# Clients that stalled a while ago: addresses, and of IPv6 the /64 that a client has to itself.
	set slow4 {
		type ipv4_addr
		size 65536
	}
	set slow6 {
		type ipv6_addr
		size 65536
	}
	chain spread {
		# Before Docker's own rules, whose table is another.
		type nat hook prerouting priority dstnat - 1
		# Who probes a listener from inside means that one.
		iifname "lo" accept
${redirects.map((line) => `\t\t${line}`).join("\n")}
	}
${metricsSubnet ? answersOnly(metricsSubnet) : ""}}
`;
}

/** Pingoo shares the container with its guard, but has no business on the metrics network. */
function answersOnly(subnet: string): string {
  return `	chain answers_only {
		type filter hook output priority filter
		ct state new oifname != "lo" ip daddr ${subnet} reject
	}
`;
}

export interface GuardModel {
  readonly shared: readonly GuardedPort[];
  /** Addresses that never count as slow, because many clients share them: the engine's own. */
  readonly exempt: readonly string[];
  /** Where metrics are served besides the loopback interface. */
  readonly metricsAddress?: string;
  readonly metricsPort: number;
  /** Domains with a certificate by ACME; without any there is no rendering without ACME. */
  readonly acmeDomains: readonly string[];
}

/** Renders guard.json, which `guard/settings.py` reads. */
export function renderGuardConfig(model: GuardModel): string {
  const { shared, exempt, metricsAddress, metricsPort, acmeDomains } = model;
  return `${JSON.stringify(
    {
      listeners: shared.map(({ name, ports: all }) => ({ name, ports: all, slow: divide(all).slow.length })),
      exempt,
      metrics: { addresses: ["127.0.0.1", ...(metricsAddress ? [metricsAddress] : [])], port: metricsPort },
      acme_domains: [...acmeDomains].sort(),
    },
    null,
    2,
  )}\n`;
}

/** By this name on the metrics network Prometheus finds out whether there is a guard. */
export const guardAlias = "guarded";

/**
 * The same whoever terminates TLS: switching that should not change Prometheus.
 *
 * @param address Pingoo's on the metrics network, if it has a guard
 */
export function guardJob(address: string): ScrapeJob {
  return { name: "pingoo", targets: [`pingoo:${ports.guard}`], sought: { name: guardAlias, address } };
}

export const guardAlerts: readonly Alert[] = [
  {
    name: "PingooDown",
    expr: "pingoo_up == 0",
    severity: "critical",
    summary: "Pingoo does not run",
    description: "Nobody reaches API and HTTP trackers over HTTPS. The container's log says why.",
  },
  {
    name: "PingooWithoutAcme",
    expr: "pingoo_without_acme == 1",
    severity: "warning",
    atLeast: 3600,
    summary: "Pingoo cannot reach its ACME directory",
    description:
      "It serves the certificates that it has, and renews none of them. It is tried again by itself, so look for what keeps the directory away: the network, a firewall, the authority's own state.",
  },
  {
    name: "PingooRestarts",
    expr: 'sum(increase(pingoo_restarts_total{reason!="acme"}[1h])) > 3',
    severity: "warning",
    summary: "Pingoo is restarted again and again",
    description: "Each restart ends all open connections. The container's log says why it happens.",
  },
  {
    name: "PingooListenersBlocked",
    expr: "sum by (listener) (pingoo_guard_listeners_blocked) / sum by (listener) (pingoo_guard_listeners) > 0.05",
    severity: "critical",
    atLeast: 60,
    summary: "Listeners of {{ $labels.listener }} accept nobody",
    description:
      "More clients stall in their TLS handshakes than the guard can end, and as large a share of new connections hangs. Raise pingooListeners, or set tlsProxy to nginx.",
  },
  {
    name: "PingooUnguarded",
    expr: "pingoo_guard_can_destroy == 0 or pingoo_guard_rules_loaded == 0",
    severity: "warning",
    atLeast: 600,
    summary: "Stalled handshakes are not cut off",
    description:
      "The engine's kernel does not let the guard do its work (docs/pingoo-under-load.md says what it needs), so few idle clients can keep everybody out.",
  },
  {
    name: "PingooUnderAttack",
    expr: "sum(rate(pingoo_guard_cuts_total[10m])) > 5",
    severity: "warning",
    atLeast: 600,
    summary: "Many clients stall in their TLS handshakes",
    description: "They are cut off. Nothing has to be done while PingooListenersBlocked stays quiet.",
  },
];
