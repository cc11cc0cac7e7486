import { isIPv4 } from "node:net";

/** A peer in a swarm. */
interface Member {
  readonly ip: string;
  readonly port: number;
  readonly left: number;
}

/** Swarms of a small tracker, shared by its HTTP and its UDP side. */
export class Swarms {
  readonly swarms = new Map<string, Map<string, Member>>();

  announce(infoHash: Buffer, member: Member, event: string): Member[] {
    const key = infoHash.toString("hex");
    const swarm = this.swarms.get(key) ?? new Map<string, Member>();
    this.swarms.set(key, swarm);
    const id = `${member.ip} ${member.port}`;
    if (event === "stopped") swarm.delete(id);
    else swarm.set(id, member);
    return [...swarm].filter(([other]) => other !== id).map(([, peer]) => peer);
  }

  counts(infoHash: Buffer): { complete: number; incomplete: number } {
    const members = [...(this.swarms.get(infoHash.toString("hex"))?.values() ?? [])];
    const complete = members.filter(({ left }) => left === 0).length;
    return { complete, incomplete: members.length - complete };
  }

  /** Peers that have not left. */
  get remaining(): number {
    return [...this.swarms.values()].reduce((sum, swarm) => sum + swarm.size, 0);
  }
}

/** Address and port as compact peers have them; IPv4 or ::1 only. */
export function compact(peers: readonly { ip: string; port: number }[]): Buffer {
  return Buffer.concat(
    peers.map(({ ip, port }) => {
      const address = isIPv4(ip)
        ? Buffer.from(ip.split(".").map(Number))
        : Buffer.concat([Buffer.alloc(15), Buffer.from([1])]);
      return Buffer.concat([address, Buffer.from([port >> 8, port & 255])]);
    }),
  );
}

export type Encodable = Buffer | string | number | readonly Encodable[] | ReadonlyMap<string, Encodable>;

/** Writes bencode; keys of dictionaries are latin1. */
export function encodeBencode(value: Encodable): Buffer {
  if (typeof value === "number") return Buffer.from(`i${value}e`);
  if (typeof value === "string") return encodeBencode(Buffer.from(value));
  if (Buffer.isBuffer(value)) return Buffer.concat([Buffer.from(`${value.length}:`), value]);
  if (Array.isArray(value))
    return Buffer.concat([Buffer.from("l"), ...value.map(encodeBencode), Buffer.from("e")]);
  const entries = [...(value as ReadonlyMap<string, Encodable>)]
    .map(([key, member]) => [Buffer.from(key, "latin1"), member] as const)
    .sort(([a], [b]) => Buffer.compare(a, b));
  return Buffer.concat([
    Buffer.from("d"),
    ...entries.flatMap(([key, member]) => [encodeBencode(key), encodeBencode(member)]),
    Buffer.from("e"),
  ]);
}

/** A query's value as bytes. */
export function rawParameter(query: string, name: string): Buffer {
  const found = query.split("&").find((part) => part.startsWith(`${name}=`));
  return Buffer.from(unescape((found ?? "").slice(name.length + 1)), "latin1");
}
