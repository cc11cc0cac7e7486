import { createHash, randomBytes } from "node:crypto";

/** A file that nobody else has, and what it takes to ask for it. */
export interface SharedFile {
  readonly name: string;
  readonly content: Buffer;
  /** SHA-1 of the info dictionary (BEP 3), in hex. */
  readonly infoHash: string;
  /** A torrent file with this tracker and no other. */
  torrent(announce: string): Buffer;
}

const pieceLength = 16_384;

/** Private (BEP 27): whoever has the torrent asks its tracker for peers, and neither DHT, other peers nor the local network. */
export function sharedFile(name: string): SharedFile {
  const content = randomBytes(2.5 * pieceLength);
  const pieces = [0, 1, 2].map((piece) =>
    sha1(content.subarray(piece * pieceLength, (piece + 1) * pieceLength)),
  );
  const info = {
    length: content.length,
    name,
    "piece length": pieceLength,
    pieces: Buffer.concat(pieces),
    private: 1,
  };
  return {
    name,
    content,
    infoHash: sha1(bencode(info)).toString("hex"),
    torrent: (announce) => bencode({ announce, info }),
  };
}

export const sha1 = (bytes: Buffer): Buffer => createHash("sha1").update(bytes).digest();

interface Dictionary {
  readonly [key: string]: string | number | Buffer | Dictionary;
}

/** Bencode (BEP 3) of a dictionary whose keys are in order. */
function bencode(value: Dictionary[string]): Buffer {
  if (typeof value === "number") return Buffer.from(`i${value}e`);
  if (typeof value === "string") return bencode(Buffer.from(value));
  if (Buffer.isBuffer(value)) return Buffer.concat([Buffer.from(`${value.length}:`), value]);
  const entries = Object.entries(value).flatMap(([key, item]) => [bencode(key), bencode(item)]);
  return Buffer.concat([Buffer.from("d"), ...entries, Buffer.from("e")]);
}
