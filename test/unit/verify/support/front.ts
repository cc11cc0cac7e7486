import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { createSecureServer } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import type { Duplex } from "node:stream";

import type { Identity } from "./certificates";

export interface FrontOptions {
  readonly identity: Identity;
  readonly handler: RequestListener;
  readonly onUpgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  readonly address?: string;
  /** Default: 1.3 only. */
  readonly versions?: {
    readonly min: "TLSv1.1" | "TLSv1.2" | "TLSv1.3";
    readonly max: "TLSv1.2" | "TLSv1.3";
  };
  /** What a ClientHello that offers X25519MLKEM768 alone is told. Default: agreed. */
  readonly postQuantum?: "agree" | "retry" | "alert" | "hang-up" | "short-share" | "garbage";
  /** One handshake at a time, as Pingoo has it. */
  readonly serial?: boolean;
  /** Connections are accepted and never answered. */
  readonly mute?: boolean;
  /** Default: who offers HTTP/2 gets it. */
  readonly http2?: boolean;
}

/** A TLS front of any behaviour. This machine's OpenSSL may lack X25519MLKEM768, so that answer is made up. */
export async function startFront(options: FrontOptions) {
  const { identity, handler, versions = { min: "TLSv1.3", max: "TLSv1.3" }, postQuantum = "agree" } = options;
  const address = options.address ?? "127.0.0.1";
  const http2 = createSecureServer(
    {
      ...identity,
      minVersion: versions.min,
      maxVersion: versions.max,
      settings: { maxHeaderListSize: 1 << 20 },
    },
    // The compatibility API has all that the handler uses.
    handler as unknown as Parameters<typeof createSecureServer>[1],
  );
  const backend = createHttpsServer(
    {
      ...identity,
      maxHeaderSize: 1 << 20,
      minVersion: versions.min,
      maxVersion: versions.max,
      // OpenSSL speaks TLS 1.1 on its lowest level only.
      ...(versions.min === "TLSv1.1" && { ciphers: "DEFAULT@SECLEVEL=0" }),
    },
    handler,
  );
  if (options.onUpgrade) backend.on("upgrade", options.onUpgrade);
  else backend.on("upgrade", (_, socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"));
  backend.on("tlsClientError", () => undefined);
  const shaken = new Map<number, () => void>();
  backend.on("secureConnection", (socket) => shaken.get(socket.remotePort ?? 0)?.());
  const sockets = new Set<Socket>();
  let turn: Promise<unknown> = Promise.resolve();

  const front = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    if (options.mute) return;
    if (options.serial) turn = turn.then(() => serve(socket));
    else void serve(socket);
  });
  /** Settles when the handshake is over, one way or the other. */
  const serve = (socket: Socket) =>
    new Promise<void>((done) => {
      socket.once("close", () => done());
      if (socket.destroyed) return done();
      socket.once("data", (hello: Buffer) => {
        if (hello.includes(onlyPostQuantum)) {
          const answer = postQuantumAnswers[postQuantum];
          if (answer.length > 0) socket.write(answer);
          else socket.end();
          return;
        }
        socket.pause();
        const chosen = hello.includes(onlyHttp2) && options.http2 !== false ? http2 : backend;
        const upstream = connect((chosen.address() as AddressInfo).port, "127.0.0.1", () => {
          shaken.set(upstream.localPort ?? 0, done);
          upstream.write(hello);
          socket.pipe(upstream).pipe(socket);
        });
        sockets.add(upstream);
        upstream.on("error", () => socket.destroy());
        upstream.on("close", () => {
          sockets.delete(upstream);
          socket.destroy();
        });
        socket.on("close", () => upstream.destroy());
      });
    });
  for (const server of [backend, http2])
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await new Promise<void>((resolve) => front.listen(0, address, resolve));
  return {
    port: (front.address() as AddressInfo).port,
    close: async () => {
      sockets.forEach((socket) => socket.destroy());
      backend.closeAllConnections();
      await Promise.all(
        [front, backend, http2].map((server) => new Promise((resolve) => server.close(resolve))),
      );
    },
  };
}

/** The protocols of ALPN, with h2 alone. */
const onlyHttp2 = Buffer.from("0003026832", "hex");

/** supported_groups with X25519MLKEM768 alone. */
const onlyPostQuantum = Buffer.from("000a0004000211ec", "hex");

const retryRandom = Buffer.from("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c", "hex");

function vector16(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

/** A ServerHello in its record (RFC 8446 §4.1.3). */
export function serverHello({
  share,
  random = Buffer.alloc(32, 7),
}: {
  share: Buffer;
  random?: Buffer;
}): Buffer {
  const extensions = Buffer.concat([
    Buffer.from("002b00020304", "hex"),
    Buffer.from("0033", "hex"),
    vector16(share),
  ]);
  const body = Buffer.concat([
    Buffer.from("0303", "hex"),
    random,
    Buffer.from("00130100", "hex"),
    vector16(extensions),
  ]);
  return Buffer.concat([
    Buffer.from("160303", "hex"),
    vector16(Buffer.concat([Buffer.from([2, 0]), vector16(body)])),
  ]);
}

const group = (number: number) => Buffer.from([number >> 8, number & 255]);

const postQuantumAnswers = {
  agree: serverHello({ share: Buffer.concat([group(0x11ec), vector16(Buffer.alloc(1120, 1))]) }),
  "short-share": serverHello({ share: Buffer.concat([group(0x11ec), vector16(Buffer.alloc(32, 1))]) }),
  retry: serverHello({ share: group(0x001d), random: retryRandom }),
  alert: Buffer.from("15030300020228", "hex"),
  "hang-up": Buffer.alloc(0),
  garbage: Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"),
};

export function reply(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const text = Buffer.isBuffer(body) ? body : typeof body === "string" ? body : JSON.stringify(body);
  response.writeHead(status, headers).end(text);
}
