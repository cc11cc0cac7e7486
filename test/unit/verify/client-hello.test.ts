import { randomBytes } from "node:crypto";
import { createServer, type AddressInfo } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";

import {
  alertName,
  buildClientHello,
  clientShare,
  groupName,
  readServerAnswer,
  TlsAnswerError,
  x25519MlKem768,
  type ServerAnswer,
  type TlsVersion,
} from "../../../verify/client-hello";
import { exchange } from "../../../verify/net";
import { makeIdentity } from "./support/certificates";
import { serverHello } from "./support/front";

const closers: (() => void)[] = [];
afterEach(() => closers.splice(0).forEach((close) => close()));

/** Extensions of a ClientHello by type. */
function extensionsOf(hello: Buffer): Map<number, Buffer> {
  expect(hello[0]).toBe(22);
  expect(hello.readUInt16BE(3)).toBe(hello.length - 5);
  expect(hello[5]).toBe(1);
  expect(hello.readUIntBE(6, 3)).toBe(hello.length - 9);
  let offset = 9 + 2 + 32;
  offset += 1 + hello.readUInt8(offset);
  offset += 2 + hello.readUInt16BE(offset);
  offset += 1 + hello.readUInt8(offset);
  const end = offset + 2 + hello.readUInt16BE(offset);
  expect(end).toBe(hello.length);
  const found = new Map<number, Buffer>();
  for (offset += 2; offset < end;) {
    const length = hello.readUInt16BE(offset + 2);
    found.set(hello.readUInt16BE(offset), hello.subarray(offset + 4, offset + 4 + length));
    offset += 4 + length;
  }
  return found;
}

describe("buildClientHello", () => {
  it("offers X25519MLKEM768 alone, with a share of 1216 bytes", () => {
    const extensions = extensionsOf(
      buildClientHello({ serverName: "api.example.org", version: "1.3", random: randomBytes }),
    );
    expect(extensions.get(0)?.toString("latin1")).toContain("api.example.org");
    expect(extensions.get(10)?.toString("hex")).toBe("000211ec");
    expect(extensions.get(43)?.toString("hex")).toBe("020304");
    const share = extensions.get(51) ?? Buffer.alloc(0);
    expect(share.readUInt16BE(2)).toBe(x25519MlKem768);
    expect(share.readUInt16BE(4)).toBe(1184 + 32);
    expect(share.length).toBe(6 + 1184 + 32);
  });

  it("sends no address as server name, and nothing of TLS 1.3 below it", () => {
    const extensions = extensionsOf(
      buildClientHello({ serverName: "192.0.2.1", version: "1.1", random: randomBytes }),
    );
    expect([...extensions.keys()].sort()).toEqual([10, 11]);
  });

  it("keeps every coefficient of the ML-KEM key below 3329, whatever the random numbers", () => {
    const check = (random: (length: number) => Buffer) => {
      const share = clientShare(random);
      expect(share.length).toBe(1216);
      for (let pair = 0; pair < 384; pair++) {
        const [a = 0, b = 0, c = 0] = share.subarray(3 * pair, 3 * pair + 3);
        expect(a | ((b & 15) << 8)).toBeLessThan(3329);
        expect((b >> 4) | (c << 4)).toBeLessThan(3329);
      }
    };
    check(randomBytes);
    // Numbers just below and above the modulus.
    let next = 3300;
    check((length) => {
      const bytes = Buffer.alloc(length);
      for (let index = 0; index + 1 < length; index += 2)
        bytes.writeUInt16LE((next = 3300 + ((next + 1) % 60)), index);
      return bytes;
    });
  });
});

describe("readServerAnswer", () => {
  const share = (length: number) =>
    Buffer.concat([Buffer.from([0x11, 0xec, length >> 8, length & 255]), Buffer.alloc(length)]);

  it("reads ServerHello, HelloRetryRequest and alert", () => {
    expect(readServerAnswer(serverHello({ share: share(1120) }))).toMatchObject({
      kind: "server-hello",
      version: 0x0304,
      group: 0x11ec,
      shareLength: 1120,
    });
    const random = Buffer.from("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c", "hex");
    expect(readServerAnswer(serverHello({ share: Buffer.from([0, 0x1d]), random }))).toMatchObject({
      kind: "hello-retry-request",
      group: 0x1d,
    });
    expect(readServerAnswer(Buffer.from("15030100020246", "hex"))).toEqual({
      kind: "alert",
      fatal: true,
      description: 70,
    });
    expect(alertName(70)).toBe("alert 70 (protocol version)");
    expect(alertName(99)).toBe("alert 99");
    expect(groupName(0x1d)).toBe("X25519");
    expect(groupName(0x9999)).toBe("group 0x9999");
  });

  it("waits for the rest, however the bytes come", () => {
    const whole = serverHello({ share: share(1120) });
    fc.assert(
      fc.property(fc.nat({ max: whole.length - 1 }), (length) => {
        expect(readServerAnswer(whole.subarray(0, length))).toBeUndefined();
      }),
    );
    // One message over two records.
    const message = whole.subarray(5);
    const record = (part: Buffer) =>
      Buffer.concat([Buffer.from([22, 3, 3, part.length >> 8, part.length & 255]), part]);
    const split = Buffer.concat([
      record(message.subarray(0, 3)),
      record(message.subarray(3, 600)),
      record(message.subarray(600)),
    ]);
    expect(readServerAnswer(split)).toEqual(readServerAnswer(whole));
  });

  it.each([
    ["4854", "a record of type 72"],
    ["160200", "unknown version"],
    ["1603030000", "a record of 0 bytes"],
    ["160303ffff", "a record of 65535 bytes"],
    ["15030300010200", "an alert of 1 bytes"],
    ["160303000401000000", "a message of type 1"],
    ["1603030004020f0000", "a message of 983040 bytes"],
    ["160303000502000001ff", "cut off"],
    ["1603030001021503030002022800", "an alert within a message"],
  ])("refuses %s", (hex, message) => {
    expect(() => readServerAnswer(Buffer.from(hex, "hex"))).toThrow(TlsAnswerError);
    expect(() => readServerAnswer(Buffer.from(hex, "hex"))).toThrow(message);
  });

  it("never crashes: any bytes, and any change to a good answer", () => {
    const good = serverHello({ share: share(1120) });
    const changed = fc
      .array(fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 6 })
      .map((changes) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        return bytes;
      });
    const framed = fc
      .tuple(fc.constantFrom(21, 22), fc.uint8Array({ maxLength: 120 }))
      .map(([type, body]) => Buffer.concat([Buffer.from([type, 3, 3, 0, body.length]), body]));
    const any = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(changed, framed, any), (bytes) => {
        try {
          readServerAnswer(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(TlsAnswerError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe("against this machine's OpenSSL", () => {
  async function offer(version: TlsVersion, max: "TLSv1.2" | "TLSv1.3"): Promise<ServerAnswer> {
    const context = createSecureContext({
      ...makeIdentity({ name: "x.test", altNames: ["x.test"] }),
      minVersion: "TLSv1.2",
      maxVersion: max,
    });
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      new TLSSocket(socket, { isServer: true, secureContext: context }).on("error", () => undefined);
    });
    closers.push(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const hello = buildClientHello({ serverName: "x.test", version, random: randomBytes });
    return exchange({ host: "127.0.0.1", port }, hello, readServerAnswer, {
      timeout: 3000,
      limit: 32 * 1024,
    });
  }

  it("a ClientHello for TLS 1.2 is understood", async () => {
    expect(await offer("1.2", "TLSv1.3")).toMatchObject({ kind: "server-hello", version: 0x0303 });
  });

  it("TLS 1.1 is refused with a protocol version alert", async () => {
    expect(await offer("1.1", "TLSv1.3")).toMatchObject({ kind: "alert", description: 70 });
  });

  it("X25519MLKEM768 alone is agreed, or refused for want of it", async () => {
    const [major = 0, minor = 0] = process.versions.openssl.split(".").map(Number);
    const hasIt = major > 3 || (major === 3 && minor >= 5);
    const answer = await offer("1.3", "TLSv1.3");
    if (hasIt) expect(answer).toMatchObject({ kind: "server-hello", group: 0x11ec, shareLength: 1120 });
    else expect(answer).toMatchObject({ kind: "alert", description: 40 });
  });
});
