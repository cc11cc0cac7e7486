import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { BencodeError, decodeBencode, isDictionary, type Bencode } from "../../../verify/bencode";
import { encodeBencode, type Encodable } from "./support/tracker";

const decode = (text: string) => decodeBencode(Buffer.from(text, "latin1"));

describe("decodeBencode", () => {
  it("reads an announce answer", () => {
    const answer = decode(
      "d8:completei1e10:incompletei0e8:intervali300e5:peers6:\u007f\u0000\u0000\u0001\u001a\u00e1e",
    );
    if (!isDictionary(answer)) throw new Error("no dictionary");
    expect(answer.get("complete")).toBe(1n);
    expect(answer.get("peers")).toEqual(Buffer.from([127, 0, 0, 1, 0x1a, 0xe1]));
  });

  it("keeps the bytes of binary keys", () => {
    const infoHash = Buffer.from(Array.from({ length: 20 }, (_, index) => 255 - index));
    const answer = decodeBencode(encodeBencode(new Map([[infoHash.toString("latin1"), 7]])));
    expect(isDictionary(answer) && answer.get(infoHash.toString("latin1"))).toBe(7n);
  });

  it.each([
    ["", "the end is missing at byte 0"],
    ["i", "digits expected at byte 1"],
    ["ie", "digits expected"],
    ["i1", '"e" expected'],
    ["i01e", "a leading zero"],
    ["i-0e", "minus zero"],
    ["i--1e", "digits expected"],
    ["i1.5e", '"e" expected'],
    [`i${"9".repeat(21)}e`, "too long"],
    ["4:abc", "longer than the rest"],
    ["04:abcd", "a leading zero"],
    ["-1:a", "an unknown type"],
    ["l", "the end is missing"],
    ["li1e", "the end is missing"],
    ["d3:keye", "an unknown type"],
    ["di1ei2ee", "a key must be a string"],
    ["d1:bi1e1:ai2ee", "not sorted or not unique"],
    ["d1:ai1e1:ai2ee", "not sorted or not unique"],
    ["i1ei2e", "something after the value at byte 3"],
    ["x", "an unknown type"],
    ["l".repeat(100), "too deep"],
  ])("refuses %j", (text, message) => {
    expect(() => decode(text)).toThrow(BencodeError);
    expect(() => decode(text)).toThrow(message);
  });

  it("gives back what was written", () => {
    const values = fc.letrec<{ value: Encodable }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.maxSafeInteger(),
        fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
        fc.array(tie("value"), { maxLength: 4 }),
        fc
          .array(fc.tuple(fc.uint8Array({ maxLength: 21 }), tie("value")), { maxLength: 4 })
          .map(
            (entries) => new Map(entries.map(([key, value]) => [Buffer.from(key).toString("latin1"), value])),
          ),
      ),
    })).value;
    const plain = (value: Encodable | Bencode): unknown => {
      if (typeof value === "number") return BigInt(value);
      if (Array.isArray(value)) return (value as readonly Encodable[]).map(plain);
      if (value instanceof Map)
        return new Map([...value].map(([key, member]): [string, unknown] => [key, plain(member)]));
      return value;
    };
    fc.assert(
      fc.property(values, (value) => {
        expect(plain(decodeBencode(encodeBencode(value)))).toEqual(plain(value));
      }),
    );
  });

  it("never crashes, on any bytes", () => {
    const alphabet = fc.constantFrom(..."dlie0123456789:-ab\u0000\u00ff");
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc.array(alphabet, { maxLength: 60 }).map((characters) => Buffer.from(characters.join(""), "latin1")),
    );
    fc.assert(
      fc.property(garbage, (bytes) => {
        try {
          decodeBencode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(BencodeError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
