import { isIP } from "node:net";

import { isLoopback } from "./addresses";
import { fail, pass, skip, type Check, type Context, type Outcome } from "./check";
import { hostPort, NetworkError, openTcp } from "./net";
import { webTargets, type Targets, type WebTarget } from "./targets";
import { list } from "./text";

/** The names of a deployment in DNS. */
export function dnsChecks(context: Context): Check[] {
  const { targets } = context;
  const names = new Map<string, WebTarget | undefined>();
  for (const target of webTargets(targets)) names.set(target.host, names.get(target.host) ?? target);
  for (const { host } of targets.udpTrackers) if (!names.has(host)) names.set(host, undefined);
  return [...names].map(([host, web]) => ({
    kind: "dns.addresses",
    target: host,
    topic: "TLS",
    name: "DNS",
    experiment: 1,
    expected: expectedRecords(targets),
    remedy: `Point the records of ${host} at the deployment's addresses, and take wrong ones away: some clients never fall back from IPv6. Old answers live on for the record's TTL.`,
    run: (signal) => checkName(host, web, context, signal),
  }));
}

function expectedRecords({ addresses: { ipv4, ipv6 } }: Targets): string {
  const records = [...(ipv4 ? [`A ${ipv4}`] : []), ...(ipv6 ? [`AAAA ${ipv6}`] : ipv4 ? ["no AAAA"] : [])];
  return records.length > 0 ? list(records) : "some address";
}

/** Names that no public DNS knows (RFC 6761, RFC 6762, RFC 8375). */
const specialNames = /(^|\.)(localhost|test|invalid|example|local|internal|home\.arpa)$/;

async function checkName(
  host: string,
  web: WebTarget | undefined,
  { targets, resolver, hasIpv6For }: Context,
  signal: AbortSignal,
): Promise<Outcome> {
  const { ipv4, ipv6 } = targets.addresses;
  if (isIP(host) !== 0) return skip("an address, no name");
  if (specialNames.test(host)) return skip("a name that public DNS does not know");
  if ([ipv4, ipv6].some((address) => address !== undefined && isLoopback(address)))
    return skip("the deployment is reached at a loopback address");
  const [a, aaaa] = await Promise.all([
    lookUp(() => resolver.resolve4(host), signal),
    lookUp(() => resolver.resolve6(host), signal),
  ]);
  const records = [...a.map((address) => `A ${address}`), ...aaaa.map((address) => `AAAA ${address}`)];
  if (records.length === 0) return fail("no A and no AAAA record");
  const wrong = [
    ...(ipv4 ? a.filter((address) => address !== ipv4) : []),
    ...(ipv4 || ipv6 ? aaaa.filter((address) => address !== ipv6) : []),
  ];
  const missing = [
    ...(ipv4 && !a.includes(ipv4) ? [`A ${ipv4}`] : []),
    ...(ipv6 && !aaaa.includes(ipv6) ? [`AAAA ${ipv6}`] : []),
  ];
  const seen = records.join(", ");
  if (wrong.length > 0) return fail(`${seen}: ${list(wrong)} is not the deployment`);
  if (missing.length > 0) return fail(`${seen}: no ${list(missing)}`);
  if (!web) return pass(seen);
  for (const address of aaaa.filter(hasIpv6For)) {
    const open = await openTcp({ ...web, connect: address }, 4000, signal).then(
      (socket) => socket.destroy(),
      () => undefined,
    );
    if (!open)
      return fail(
        `${seen}: nothing answers on ${hostPort(address, web.port)}`,
        `See whether ${web.port}/tcp is published on IPv6, or take the AAAA record of ${host} away.`,
      );
  }
  return pass(seen);
}

/** Addresses of one record type; none is no error. */
async function lookUp(ask: () => Promise<string[]>, signal: AbortSignal): Promise<string[]> {
  const stopped = new Promise<never>((_, reject) =>
    signal.addEventListener("abort", () => reject(new NetworkError("timeout", "DNS does not answer"))),
  );
  try {
    return await Promise.race([ask(), stopped]);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENODATA" || code === "ENOTFOUND") return [];
    if (code === "ETIMEOUT" || code === "ECONNREFUSED" || code === "ESERVFAIL")
      throw new NetworkError("name", `DNS does not answer (${code})`);
    throw error;
  }
}
