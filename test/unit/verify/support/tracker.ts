import { isIPv4 } from "node:net";

/** A peer in a swarm. */
interface Member {
  readonly ip: string;
  readonly port: number;
  readonly left: number;
}

/** Swarms of a small tracker, shared by its HTTP and its UDP side. As in Torrust's, a peer is whoever has a peer id. */
export class Swarms {
  readonly swarms = new Map<string, Map<string, Member>>();

  /** @returns the other peers of the same address family */
  announce(infoHash: Buffer, peerId: Buffer, member: Member, event: string): Member[] {
    const key = infoHash.toString("hex");
    const swarm = this.swarms.get(key) ?? new Map<string, Member>();
    this.swarms.set(key, swarm);
    const id = this.identity(peerId, member);
    if (event === "stopped") swarm.delete(id);
    else swarm.set(id, member);
    return [...swarm]
      .filter(([other, { ip }]) => other !== id && isIPv4(ip) === isIPv4(member.ip))
      .map(([, peer]) => peer);
  }

  protected identity(peerId: Buffer, _member: Member): string {
    return peerId.toString("hex");
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

/** As a tracker keeps them that knows a peer by both its addresses. */
export class SwarmsByAddress extends Swarms {
  protected override identity(peerId: Buffer, { ip }: Member): string {
    return `${peerId.toString("hex")} ${isIPv4(ip) ? 4 : 6}`;
  }
}

const numbers = ["port", "uploaded", "downloaded", "left", "numwant"];
const events = ["started", "stopped", "completed"];

/** Why Torrust Tracker 3.0.0 refuses a query, if it does. */
export function refusal(query: string): string | undefined {
  for (const parameter of query.split("&")) {
    const [name = "", value, ...more] = parameter.split("=");
    if (value === undefined || more.length > 0)
      return `Cannot parse query params: invalid param ${parameter}`;
    const wrong = numbers.includes(name)
      ? !/^\+?\d+$/.test(value)
      : name === "event" && !events.includes(value);
    if (wrong)
      return `Cannot parse query params for announce request: invalid param value ${value} for ${name}`;
  }
  return undefined;
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

/** A query's values of one name, as bytes. */
export function rawParameters(query: string, name: string): Buffer[] {
  return query
    .split("&")
    .filter((part) => part.startsWith(`${name}=`))
    .map((part) => Buffer.from(unescape(part.slice(name.length + 1)), "latin1"));
}
