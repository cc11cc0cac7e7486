import { isIP } from "node:net";

/**
 * The first flight of a TLS handshake and a reader of the server's first answer (RFC 8446, RFC 5246): enough to see
 * which version and which key exchange a server chooses, also those that this machine's OpenSSL lacks.
 */

export const tlsVersions = { "1.0": 0x0301, "1.1": 0x0302, "1.2": 0x0303, "1.3": 0x0304 } as const;
export type TlsVersion = keyof typeof tlsVersions;

/** Hybrid of X25519 and ML-KEM-768 (draft-ietf-tls-ecdhe-mlkem; IANA number 4588). */
export const x25519MlKem768 = 0x11ec;
/** Bytes of the server's share: an ML-KEM-768 ciphertext (FIPS 203) and an X25519 key (RFC 7748). */
export const x25519MlKem768ServerShare = 1088 + 32;

const groupNames: Readonly<Record<number, string>> = {
  0x0017: "P-256",
  0x0018: "P-384",
  0x0019: "P-521",
  0x001d: "X25519",
  0x001e: "X448",
  0x11eb: "SecP256r1MLKEM768",
  [x25519MlKem768]: "X25519MLKEM768",
};

/** Name of a key exchange group for people. */
export function groupName(group: number): string {
  return groupNames[group] ?? `group 0x${group.toString(16).padStart(4, "0")}`;
}

const alertNames: Readonly<Record<number, string>> = {
  10: "unexpected message",
  40: "handshake failure",
  42: "bad certificate",
  47: "illegal parameter",
  50: "decode error",
  70: "protocol version",
  71: "insufficient security",
  80: "internal error",
  86: "inappropriate fallback",
  109: "missing extension",
  112: "unrecognized name",
  120: "no application protocol",
};

/** Name of an alert for people (RFC 8446 §6). */
export function alertName(description: number): string {
  return `alert ${description}${alertNames[description] ? ` (${alertNames[description]})` : ""}`;
}

export interface ClientHelloOptions {
  /** Host name for server_name (RFC 6066); an IP address is left out, as the RFC demands. */
  readonly serverName?: string;
  /** The newest version offered; below 1.3 all older ones are accepted too, as the protocol has it. */
  readonly version: TlsVersion;
  /** Source of bytes; only tests replace it. */
  readonly random: (length: number) => Buffer;
}

/**
 * A ClientHello in its record. With version 1.3 it offers X25519MLKEM768 as the only key exchange, with a share of
 * random numbers: valid by its form, so that a server answers, but of use to nobody, since no secret belongs to it.
 */
export function buildClientHello({ serverName, version, random }: ClientHelloOptions): Buffer {
  const modern = version === "1.3";
  const extensions = [
    ...(serverName && isIP(serverName) === 0 ? [serverNameExtension(serverName)] : []),
    extension(10, list16(modern ? [uint16(x25519MlKem768)] : [0x001d, 0x0017, 0x0018].map(uint16))),
    ...(modern || version === "1.2" ? [extension(13, list16(signatureSchemes.map(uint16)))] : []),
    ...(modern
      ? [
          extension(43, vector8(uint16(tlsVersions["1.3"]))),
          extension(45, vector8(Buffer.from([1]))),
          extension(51, vector16(Buffer.concat([uint16(x25519MlKem768), vector16(clientShare(random))]))),
        ]
      : [extension(11, vector8(Buffer.from([0])))]),
  ];
  const body = Buffer.concat([
    uint16(modern ? tlsVersions["1.2"] : tlsVersions[version]),
    random(32),
    vector8(random(32)),
    list16((modern ? [0x1301, 0x1302, 0x1303] : legacyCipherSuites).map(uint16)),
    vector8(Buffer.from([0])),
    list16(extensions),
  ]);
  const message = Buffer.concat([Buffer.from([1, body.length >> 16]), uint16(body.length & 0xffff), body]);
  return Buffer.concat([Buffer.from([22]), uint16(tlsVersions["1.0"]), vector16(message)]);
}

/**
 * The client's share for X25519MLKEM768: an ML-KEM-768 encapsulation key and an X25519 key. Servers check the former's
 * 768 coefficients of 12 bits to be below 3329 (FIPS 203 §7.2), so those are drawn from that range.
 */
export function clientShare(random: (length: number) => Buffer): Buffer {
  const modulus = 3329;
  const coefficients: number[] = [];
  while (coefficients.length < 768) {
    const bytes = random(1536);
    for (let index = 0; index + 1 < bytes.length && coefficients.length < 768; index += 2) {
      const candidate = bytes.readUInt16LE(index) & 0xfff;
      if (candidate < modulus) coefficients.push(candidate);
    }
  }
  const packed = Buffer.alloc(1152);
  for (let pair = 0; pair < 384; pair++) {
    const low = coefficients[2 * pair] ?? 0;
    const high = coefficients[2 * pair + 1] ?? 0;
    packed[3 * pair] = low & 0xff;
    packed[3 * pair + 1] = (low >> 8) | ((high & 0xf) << 4);
    packed[3 * pair + 2] = high >> 4;
  }
  return Buffer.concat([packed, random(32), random(32)]);
}

/** The first thing that a server says to a ClientHello. */
export type ServerAnswer =
  | {
      readonly kind: "server-hello" | "hello-retry-request";
      readonly version: number;
      readonly cipherSuite: number;
      /** Key exchange group of TLS 1.3: chosen, or asked for by a HelloRetryRequest. */
      readonly group?: number;
      /** Bytes of the server's share. */
      readonly shareLength?: number;
    }
  | { readonly kind: "alert"; readonly fatal: boolean; readonly description: number };

/** Thrown for bytes that are no answer to a ClientHello. */
export class TlsAnswerError extends Error {
  constructor(message: string) {
    super(`no TLS: ${message}`);
    this.name = "TlsAnswerError";
  }
}

/** A ServerHello is far smaller; more is not waited for. */
const maximumMessage = 16 * 1024;

// SHA-256 of "HelloRetryRequest", RFC 8446 §4.1.3
const retryRandom = Buffer.from("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c", "hex");

/**
 * Reads a server's first answer from the bytes that have come so far.
 *
 * @returns undefined while more bytes are needed; never after 17 KiB
 * @throws {TlsAnswerError} and nothing else
 */
export function readServerAnswer(bytes: Buffer): ServerAnswer | undefined {
  const fragments: Buffer[] = [];
  let length = 0;
  let offset = 0;
  while (offset < bytes.length) {
    const type = bytes[offset];
    if (type !== 21 && type !== 22) throw new TlsAnswerError(`a record of type ${type}`);
    if (offset + 1 < bytes.length && bytes[offset + 1] !== 3)
      throw new TlsAnswerError("a record of an unknown version");
    if (bytes.length - offset < 5) return undefined;
    const size = bytes.readUInt16BE(offset + 3);
    if (size === 0 || size > maximumMessage) throw new TlsAnswerError(`a record of ${size} bytes`);
    if (type === 21) {
      if (fragments.length > 0) throw new TlsAnswerError("an alert within a message");
      if (size !== 2) throw new TlsAnswerError(`an alert of ${size} bytes`);
      if (bytes.length - offset < 7) return undefined;
      return { kind: "alert", fatal: bytes[offset + 5] === 2, description: bytes[offset + 6] ?? 0 };
    }
    const fragment = bytes.subarray(offset + 5, offset + 5 + size);
    fragments.push(fragment);
    length += fragment.length;
    offset += 5 + size;
    const message = Buffer.concat(fragments, length);
    if (message.length >= 1 && message[0] !== 2) throw new TlsAnswerError(`a message of type ${message[0]}`);
    if (message.length < 4) continue;
    const expected = message.readUIntBE(1, 3);
    if (expected > maximumMessage) throw new TlsAnswerError(`a message of ${expected} bytes`);
    if (message.length >= 4 + expected) return readServerHello(message.subarray(4, 4 + expected));
    if (fragment.length < size) return undefined;
  }
  return undefined;
}

function readServerHello(body: Buffer): ServerAnswer {
  const reader = new Reader(body);
  const legacyVersion = reader.uint16();
  const random = reader.take(32);
  const session = reader.take(reader.uint8());
  if (session.length > 32) throw new TlsAnswerError("a session id that is too long");
  const cipherSuite = reader.uint16();
  reader.uint8(); // compression
  let version = legacyVersion;
  let group: number | undefined;
  let shareLength: number | undefined;
  const retry = random.equals(retryRandom);
  // Before TLS 1.3 the extensions may be absent.
  const extensions = new Reader(reader.left === 0 ? Buffer.alloc(0) : reader.take(reader.uint16()));
  if (reader.left !== 0) throw new TlsAnswerError("something after a ServerHello");
  while (extensions.left > 0) {
    const type = extensions.uint16();
    const data = new Reader(extensions.take(extensions.uint16()));
    if (type === 43) version = data.uint16();
    else if (type === 51) {
      group = data.uint16();
      if (!retry) shareLength = data.take(data.uint16()).length;
    } else continue;
    if (data.left !== 0) throw new TlsAnswerError("an extension that is too long");
  }
  return { kind: retry ? "hello-retry-request" : "server-hello", version, cipherSuite, group, shareLength };
}

class Reader {
  private offset = 0;

  constructor(private readonly bytes: Buffer) {}

  get left(): number {
    return this.bytes.length - this.offset;
  }

  take(length: number): Buffer {
    if (length > this.left) throw new TlsAnswerError("a ServerHello that is cut off");
    this.offset += length;
    return this.bytes.subarray(this.offset - length, this.offset);
  }

  uint8(): number {
    return this.take(1).readUInt8(0);
  }

  uint16(): number {
    return this.take(2).readUInt16BE(0);
  }
}

// ---- writing

const signatureSchemes = [
  0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0201,
];

// ECDHE and RSA with AES, for ECDSA and RSA certificates: some server of each age has one of them.
const legacyCipherSuites = [
  0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc00a, 0xc014, 0x009c, 0x002f, 0x0035,
];

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

function vector8(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function vector16(bytes: Buffer): Buffer {
  return Buffer.concat([uint16(bytes.length), bytes]);
}

function list16(items: readonly Buffer[]): Buffer {
  return vector16(Buffer.concat(items));
}

function extension(type: number, data: Buffer): Buffer {
  return Buffer.concat([uint16(type), vector16(data)]);
}

function serverNameExtension(name: string): Buffer {
  return extension(0, vector16(Buffer.concat([Buffer.from([0]), vector16(Buffer.from(name, "latin1"))])));
}
