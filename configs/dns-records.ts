import { isIP } from "node:net";

import type { Endpoints } from "../stack/endpoints";

export interface DnsRecord {
  /** Fully qualified, without the last dot. */
  readonly name: string;
  readonly type: "A" | "AAAA" | "TXT";
  /** An address, or the text without quotes. */
  readonly value: string;
}

/**
 * The records that lead to the stack: its addresses for every name, and for the trackers' names also what they serve
 * (BEP 34).
 *
 * @param addresses those where all that the stack serves is reached: some clients never fall back from IPv6
 */
export function dnsRecords(endpoints: Endpoints, addresses: { ipv4: string; ipv6?: string }): DnsRecord[] {
  const { apiDomain, httpTrackers, udpTrackers, grafana, httpsPort, httpPort } = endpoints;
  const names = unique([
    ...(apiDomain ? [apiDomain] : []),
    ...httpTrackers.map(({ domain }) => domain),
    ...udpTrackers.map(({ domain }) => domain),
    ...(grafana ? [grafana.domain] : []),
  ]);
  const { ipv4, ipv6 } = addresses;
  return names
    .filter((name) => isIP(name) === 0)
    .flatMap((name): DnsRecord[] => {
      const services = [
        ...udpTrackers.filter(({ domain }) => domain === name).map(({ port }) => `UDP:${port}`),
        ...httpTrackers
          .filter(({ domain }) => domain === name)
          .flatMap(({ plainHttp }) => [`TCP:${httpsPort}`, ...(plainHttp ? [`TCP:${httpPort}`] : [])]),
      ];
      return [
        { name, type: "A", value: ipv4 },
        ...(ipv6 ? [{ name, type: "AAAA" as const, value: ipv6 }] : []),
        ...(services.length > 0
          ? [{ name, type: "TXT" as const, value: `BITTORRENT ${services.join(" ")}` }]
          : []),
      ];
    });
}

/** A record as a line of a zone file, ready to copy. */
export function zoneLine({ name, type, value }: DnsRecord): string {
  return `${name}. 300 IN ${type} ${type === "TXT" ? quotedText(value) : value}`;
}

/** An ASCII text as character strings of a TXT record: 255 bytes each at most, put together again by who reads it (RFC 7208, 3.3). */
export function quotedText(text: string): string {
  const strings = text.match(/.{1,255}/gs) ?? [""];
  return strings.map((part) => JSON.stringify(part)).join(" ");
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}
