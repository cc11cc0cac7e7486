import { formatAddress } from "./addresses";
import { printable } from "./text";

/**
 * Messages of the UDP tracker protocol (BEP 15; IPv6 as its "IPv6" section says): pure encoders and a strict decoder.
 * All numbers are big-endian.
 */

/** A peer as a tracker names it. */
export interface Peer {
  readonly ip: string;
  readonly port: number;
}

/** What a UDP tracker answers. Times in seconds. */
export type UdpAnswer =
  | { readonly action: "connect"; readonly connectionId: Buffer }
  | {
      readonly action: "announce";
      readonly interval: number;
      readonly leechers: number;
      readonly seeders: number;
      readonly peers: readonly Peer[];
    }
  | {
      readonly action: "scrape";
      readonly torrents: readonly { seeders: number; completed: number; leechers: number }[];
    }
  | { readonly action: "error"; readonly message: string };

/** Thrown for a packet that is no answer to the request. */
export class Bep15Error extends Error {
  constructor(message: string) {
    super(message);
    this.name = "Bep15Error";
  }
}

const protocolId = 0x41727101980n;
const actions = { connect: 0, announce: 1, scrape: 2, error: 3 } as const;

/** Numbers of BEP 15's `event`; that of BEP 21's is libtorrent's. */
const udpEvents = { none: 0, completed: 1, started: 2, stopped: 3, paused: 4 } as const;

/** @param transactionId 32 bits, unsigned */
export function encodeConnect(transactionId: number): Buffer {
  const packet = Buffer.alloc(16);
  packet.writeBigUInt64BE(protocolId, 0);
  packet.writeUInt32BE(actions.connect, 8);
  packet.writeUInt32BE(transactionId, 12);
  return packet;
}

export interface UdpAnnounce {
  /** 8 bytes, from the connect answer. */
  readonly connectionId: Buffer;
  readonly transactionId: number;
  /** 20 bytes. */
  readonly infoHash: Buffer;
  /** 20 bytes. */
  readonly peerId: Buffer;
  /** Bytes that the peer still lacks; 0 for a seeder. */
  readonly left: number;
  readonly event: keyof typeof udpEvents;
  readonly key: number;
  readonly port: number;
}

/** An announce that asks for as many peers as the tracker likes to give, from the packet's own address. */
export function encodeAnnounce(announce: UdpAnnounce): Buffer {
  const packet = Buffer.alloc(98);
  announce.connectionId.copy(packet, 0, 0, 8);
  packet.writeUInt32BE(actions.announce, 8);
  packet.writeUInt32BE(announce.transactionId, 12);
  announce.infoHash.copy(packet, 16, 0, 20);
  announce.peerId.copy(packet, 36, 0, 20);
  packet.writeBigUInt64BE(0n, 56); // downloaded
  packet.writeBigUInt64BE(BigInt(announce.left), 64);
  packet.writeBigUInt64BE(0n, 72); // uploaded
  packet.writeUInt32BE(udpEvents[announce.event], 80);
  packet.writeUInt32BE(0, 84); // address: the packet's
  packet.writeUInt32BE(announce.key, 88);
  packet.writeInt32BE(-1, 92); // peers wanted: the tracker's default
  packet.writeUInt16BE(announce.port, 96);
  return packet;
}

/** @param infoHashes 20 bytes each, 74 at most */
export function encodeScrape(
  connectionId: Buffer,
  transactionId: number,
  ...infoHashes: readonly Buffer[]
): Buffer {
  const head = Buffer.alloc(16);
  connectionId.copy(head, 0, 0, 8);
  head.writeUInt32BE(actions.scrape, 8);
  head.writeUInt32BE(transactionId, 12);
  return Buffer.concat([head, ...infoHashes.map((infoHash) => infoHash.subarray(0, 20))]);
}

/** Whether a packet carries the transaction id, so that a late answer to an earlier request can be passed over. */
export function answersTo(packet: Buffer, transactionId: number): boolean {
  return packet.length >= 8 && packet.readUInt32BE(4) === transactionId;
}

/** Whether a packet says that a request could not be read, nor whose it was: Torrust Tracker sends such errors with 0. */
export function answersToNobody(packet: Buffer): boolean {
  return packet.length >= 8 && packet.readUInt32BE(0) === actions.error && packet.readUInt32BE(4) === 0;
}

/**
 * Reads an answer.
 *
 * @param family of the socket on which it came: announce answers carry peers of the same one
 * @throws {Bep15Error} and nothing else
 */
export function decodeAnswer(packet: Buffer, transactionId: number, family: 4 | 6): UdpAnswer {
  if (packet.length < 8) throw new Bep15Error(`an answer of ${packet.length} bytes, too short for any`);
  if (!answersTo(packet, transactionId)) throw new Bep15Error("an answer with another transaction id");
  const action = packet.readUInt32BE(0);
  const body = packet.subarray(8);
  switch (action) {
    case actions.connect:
      if (body.length < 8) throw new Bep15Error("a connect answer without its connection id");
      return { action: "connect", connectionId: Buffer.from(body.subarray(0, 8)) };
    case actions.announce: {
      if (body.length < 12) throw new Bep15Error("an announce answer that is cut off");
      return {
        action: "announce",
        interval: body.readUInt32BE(0),
        leechers: body.readUInt32BE(4),
        seeders: body.readUInt32BE(8),
        peers: compactPeers(body.subarray(12), family),
      };
    }
    case actions.scrape: {
      if (body.length % 12 !== 0) throw new Bep15Error("a scrape answer that is cut off");
      const torrents = Array.from({ length: body.length / 12 }, (_, index) => ({
        seeders: body.readUInt32BE(12 * index),
        completed: body.readUInt32BE(12 * index + 4),
        leechers: body.readUInt32BE(12 * index + 8),
      }));
      return { action: "scrape", torrents };
    }
    case actions.error:
      return { action: "error", message: printable(body.toString("utf8").slice(0, 300)) };
    default:
      throw new Bep15Error(`an answer with the unknown action ${action}`);
  }
}

/**
 * Peers in compact form: address and port, 6 bytes each for IPv4 (BEP 23), 18 for IPv6 (BEP 7).
 *
 * @throws {Bep15Error} when the bytes do not come out even
 */
export function compactPeers(bytes: Buffer, family: 4 | 6): Peer[] {
  const width = family === 4 ? 6 : 18;
  if (bytes.length % width !== 0)
    throw new Bep15Error(`${bytes.length} bytes of compact peers, no multiple of ${width}`);
  return Array.from({ length: bytes.length / width }, (_, index) => {
    const entry = bytes.subarray(index * width, (index + 1) * width);
    return { ip: formatAddress(entry.subarray(0, width - 2)), port: entry.readUInt16BE(width - 2) };
  });
}
