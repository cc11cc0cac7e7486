import { Resolver } from "node:dns/promises";

import { zoneLine, type DnsRecord } from "../configs/dns-records";

export interface DnsGateInputs {
  /** Address records that have to be found. A name without one for IPv6 may have none: some clients never fall back from it. */
  readonly records: readonly DnsRecord[];
  /** `require` waits and then fails, `warn` looks once. */
  readonly mode: "require" | "warn";
  /** Seconds. */
  readonly timeout: number;
}

/** Addresses that a name has, as somebody sees it; empty when it has none. */
export type Lookup = (name: string, type: "A" | "AAAA") => Promise<readonly string[]>;

/**
 * Waits until every name leads to the host: a certificate that is ordered before fails, and is not tried again for hours.
 *
 * @param say is told what is missing
 * @throws {Error} that lists the records to make, in mode `require`
 */
export async function waitForNames(
  { records, mode, timeout }: DnsGateInputs,
  say: (line: string) => void = () => {},
  lookups: readonly Lookup[] = lookupsBy(),
): Promise<void> {
  const deadline = Date.now() + timeout * 1000;
  for (let told = false; ; told = true) {
    const checks = [...records.map(check), ...withoutIpv6(records).map(checkAbsent)];
    const wrong = (await Promise.all(checks.map((looked) => looked(lookups)))).flatMap(
      (found) => found ?? [],
    );
    if (wrong.length === 0) return;
    const text = message(wrong);
    if (mode === "warn") return say(`${text}\nCertificates are ordered all the same, as dnsCheck is warn.`);
    if (Date.now() >= deadline)
      throw new Error(
        `${text}\nWaited ${timeout} s for them. The next pulumi up goes on from here; hostTimeout sets how long it waits, and pulumi config set dnsCheck warn goes on without.`,
      );
    if (!told) say(`${text}\nWaiting for them up to ${timeout} s.`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(2000, Math.max(50, deadline - Date.now()))));
  }
}

interface Wrong {
  readonly record: DnsRecord;
  readonly found: readonly string[];
  /** The record is there, and should not. */
  readonly unwanted?: boolean;
}

type Check = (lookups: readonly Lookup[]) => Promise<Wrong | undefined>;

/** Who asks the authority sees the same as an ACME server; a resolver may still remember that there was nothing. */
const check =
  (record: DnsRecord): Check =>
  async (lookups) => {
    let found: readonly string[] = [];
    for (const lookup of lookups) {
      const addresses = await lookup(record.name, record.type as "A" | "AAAA");
      // Any other address would make a part of the visitors, and the ACME server, go elsewhere.
      if (addresses.length > 0 && addresses.every((address) => address === canonical(record.value)))
        return undefined;
      if (addresses.length > 0) found = addresses;
    }
    return { record, found };
  };

/** Whoever still remembers it would go there. */
const checkAbsent =
  (name: string): Check =>
  async (lookups) => {
    const [value] = (await Promise.all(lookups.map((lookup) => lookup(name, "AAAA")))).flat();
    return value === undefined
      ? undefined
      : { record: { name, type: "AAAA", value }, found: [], unwanted: true };
  };

function withoutIpv6(records: readonly DnsRecord[]): string[] {
  const named = (type: DnsRecord["type"]) =>
    records.filter((record) => record.type === type).map(({ name }) => name);
  const wanted = named("AAAA");
  return [...new Set(named("A"))].filter((name) => !wanted.includes(name));
}

function message(wrong: readonly Wrong[]): string {
  const list = (title: string, some: readonly Wrong[]) =>
    some.length === 0 ? [] : [`${title}:`, ...some.map(line)];
  const names = new Set(wrong.map(({ record }) => record.name)).size;
  return [
    `${names === 1 ? "One name does" : `${names} names do`} not lead to the host yet.`,
    ...list(
      "Create these records",
      wrong.filter(({ unwanted }) => !unwanted),
    ),
    ...list(
      "Delete these, as the stack is not reached over IPv6",
      wrong.filter(({ unwanted }) => unwanted),
    ),
  ].join("\n");
}

function line({ record, found }: Wrong): string {
  return `  ${zoneLine(record)}${found.length > 0 ? `    ; leads to ${found.join(", ")} now` : ""}`;
}

/**
 * The two ways to look a name up: at the name servers of the closest zone above it, and by this machine's resolver.
 *
 * @param servers resolvers as `address:port`; absent: this machine's
 * @param port    of the zones' name servers
 */
export function lookupsBy(servers?: readonly string[], port = 53): readonly Lookup[] {
  const asking = (addresses?: readonly string[]) => {
    const resolver = new Resolver({ timeout: 3000, tries: 2 });
    if (addresses) resolver.setServers(addresses);
    return resolver;
  };
  const resolver = asking(servers);
  const authoritative: Lookup = async (name, type) => {
    const labels = name.split(".");
    for (let cut = 0; cut < labels.length - 1; cut++) {
      const found = await resolver.resolveNs(labels.slice(cut).join(".")).catch(() => []);
      const addresses = (await Promise.all(found.map((server) => ask(resolver, server, "A")))).flat();
      if (addresses.length > 0)
        return ask(asking(addresses.map((address) => `${address}:${port}`)), name, type);
    }
    return [];
  };
  return [authoritative, (name, type) => ask(resolver, name, type)];
}

async function ask(resolver: Resolver, name: string, type: "A" | "AAAA"): Promise<string[]> {
  const answer = type === "A" ? resolver.resolve4(name) : resolver.resolve6(name);
  return (await answer.catch(() => [])).map(canonical);
}

/** IPv6 addresses in the one form that can be compared. */
function canonical(address: string): string {
  return address.includes(":") ? new URL(`http://[${address}]`).hostname.slice(1, -1) : address;
}
