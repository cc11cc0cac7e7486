import { BlockList, isIP, isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";

/** An address of 4 or 16 bytes as text; IPv4 within IPv6 (::ffff:0:0/96) as IPv4, other IPv6 as RFC 5952 says. */
export function formatAddress(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index));
  return normalizeAddress(groups.map((group) => group.toString(16)).join(":"));
}

/** One spelling per address: IPv6 compressed, IPv4 within IPv6 as IPv4, no zone. What is no address stays. */
export function normalizeAddress(address: string): string {
  const plain = address.split("%")[0] ?? "";
  if (isIP(plain) !== 6) return plain;
  const short = new URL(`http://[${plain}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short);
  if (!mapped) return short;
  const high = parseInt(mapped[1] ?? "0", 16);
  const low = parseInt(mapped[2] ?? "0", 16);
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

function blockList(ranges: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of ranges) list.addSubnet(network, prefix, isIPv4(network) ? "ipv4" : "ipv6");
  return list;
}

const loopback = blockList([
  ["127.0.0.0", 8],
  ["::1", 128],
]);

// RFC 1918, 3927, 6598, 4193, 4291: addresses that mean nothing to a peer elsewhere
const local = blockList([
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["::", 127],
  ["fc00::", 7],
  ["fe80::", 10],
]);

const check = (list: BlockList, address: string) =>
  isIP(address) !== 0 && list.check(address, isIPv4(address) ? "ipv4" : "ipv6");

export const isLoopback = (address: string): boolean => check(loopback, address);

/** Whether an address is good within one machine or site only. */
export const isLocal = (address: string): boolean => check(local, address);

/** Every address of this machine, of one spelling. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .map(({ address }) => normalizeAddress(address));
}

/** Whether this machine could reach an address by IPv6: it has one that is good for it. */
export function hasIpv6For(address: string): boolean {
  const own = ownAddresses().filter((candidate) => isIP(candidate) === 6);
  if (isLoopback(address)) return own.some(isLoopback);
  return own.some((candidate) => !isLoopback(candidate) && !candidate.startsWith("fe80:"));
}
