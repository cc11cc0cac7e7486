import { createSocket } from "node:dgram";
import { connect as connectHttp2 } from "node:http2";
import { request as requestPlain, type IncomingMessage } from "node:http";
import { request } from "node:https";
import { isIPv6 } from "node:net";
import { connect as connectTls, type DetailedPeerCertificate, type TLSSocket } from "node:tls";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import WebSocket from "ws";

export interface Reply {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Buffer;
  readonly certificate: DetailedPeerCertificate;
}

export interface FetchOptions {
  readonly headers?: Record<string, string>;
  readonly method?: string;
  readonly body?: string;
  /** CA certificate to verify against; without it nothing is verified. */
  readonly ca?: string;
  /** Where to ask. @default the loopback address */
  readonly address?: string;
}

/** Fetches a URL at an address of this machine or another, under the name that the URL has. */
export function fetchLocal(url: string, options: FetchOptions = {}): Promise<Reply> {
  const { hostname, port, pathname, search } = new URL(url);
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: options.address ?? "127.0.0.1",
        servername: hostname,
        port: port || 443,
        path: pathname + search,
        method: options.method ?? "GET",
        agent: false,
        ca: options.ca,
        rejectUnauthorized: options.ca !== undefined,
        headers: { host: port ? `${hostname}:${port}` : hostname, "user-agent": "test", ...options.headers },
        timeout: 10_000,
      },
      (response) => {
        const certificate = (response.socket as TLSSocket).getPeerCertificate(true);
        collect(response, (reply) => resolve({ ...reply, certificate }));
      },
    );
    call.on("timeout", () => call.destroy(new Error(`${url} does not answer`)));
    call.on("error", reject);
    call.end(options.body);
  });
}

function collect(response: IncomingMessage, done: (reply: Omit<Reply, "certificate">) => void): void {
  const chunks: Buffer[] = [];
  response.on("data", (chunk: Buffer) => chunks.push(chunk));
  response.on("end", () =>
    done({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
  );
}

/** Fetches a URL without TLS at an address of this machine or another, under the name that the URL has. */
export function fetchPlain(
  url: string,
  headers: Record<string, string> = {},
  address = "127.0.0.1",
): Promise<Omit<Reply, "certificate">> {
  const { host, port, pathname, search } = new URL(url);
  return new Promise((resolve, reject) => {
    const call = requestPlain(
      {
        host: address,
        port: port || 80,
        path: pathname + search,
        agent: false,
        headers: { host, "user-agent": "test", ...headers },
        timeout: 10_000,
      },
      (response) => collect(response, resolve),
    );
    call.on("timeout", () => call.destroy(new Error(`${url} does not answer`)));
    call.on("error", reject);
    call.end();
  });
}

/** Opens a WebSocket at an address of this machine or another; rejects with the status of a reply that is no upgrade. */
export function openWebSocket(
  url: string,
  headers: Record<string, string>,
  address = "127.0.0.1",
): Promise<WebSocket> {
  const { hostname, host, port, pathname } = new URL(url);
  const options: WebSocket.ClientOptions & { servername: string } = {
    servername: hostname,
    rejectUnauthorized: false,
    handshakeTimeout: 10_000,
    headers: { host, origin: `https://${host}`, "user-agent": "test", ...headers },
  };
  const socket = new WebSocket(
    `wss://${isIPv6(address) ? `[${address}]` : address}:${port || 443}${pathname}`,
    options,
  );
  return new Promise((resolve, reject) => {
    socket.on("open", () => resolve(socket));
    socket.on("unexpected-response", (_request, response) =>
      reject(new Error(`status ${response.statusCode}`)),
    );
    socket.on("error", reject);
  });
}

/**
 * Connects over UDP (BEP 15) and sends a request; resolves to its reply. As any client does, it sends a datagram again
 * that was not answered: a busy machine drops one now and then.
 *
 * @param request given the connection's number, 8 bytes
 */
export async function exchangeUdp(
  host: string,
  port: number,
  request: (connection: Buffer) => Buffer,
): Promise<Buffer> {
  const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
  const ask = (packet: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const again = setInterval(() => socket.send(packet, port, host), 4000);
      const timer = setTimeout(
        () => settle(reject, new Error(`udp://${host}:${port} does not answer`)),
        15_000,
      );
      const settle = <T>(how: (what: T) => void, what: T) => {
        clearInterval(again);
        clearTimeout(timer);
        socket.off("message", hear);
        how(what);
      };
      // A late answer to what was sent twice is not one to the next question.
      const hear = (reply: Buffer) => {
        if (reply.readUInt32BE(4) === packet.readUInt32BE(12)) settle(resolve, reply);
      };
      socket.on("message", hear);
      socket.send(packet, port, host);
    });
  try {
    const connect = Buffer.alloc(16);
    connect.writeBigUInt64BE(0x41727101980n, 0);
    connect.writeUInt32BE(1, 12);
    return await ask(request((await ask(connect)).subarray(8, 16)));
  } finally {
    socket.close();
  }
}

/** Announces over UDP; resolves to the reply's peers as it packs them. */
export async function announceUdp(
  host: string,
  port: number,
  infoHash: Buffer,
  peerPort: number,
): Promise<Buffer> {
  const reply = await exchangeUdp(host, port, (connection) => {
    const announce = Buffer.alloc(98);
    connection.copy(announce, 0);
    announce.writeUInt32BE(1, 8);
    announce.writeUInt32BE(2, 12);
    infoHash.copy(announce, 16);
    announce.write(peerId(peerPort), 36, "latin1");
    announce.writeBigUInt64BE(1n, 64);
    announce.writeUInt32BE(2, 80);
    announce.writeInt32BE(-1, 92);
    announce.writeUInt16BE(peerPort, 96);
    return announce;
  });
  if (reply.readUInt32BE(0) !== 1) throw new Error(`announce refused: ${reply.subarray(8).toString("utf8")}`);
  return reply.subarray(20);
}

/** Sends a path and headers as they are, over HTTP/1.1 or HTTP/2, to the host of a URL; reads the compressed too. */
export function fetchRaw(
  url: string,
  { http, path, headers }: { http: "1.1" | "2"; path: string; headers: Readonly<Record<string, string>> },
  { address, ca }: { readonly address: string; readonly ca: string },
): Promise<{ status: number; body: Buffer }> {
  const { hostname, host, port } = new URL(url);
  const options = { host: address, port: Number(port || 443), servername: hostname, ca };
  return new Promise((resolve, reject) => {
    const read = (stream: NodeJS.ReadableStream, status = 0, encoding = "identity") => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => resolve({ status, body: decoders[encoding]!(Buffer.concat(chunks)) }));
    };
    if (http === "1.1") {
      request({ ...options, path, headers: { host, ...headers }, agent: false })
        .on("response", (answer) => read(answer, answer.statusCode, answer.headers["content-encoding"]))
        .on("error", reject)
        .end();
      return;
    }
    const socket = connectTls({ ...options, ALPNProtocols: ["h2"] });
    const session = connectHttp2(`https://${host}`, { createConnection: () => socket }).on("error", reject);
    const asked = session.request({ ":path": path, ":authority": host, ...headers });
    asked
      .on("response", (answer) => read(asked, answer[":status"], answer["content-encoding"] as string))
      .on("close", () => session.close())
      .on("error", reject)
      .end();
  });
}

const decoders: Readonly<Record<string, (body: Buffer) => Buffer>> = {
  identity: (body) => body,
  gzip: gunzipSync,
  br: brotliDecompressSync,
};

/** URL of an announce over HTTP (BEP 3) by a peer that still needs a byte. */
export function announceUrl(url: string, infoHash: Buffer, peerPort: number): string {
  const escaped = [...infoHash].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
  return `${url}?info_hash=${escaped}&peer_id=${peerId(peerPort)}&port=${peerPort}&uploaded=0&downloaded=0&left=1&compact=1&event=started`;
}

function peerId(peerPort: number): string {
  return `-XX0001-${String(peerPort).padStart(12, "0")}`;
}
