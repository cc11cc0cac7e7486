import { Socket, isIP } from "node:net";
import { connect as tlsConnect, type ConnectionOptions, type TLSSocket } from "node:tls";

/** A TCP endpoint under a public name, and where it is reached. */
export interface Endpoint {
  /** Public host name or address: for SNI and the Host header. */
  readonly host: string;
  readonly port: number;
  /** Address to connect to, like curl's --resolve; absent: what DNS says. */
  readonly connect?: string;
}

/** Why nothing came back. */
export type NetworkErrorKind = "refused" | "timeout" | "closed" | "name" | "unreachable" | "tls" | "other";

/** A connection, handshake or request that failed; the message is for people and holds no part of the request. */
export class NetworkError extends Error {
  constructor(
    readonly kind: NetworkErrorKind,
    message: string,
    /** Code of Node or OpenSSL, e.g. `ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION`. */
    readonly code?: string,
  ) {
    super(message);
    this.name = "NetworkError";
  }
}

const kinds: Readonly<Record<string, readonly [NetworkErrorKind, string]>> = {
  ECONNREFUSED: ["refused", "connection refused"],
  ECONNRESET: ["closed", "connection closed by the other side"],
  EPIPE: ["closed", "connection closed by the other side"],
  ETIMEDOUT: ["timeout", "no answer"],
  EHOSTUNREACH: ["unreachable", "host unreachable"],
  ENETUNREACH: ["unreachable", "network unreachable"],
  EADDRNOTAVAIL: ["unreachable", "no such address here"],
  ENOTFOUND: ["name", "the name does not exist in DNS"],
  EAI_AGAIN: ["name", "DNS does not answer"],
};

/** Any error as a NetworkError. */
export function networkError(error: unknown): NetworkError {
  if (error instanceof NetworkError) return error;
  const inner = error instanceof AggregateError ? error.errors[0] : error;
  const code = inner instanceof Error && "code" in inner ? String(inner.code) : undefined;
  const known = kinds[code ?? ""];
  if (known) return new NetworkError(known[0], known[1], code);
  if (code?.startsWith("ERR_SSL_")) {
    const reason = code.slice("ERR_SSL_".length).toLowerCase().replaceAll("_", " ");
    return new NetworkError("tls", `TLS: ${reason}`, code);
  }
  if (code === "EPROTO") {
    const reason = /:SSL routines:[^:]*:([^:]+):/.exec(inner instanceof Error ? inner.message : "")?.[1];
    return new NetworkError("tls", `TLS: ${reason ?? "no TLS on this port"}`, code);
  }
  if (code?.startsWith("HPE_")) return new NetworkError("other", "an answer that is no HTTP", code);
  return new NetworkError("other", inner instanceof Error ? inner.message : String(inner), code);
}

const timedOut = (milliseconds: number) =>
  new NetworkError("timeout", `no answer within ${(milliseconds / 1000).toFixed(1)} s`);

/** Settles like the promise, unless time or the signal ends it first; then `release` is called. */
export function within<T>(
  milliseconds: number,
  signal: AbortSignal | undefined,
  release: () => void,
  start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let settled = false;
    const settle = (action: () => void) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      action();
    };
    const abort = () =>
      settle(() => {
        release();
        reject(new NetworkError("timeout", "stopped: the time for all checks is over"));
      });
    const timer = setTimeout(
      () =>
        settle(() => {
          release();
          reject(timedOut(milliseconds));
        }),
      milliseconds,
    );
    if (signal?.aborted) return abort();
    signal?.addEventListener("abort", abort);
    start(
      (value) => settle(() => resolve(value)),
      (error) => settle(() => reject(networkError(error))),
    );
  });
}

/** Connects by TCP. The caller destroys the socket. @throws {NetworkError} */
export function openTcp(
  { host, port, connect }: Endpoint,
  timeout: number,
  signal?: AbortSignal,
): Promise<Socket> {
  const socket = new Socket();
  return within<Socket>(
    timeout,
    signal,
    () => socket.destroy(),
    (resolve, reject) => {
      socket.on("error", reject);
      socket.connect({ host: connect ?? host, port }, () => resolve(socket));
    },
  );
}

/**
 * Completes a TLS handshake without judging the certificate. The caller destroys the socket.
 *
 * @throws {NetworkError} of kind `closed` when the server hangs up, `tls` when it answers with an alert
 */
export function openTls(
  { host, port, connect }: Endpoint,
  options: ConnectionOptions,
  timeout: number,
  signal?: AbortSignal,
): Promise<TLSSocket> {
  let socket: TLSSocket | undefined;
  return within<TLSSocket>(
    timeout,
    signal,
    () => socket?.destroy(),
    (resolve, reject) => {
      const opened = tlsConnect({
        host: connect ?? host,
        port,
        ...(isIP(host) === 0 && { servername: host }),
        ...options,
        rejectUnauthorized: false,
      });
      socket = opened;
      opened.on("error", reject);
      opened.on("close", () => reject(new NetworkError("closed", "connection closed by the other side")));
      opened.once("secureConnect", () => resolve(opened));
    },
  );
}

/**
 * Sends bytes over TCP and collects what comes back until `enough` says so, the other side closes, or `limit` bytes came.
 *
 * @throws {NetworkError} when the connection fails, nothing more comes in time, or `enough` throws
 */
export async function exchange<T>(
  endpoint: Endpoint,
  request: Buffer,
  enough: (received: Buffer) => T | undefined,
  {
    timeout,
    limit,
    signal,
  }: { readonly timeout: number; readonly limit: number; readonly signal?: AbortSignal },
): Promise<T> {
  const socket = await openTcp(endpoint, timeout, signal);
  try {
    return await within<T>(
      timeout,
      signal,
      () => socket.destroy(),
      (resolve, reject) => {
        const chunks: Buffer[] = [];
        let length = 0;
        const closed = () => reject(new NetworkError("closed", "connection closed by the other side"));
        socket.on("error", reject);
        socket.on("end", closed);
        socket.on("close", closed);
        socket.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          length += chunk.length;
          try {
            const result = enough(Buffer.concat(chunks, length));
            if (result !== undefined) resolve(result);
            else if (length > limit) reject(new NetworkError("other", `more than ${limit} bytes came back`));
          } catch (error) {
            reject(error);
          }
        });
        socket.write(request);
      },
    );
  } finally {
    socket.destroy();
  }
}

/** `host:port`, IPv6 in brackets. */
export function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
