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
  return new Reader(bytes).read();
}

class Reader {
  readonly #bytes: Buffer;
  #offset = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  read(): Bencode {
    const value = this.#value(0);
    if (this.#offset !== this.#bytes.length) this.#fail("something after the value");
    return value;
  }

  #value(depth: number): Bencode {
    if (depth > maximumDepth) this.#fail("lists or dictionaries that are too deep");
    const byte = this.#bytes[this.#offset];
    if (isDigit(byte)) return this.#string();
    switch (byte) {
      case 0x69:
        return this.#integer();
      case 0x6c:
        this.#offset++;
        return this.#list(depth);
      case 0x64:
        this.#offset++;
        return this.#dictionary(depth);
      default:
        return this.#fail(byte === undefined ? "the end is missing" : "an unknown type");
    }
  }

  #integer(): bigint {
    this.#expect("i");
    const negative = this.#bytes[this.#offset] === 0x2d;
    if (negative) this.#offset++;
    const start = this.#offset;
    const value = BigInt(this.#digits());
    if (negative && value === 0n) this.#fail("minus zero", start);
    this.#expect("e");
    return negative ? -value : value;
  }

  #string(): Buffer {
    const start = this.#offset;
    const length = Number(this.#digits());
    this.#expect(":");
    if (length > this.#bytes.length - this.#offset)
      this.#fail("a string that is longer than the rest", start);
    this.#offset += length;
    return this.#bytes.subarray(this.#offset - length, this.#offset);
  }

  #list(depth: number): Bencode[] {
    const items: Bencode[] = [];
    while (!this.#atEnd()) items.push(this.#value(depth + 1));
    this.#offset++;
    return items;
  }

  #dictionary(depth: number): BencodeDictionary {
    const entries = new Map<string, Bencode>();
    let last: Buffer | undefined;
    while (!this.#atEnd()) {
      const start = this.#offset;
      if (!isDigit(this.#bytes[start])) this.#fail("a key must be a string");
      const key = this.#string();
      if (last && Buffer.compare(last, key) >= 0) this.#fail("keys that are not sorted or not unique", start);
      last = key;
      entries.set(key.toString("latin1"), this.#value(depth + 1));
    }
    this.#offset++;
    return entries;
  }

  #atEnd(): boolean {
    if (this.#offset >= this.#bytes.length) this.#fail("the end is missing");
    return this.#bytes[this.#offset] === 0x65;
  }

  #expect(character: string): void {
    if (this.#bytes[this.#offset] !== character.charCodeAt(0)) this.#fail(`"${character}" expected`);
    this.#offset++;
  }

  /** A decimal number without leading zeros. */
  #digits(): string {
    const start = this.#offset;
    while (isDigit(this.#bytes[this.#offset])) this.#offset++;
    const text = this.#bytes.toString("latin1", start, this.#offset);
    if (text === "") this.#fail("digits expected", start);
    if (text.length > maximumDigits) this.#fail("a number that is too long", start);
    if (text.length > 1 && text.startsWith("0")) this.#fail("a leading zero", start);
    return text;
  }

  #fail(message: string, at = this.#offset): never {
    throw new BencodeError(message, at);
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= zero && byte <= nine;
}

/** Whether the value is a dictionary. */
export function isDictionary(value: Bencode | undefined): value is BencodeDictionary {
  return value instanceof Map;
}
