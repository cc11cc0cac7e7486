/**
 * Rules for UDP that a firewall of Hetzner's has room for: of its 50, five at most are for something else
 * (https://docs.hetzner.com/cloud/firewalls/faq/).
 */
export const mostUdpRules = 50 - 5;

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
