import { createSocket, type RemoteInfo } from "node:dgram";

import { compact, Swarms } from "./tracker";

export interface UdpServerOptions {
  readonly swarms?: Swarms;
  readonly address?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Torrents that may be announced; default: all. */
  readonly allows?: (infoHash: Buffer) => boolean;
  /** What goes wrong. */
  readonly fault?: UdpFault;
}

export type UdpFault =
  | "silent"
  | "first-lost"
  | "error"
  | "wrong-transaction"
  | "garbage"
  | "no-peers"
  | "ipv4-peers"
  | "no-counts"
  | "faultless"
  | "mixed-counts"
  | "private";

/** A tracker that speaks BEP 15, as well as Torrust Tracker 3.0.0 does, or worse. */
export async function startUdpTracker(options: UdpServerOptions = {}) {
  const { swarms = new Swarms(), address = "127.0.0.1", allows = () => true, fault } = options;
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  let lost = false;
  socket.on("message", (message, from) => {
    if (fault === "silent") return;
    if (fault === "first-lost" && !lost) {
      lost = true;
      return;
    }
    if (fault === "garbage")
      return void socket.send(Buffer.from("nonsense, really"), from.port, from.address);
    const answer = respond(message, from);
    if (fault === "wrong-transaction") answer.writeUInt32BE((answer.readUInt32BE(4) ^ 1) >>> 0, 4);
    socket.send(answer, from.port, from.address);
  });
  const respond = (message: Buffer, from: RemoteInfo): Buffer => {
    const action = message.readUInt32BE(8);
    const head = Buffer.concat([message.subarray(8, 12), message.subarray(12, 16)]);
    const refusal = (text: string) =>
      Buffer.concat([Buffer.from([0, 0, 0, 3]), message.subarray(12, 16), Buffer.from(text)]);
    if (fault === "error") return refusal("no\u001b[31m way");
    if (action === 0) return Buffer.concat([head, Buffer.from("12345678")]);
    const infoHash = message.subarray(16, 36);
    if (action === 1) {
      if (fault === "private") return refusal("authentication required");
      if (!allows(infoHash)) return refusal("not listed");
      // What 3.0.0 cannot read it answers without the transaction's number.
      const event = message.readUInt32BE(80);
      if (event > (fault === "faultless" ? 4 : 3))
        return Buffer.concat([Buffer.from([0, 0, 0, 3, 0, 0, 0, 0]), Buffer.from("bad request")]);
      const events = ["", "completed", "started", "stopped"];
      const member = {
        ip: from.address,
        port: message.readUInt16BE(96),
        left: Number(message.readBigUInt64BE(64)),
      };
      const peers = swarms.announce(infoHash, message.subarray(36, 56), member, events[event] ?? "");
      const { complete, incomplete } = swarms.counts(infoHash);
      return Buffer.concat([
        head,
        words(300, incomplete, complete),
        compact(
          fault === "no-peers"
            ? []
            : peers.map((peer) => (fault === "ipv4-peers" ? { ...peer, ip: "172.18.0.1" } : peer)),
        ),
      ]);
    }
    const asked = Array.from({ length: (message.length - 16) / 20 }, (_, index) =>
      message.subarray(16 + 20 * index, 36 + 20 * index),
    );
    const answers = (fault === "faultless" ? asked : shuffled(asked)).map((torrent) => {
      const { complete, incomplete } =
        fault === "no-counts" || (fault === "mixed-counts" && asked.length > 1)
          ? { complete: 0, incomplete: 0 }
          : swarms.counts(torrent);
      return words(complete, 0, incomplete);
    });
    return Buffer.concat([head, ...answers]);
  };
  await new Promise<void>((resolve) => socket.bind(options.port ?? 0, address, resolve));
  return {
    port: socket.address().port,
    swarms,
    close: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  };
}

/** Each torrent once, in any order: 3.0.0 keeps them in a hash table. */
function shuffled(torrents: readonly Buffer[]): Buffer[] {
  const distinct = new Map(torrents.map((torrent) => [torrent.toString("hex"), torrent]));
  return [...distinct.values()]
    .map((torrent) => [Math.random(), torrent] as const)
    .sort(([a], [b]) => a - b)
    .map(([, torrent]) => torrent);
}

function words(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(4 * numbers.length);
  numbers.forEach((number, index) => bytes.writeUInt32BE(number, 4 * index));
  return bytes;
}
