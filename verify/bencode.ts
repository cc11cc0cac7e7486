/**
 * A strict reader of bencode (BEP 3): sorted unique keys, no leading zeros, nothing after the value. Strings stay
 * bytes, because info-hashes and compact peers are no text. The `bencode` package reads keys as text and forgives.
 */

/** A bencoded value. Integers are `bigint`: BEP 3 sets no limit to them. */
export type Bencode = Buffer | bigint | readonly Bencode[] | BencodeDictionary;

/** A dictionary; its keys as latin1 text, one character per byte, so that binary keys keep their bytes. */
export type BencodeDictionary = ReadonlyMap<string, Bencode>;

/** Thrown for bytes that are no bencode; the message names the offset. */
export class BencodeError extends Error {
  constructor(message: string, offset: number) {
    super(`no bencode: ${message} at byte ${offset}`);
    this.name = "BencodeError";
  }
}

/** Lists and dictionaries within each other that are accepted; a tracker's answer has three. */
const maximumDepth = 32;
const maximumDigits = 20;

const zero = 0x30;
const nine = 0x39;

/**
 * Reads one bencoded value that fills the whole buffer.
 *
 * @throws {BencodeError} and nothing else
 */
export function decodeBencode(bytes: Buffer): Bencode {
  let offset = 0;

  const fail = (message: string, at = offset): never => {
    throw new BencodeError(message, at);
  };
  const isDigit = (byte: number | undefined) => byte !== undefined && byte >= zero && byte <= nine;
  const expect = (character: string) => {
    if (bytes[offset] !== character.charCodeAt(0)) fail(`"${character}" expected`);
    offset++;
  };
  /** A decimal number without leading zeros. */
  const digits = (): string => {
    const start = offset;
    while (isDigit(bytes[offset])) offset++;
    const text = bytes.toString("latin1", start, offset);
    if (text === "") fail("digits expected", start);
    if (text.length > maximumDigits) fail("a number that is too long", start);
    if (text.length > 1 && text.startsWith("0")) fail("a leading zero", start);
    return text;
  };
  const readInteger = (): bigint => {
    expect("i");
    const negative = bytes[offset] === 0x2d;
    if (negative) offset++;
    const start = offset;
    const value = BigInt(digits());
    if (negative && value === 0n) fail("minus zero", start);
    expect("e");
    return negative ? -value : value;
  };
  const readBytes = (): Buffer => {
    const start = offset;
    const length = Number(digits());
    expect(":");
    if (length > bytes.length - offset) fail("a string that is longer than the rest", start);
    offset += length;
    return bytes.subarray(offset - length, offset);
  };
  const atEnd = () => {
    if (offset >= bytes.length) fail("the end is missing");
    return bytes[offset] === 0x65;
  };
  const readDictionary = (depth: number): BencodeDictionary => {
    const entries = new Map<string, Bencode>();
    let last: Buffer | undefined;
    while (!atEnd()) {
      const start = offset;
      if (!isDigit(bytes[offset])) fail("a key must be a string");
      const key = readBytes();
      if (last && Buffer.compare(last, key) >= 0) fail("keys that are not sorted or not unique", start);
      last = key;
      entries.set(key.toString("latin1"), readValue(depth + 1));
    }
    offset++;
    return entries;
  };
  const readList = (depth: number): Bencode[] => {
    const items: Bencode[] = [];
    while (!atEnd()) items.push(readValue(depth + 1));
    offset++;
    return items;
  };
  const readValue = (depth: number): Bencode => {
    if (depth > maximumDepth) fail("lists or dictionaries that are too deep");
    const byte = bytes[offset];
    if (isDigit(byte)) return readBytes();
    switch (byte) {
      case 0x69:
        return readInteger();
      case 0x6c:
        offset++;
        return readList(depth);
      case 0x64:
        offset++;
        return readDictionary(depth);
      default:
        return fail(byte === undefined ? "the end is missing" : "an unknown type");
    }
  };

  const value = readValue(0);
  if (offset !== bytes.length) fail("something after the value");
  return value;
}

/** Whether the value is a dictionary. */
export function isDictionary(value: Bencode | undefined): value is BencodeDictionary {
  return value instanceof Map;
}
