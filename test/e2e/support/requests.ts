import { randomBytes } from "node:crypto";
import { connect as connectHttp2 } from "node:http2";
import { Agent, request } from "node:https";
import { connect } from "node:tls";
import { expect, it } from "vitest";

import { fetchLocal } from "./clients";
import type { Outputs } from "./engine";

/** A GET as a client writes it: neither path nor host is brought into another form. */
export interface Asked {
  /** Where to, and the name in the handshake. */
  readonly origin: string;
  readonly path: string;
  /** @default that of the origin */
  readonly host?: string;
  readonly agent?: Agent;
}

export interface Answered {
  readonly status: number;
  readonly body: Buffer;
  readonly location?: string;
}

type Ask = (asked: Asked) => Promise<Answered>;

const tls = (origin: string) => {
  const { hostname, port } = new URL(origin);
  return { host: "127.0.0.1", port: Number(port), servername: hostname, rejectUnauthorized: false };
};

/** Over HTTP/1.1, with a connection of its own unless an agent keeps one. */
export const askHttp1: Ask = ({ origin, path, host = new URL(origin).host, agent }) =>
  new Promise((resolve, reject) => {
    const headers = { host, "user-agent": "test" };
    request({ ...tls(origin), path, headers, agent: agent ?? false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          body: Buffer.concat(chunks),
          location: response.headers.location,
        }),
      );
    })
      .on("error", reject)
      .end();
  });

/** Over HTTP/1.0, which ends with the connection. */
const askHttp10: Ask = ({ origin, path, host = new URL(origin).host }) =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(tls(origin), () =>
      socket.write(`GET ${path} HTTP/1.0\r\nHost: ${host}\r\nUser-Agent: test\r\n\r\n`, "latin1"),
    );
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("close", () => {
      const answer = Buffer.concat(chunks);
      const body = answer.subarray(answer.indexOf("\r\n\r\n") + 4);
      resolve({ status: Number(answer.toString("latin1").split(" ")[1]), body });
    });
  });

export const askHttp2: Ask = ({ origin, path, host = new URL(origin).host }) =>
  new Promise((resolve, reject) => {
    const session = connectHttp2(origin, {
      createConnection: () => connect({ ...tls(origin), ALPNProtocols: ["h2"] }),
      maxSendHeaderBlockLength: 1 << 20,
    });
    session.on("error", reject);
    const stream = session.request({ ":authority": host, ":path": path, "user-agent": "test" });
    const chunks: Buffer[] = [];
    let [status, location]: [number, string | undefined] = [0, undefined];
    stream.on("response", (headers) => {
      status = headers[":status"] ?? 0;
      location = headers.location;
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("end", () => {
      session.close();
      resolve({ status, body: Buffer.concat(chunks), location });
    });
  });

const protocols: readonly [string, Ask][] = [
  ["HTTP/1.1", askHttp1],
  ["HTTP/2", askHttp2],
];

/** All forms of an origin's host that mean it. */
function formsOf(origin: string): string[] {
  const { hostname, port } = new URL(origin);
  const names = [hostname, hostname.toUpperCase(), `${hostname}.`];
  return names.flatMap((name) => [name, `${name}:${port}`]);
}

/** Asks for a path by each form of the origin's host, over both protocols. */
export async function expectEachForm(origin: string, path: string, body: RegExp): Promise<void> {
  for (const [protocol, ask] of protocols)
    for (const host of formsOf(origin)) {
      const { status, body: seen } = await ask({ origin, path, host });
      expect([protocol, host, status, seen.toString()]).toEqual([
        protocol,
        host,
        200,
        expect.stringMatching(body),
      ]);
    }
}

/** Asks for a path by names that only look like the origin's. */
export async function expectNoOther(origin: string, path: string): Promise<void> {
  const { hostname, port } = new URL(origin);
  const names = [
    `x${hostname}`,
    hostname.replace(".", "x"),
    `${hostname}.evil.org`,
    `${hostname}..`,
    hostname.slice(1),
  ];
  for (const [protocol, ask] of protocols)
    for (const host of [...names, ...names.map((name) => `${name}:${port}`)]) {
      const { status } = await ask({ origin, path, host });
      expect([protocol, host, [400, 404, 421].includes(status), status]).toEqual([
        protocol,
        host,
        true,
        status,
      ]);
    }
}

/** How a client may write the same announce. */
const spellings: readonly [string, (bytes: Buffer) => string][] = [
  ["each byte escaped", (bytes) => escaped(bytes, () => false)],
  ["each byte escaped, in capitals", (bytes) => escaped(bytes, () => false).toUpperCase()],
  ["unreserved characters as they are", (bytes) => escaped(bytes, (text) => /[\w.~-]/.test(text))],
  [
    "sub-delimiters as they are, a plus among them",
    (bytes) => escaped(bytes, (text) => /[\w.~!$'()*+,;:@/?-]/.test(text)),
  ],
];

function escaped(bytes: Buffer, plain: (character: string) => boolean): string {
  return [...bytes]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return byte < 0x80 && plain(character) ? character : `%${byte.toString(16).padStart(2, "0")}`;
    })
    .join("");
}

/** Holds every kind of character that clients leave or escape, and bytes that are none. */
const peerIdOf = (port: number) => Buffer.from(`-X~_+. !*'()%/${port}\xff\0`, "latin1");
const infoHash = () => Buffer.concat([Buffer.from("aZ9-._~+ %&=\xff\0", "latin1"), randomBytes(6)]);

const announcePath = (hash: string, peerId: string, port: number, more = "") =>
  `/announce?info_hash=${hash}&peer_id=${peerId}&port=${port}&uploaded=0&downloaded=0&left=1&compact=1${more}`;

/** Peers of a torrent as the tracker knows them. */
async function peersOf({ urls, adminToken }: Outputs, hash: Buffer) {
  const { body } = await fetchLocal(`${urls.api}/api/v1/torrent/${hash.toString("hex")}?token=${adminToken}`);
  const { peers } = JSON.parse(body.toString()) as {
    peers: { peer_id: { id: string }; peer_addr: string }[];
  };
  return peers.map(({ peer_id, peer_addr }) => [peer_id.id, peer_addr]);
}

/** What a client may add to an announce; none of it says where the peer is. */
const additions = {
  "an IPv6 address": "&ipv6=2001:db8::7",
  "an IPv6 endpoint": "&ipv6=%5B2001%3adb8%3A%3A7%5D%3A6881",
  "an IPv6 endpoint, as it is": "&ipv6=[2001:db8::7]:6881",
  "addresses of either kind": "&ip=203.0.113.7&ipv4=203.0.113.7%3A6881&ipv6=2001%3Adb8%3A%3A7",
  "all that libtorrent sends":
    "&corrupt=0&key=1F2E3D4C&event=started&numwant=200&no_peer_id=1&supportcrypto=1&redundant=0",
};

/** Registers tests of what clients of an HTTP tracker ask for, and how. */
export function itServesClients(proxy: "pingoo" | "nginx", outputsOf: () => Outputs): void {
  const origin = () => outputsOf().urls.trackers[0]!;
  const expectPeer = async (hash: Buffer, port: number) =>
    expect(await peersOf(outputsOf(), hash)).toEqual([
      [
        `0x${peerIdOf(port).toString("hex")}`,
        expect.stringMatching(new RegExp(`^10\\.\\d+\\.\\d+\\.1:${port}$`)),
      ],
    ]);

  it("knows API and tracker by each form of their names", async () => {
    await expectEachForm(outputsOf().urls.api, "/api/health_check", /"Ok"/);
    await expectEachForm(origin(), "/health_check", /"Ok"/);
  });

  it("knows them by no other name", async () => {
    await expectNoOther(outputsOf().urls.api, "/api/health_check");
    await expectNoOther(origin(), "/health_check");
  });

  it("knows them by no other port", async () => {
    const host = `${new URL(origin()).hostname}:444`;
    const refused = proxy === "nginx" ? 421 : 404;
    expect((await askHttp1({ origin: origin(), path: "/health_check", host })).status).toBe(refused);
    // Over HTTP/2 Pingoo's routes do not see the port.
    const passed = proxy === "nginx" ? 421 : 200;
    expect((await askHttp2({ origin: origin(), path: "/health_check", host })).status).toBe(passed);
  });

  it.each(spellings)("takes an announce with %s", async (_what, spell) => {
    for (const [index, [protocol, ask]] of protocols.entries()) {
      const [hash, port] = [infoHash(), 6100 + index];
      const path = announcePath(spell(hash), spell(peerIdOf(port)), port);
      const { status, body } = await ask({ origin: origin(), path });
      expect([protocol, status, body.toString("latin1")]).toEqual([
        protocol,
        200,
        expect.stringMatching(/^d8:completei0e10:incompletei1e/),
      ]);
      await expectPeer(hash, port);
    }
  });

  it.each(Object.entries(additions))("takes an announce with %s", async (_what, more) => {
    const [hash, port] = [infoHash(), 6110];
    const spell = spellings[0]![1];
    const path = announcePath(spell(hash), spell(peerIdOf(port)), port, more);
    const { status, body } = await askHttp1({ origin: origin(), path });
    expect([status, body.toString("latin1")]).toEqual([200, expect.stringMatching(/^d8:completei0e/)]);
    await expectPeer(hash, port);
  });

  it("takes announces over a connection that is kept, over one each, and over HTTP/1.0", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const kept: Ask = (asked) => askHttp1({ ...asked, agent });
    const sockets = new Set<unknown>();
    agent.on("free", (socket) => sockets.add(socket));
    const spell = spellings[0]![1];
    for (const [index, ask] of [kept, kept, kept, askHttp1, askHttp10].entries()) {
      const [hash, port] = [infoHash(), 6120 + index];
      const path = announcePath(spell(hash), spell(peerIdOf(port)), port);
      expect((await ask({ origin: origin(), path })).status).toBe(200);
      await expectPeer(hash, port);
    }
    agent.destroy();
    expect(sockets.size).toBe(1);
  });

  /** @returns status, and how many torrents are answered for */
  const scrape = async (ask: Ask, count: number) => {
    const hashes = Array.from({ length: count }, () => `info_hash=${escaped(randomBytes(20), () => false)}`);
    const { status, body } = await ask({ origin: origin(), path: `/scrape?${hashes.join("&")}` });
    return [status, body.toString("latin1").split("8:complete").length - 1];
  };

  it("takes a scrape as long as the tracker itself takes", async () => {
    // 71 bytes for each; the tracker's limit is 65 534.
    expect(await scrape(askHttp1, 922)).toEqual([200, 922]);
    expect(await scrape(askHttp1, 923)).toEqual([414, 0]);
    if (proxy === "nginx") {
      expect(await scrape(askHttp2, 922)).toEqual([200, 922]);
    } else {
      // Pingoo's limit of 16 KiB for all header fields (docs/verify.md).
      expect(await scrape(askHttp2, 220)).toEqual([200, 220]);
      expect(await scrape(askHttp2, 231)).toEqual([431, 0]);
    }
  });
}
