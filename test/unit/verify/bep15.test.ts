import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { formatAddress, isLocal, isLoopback, normalizeAddress } from "../../../verify/addresses";
import {
  answersTo,
  Bep15Error,
  compactPeers,
  decodeAnswer,
  encodeAnnounce,
  encodeConnect,
  encodeScrape,
} from "../../../verify/bep15";

const connectionId = Buffer.from("0102030405060708", "hex");
const infoHash = Buffer.alloc(20, 0xaa);
const peerId = Buffer.alloc(20, 0xbb);

describe("requests", () => {
  it("are laid out as BEP 15 says", () => {
    expect(encodeConnect(0xdeadbeef).toString("hex")).toBe("00000417271019800000000" + "0deadbeef");
    const announce = encodeAnnounce({
      connectionId,
      transactionId: 1,
      infoHash,
      peerId,
      left: 5,
      event: "stopped",
      key: 0xffffffff,
      port: 6881,
    });
    expect(announce.toString("hex")).toBe(
      [
        "0102030405060708",
        "00000001",
        "00000001",
        "aa".repeat(20),
        "bb".repeat(20),
        "00".repeat(8),
        "0000000000000005",
        "00".repeat(8),
        "00000003",
        "00000000",
        "ffffffff",
        "ffffffff",
        "1ae1",
      ].join(""),
    );
    expect(encodeScrape(connectionId, 2, infoHash).toString("hex")).toBe(
      `01020304050607080000000200000002${"aa".repeat(20)}`,
    );
  });
});

describe("decodeAnswer", () => {
  const packet = (hex: string) => Buffer.from(hex.replaceAll(" ", ""), "hex");

  it("reads each kind", () => {
    expect(decodeAnswer(packet("00000000 00000009 0102030405060708"), 9, 4)).toEqual({
      action: "connect",
      connectionId,
    });
    expect(decodeAnswer(packet("00000001 00000009 0000012c 00000002 00000001 7f000001 1ae1"), 9, 4)).toEqual({
      action: "announce",
      interval: 300,
      leechers: 2,
      seeders: 1,
      peers: [{ ip: "127.0.0.1", port: 6881 }],
    });
    expect(decodeAnswer(packet("00000002 00000009 00000001 00000005 00000002"), 9, 6)).toEqual({
      action: "scrape",
      torrents: [{ seeders: 1, completed: 5, leechers: 2 }],
    });
  });

  it("takes the terminal's controls out of an error", () => {
    const answer = decodeAnswer(
      Buffer.concat([packet("00000003 00000009"), Buffer.from("a\u001b[31m")]),
      9,
      4,
    );
    expect(answer).toEqual({ action: "error", message: "a·[31m" });
  });

  it.each([
    ["", "too short"],
    ["00000000 00000008 0102030405060708", "another transaction id"],
    ["00000000 00000009 01", "without its connection id"],
    ["00000001 00000009 0000012c", "cut off"],
    ["00000001 00000009 0000012c 00000002 00000001 7f000001 1a", "no multiple of 6"],
    ["00000002 00000009 0000000100", "cut off"],
    ["00000004 00000009", "unknown action 4"],
  ])("refuses %j", (hex, message) => {
    expect(() => decodeAnswer(packet(hex), 9, 4)).toThrow(message);
    expect(() => decodeAnswer(packet(hex), 9, 4)).toThrow(Bep15Error);
  });

  it("never crashes, on any packet", () => {
    const head = fc
      .tuple(fc.constantFrom(0, 1, 2, 3, 4), fc.uint8Array({ maxLength: 80 }))
      .map(([action, rest]) => Buffer.concat([Buffer.from([0, 0, 0, action, 0, 0, 0, 9]), rest]));
    const any = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(head, any), fc.constantFrom(4 as const, 6 as const), (bytes, family) => {
        answersTo(bytes, 9);
        try {
          decodeAnswer(bytes, 9, family);
        } catch (error) {
          expect(error).toBeInstanceOf(Bep15Error);
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe("addresses", () => {
  it("are spelt one way", () => {
    expect(compactPeers(Buffer.concat([Buffer.alloc(15), Buffer.from([1, 0x1a, 0xe1])]), 6)).toEqual([
      { ip: "::1", port: 6881 },
    ]);
    expect(formatAddress(Buffer.from("20010db8000000000000000000000007", "hex"))).toBe("2001:db8::7");
    expect(normalizeAddress("2001:DB8:0:0::7")).toBe("2001:db8::7");
    expect(normalizeAddress("::ffff:192.0.2.1")).toBe("192.0.2.1");
    expect(normalizeAddress("fe80::1%eth0")).toBe("fe80::1");
    expect(normalizeAddress("tracker")).toBe("tracker");
  });

  it("are told apart by reach", () => {
    for (const address of ["127.0.0.1", "127.9.9.9", "::1"]) expect(isLoopback(address)).toBe(true);
    for (const address of [
      "10.1.2.3",
      "172.31.0.1",
      "192.168.0.1",
      "100.64.0.1",
      "fd00::1",
      "fe80::1",
      "::1",
    ])
      expect(isLocal(address)).toBe(true);
    for (const address of ["1.1.1.1", "172.32.0.1", "2001:4860::1", "not an address"])
      expect(isLocal(address)).toBe(false);
  });
});
