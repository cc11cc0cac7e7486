import { request as httpsRequest } from "node:https";
import {
  request as httpRequest,
  type ClientRequest,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type RequestOptions,
} from "node:http";
import { isIP } from "node:net";

import { normalizeAddress } from "./addresses";
import { NetworkError, hostPort, within, type Endpoint } from "./net";

export interface HttpRequest {
  /** Default: GET. */
  readonly method?: string;
  /** Path with query, already encoded; sent as it is. Never shown. */
  readonly path: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string;
  /** Host header instead of the endpoint's own. */
  readonly hostHeader?: string;
  /** Name for SNI instead of the endpoint's own. */
  readonly serverName?: string;
  /** `null` sends no User-Agent. */
  readonly userAgent?: string | null;
  /** Milliseconds for connection and whole answer. Default: 8000. */
  readonly timeout?: number;
  /** Bytes of the body that are accepted. Default: 256 KiB. */
  readonly limit?: number;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Our own address on this connection. */
  readonly localAddress: string;
}

/** What the checks call themselves; Pingoo refuses requests without a name. */
export const userAgent = "torrust-pingoo-verify/1";

const defaultTimeout = 8000;

/**
 * One HTTPS request on a connection of its own, whatever the certificate: other checks judge that.
 *
 * @throws {NetworkError} never with anything of path, headers or body in its message
 */
export function fetchHttps(
  endpoint: Endpoint,
  request: HttpRequest,
  signal?: AbortSignal,
): Promise<HttpResponse> {
  const serverName = request.serverName ?? endpoint.host;
  const sent = httpsRequest({
    ...requestOptions(endpoint, request, 443),
    servername: isIP(serverName) === 0 ? serverName : "",
    rejectUnauthorized: false,
  });
  return answerTo(sent, request, signal);
}

/**
 * The same without TLS.
 *
 * @throws {NetworkError}
 */
export function fetchHttp(
  endpoint: Endpoint,
  request: HttpRequest,
  signal?: AbortSignal,
): Promise<HttpResponse> {
  return answerTo(httpRequest(requestOptions(endpoint, request, 80)), request, signal);
}

function requestOptions(endpoint: Endpoint, request: HttpRequest, impliedPort: number): RequestOptions {
  const agent = request.userAgent === undefined ? userAgent : request.userAgent;
  return {
    host: endpoint.connect ?? endpoint.host,
    port: endpoint.port,
    method: request.method ?? "GET",
    path: request.path,
    headers: {
      host: request.hostHeader ?? hostHeader(endpoint, impliedPort),
      ...(agent !== null && { "user-agent": agent }),
      ...(request.body !== undefined && { "content-length": Buffer.byteLength(request.body) }),
      ...request.headers,
    },
    agent: false,
  };
}

function answerTo(sent: ClientRequest, request: HttpRequest, signal?: AbortSignal): Promise<HttpResponse> {
  const timeout = request.timeout ?? defaultTimeout;
  const limit = request.limit ?? 256 * 1024;
  sent.on("error", () => undefined);
  return within<HttpResponse>(
    timeout,
    signal,
    () => sent.destroy(),
    (resolve, reject) => {
      let localAddress = "";
      sent.on("error", reject);
      sent.on("socket", (socket) =>
        socket.once("connect", () => (localAddress = normalizeAddress(socket.localAddress ?? ""))),
      );
      sent.on("close", () => reject(new NetworkError("closed", "connection closed by the other side")));
      sent.on("upgrade", (_, socket) => {
        socket.destroy();
        reject(new NetworkError("other", "an upgrade that nobody asked for"));
      });
      sent.on("response", (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on("error", reject);
        response.on("aborted", () => reject(new NetworkError("closed", "an answer that breaks off")));
        response.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          length += chunk.length;
          if (length <= limit) return;
          reject(new NetworkError("other", `an answer of more than ${limit} bytes`));
          sent.destroy();
        });
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks, length),
            localAddress,
          }),
        );
      });
      sent.end(request.body);
    },
  );
}

/**
 * The Host header that a browser would send.
 *
 * @param impliedPort that of the URL's scheme
 */
export function hostHeader({ host, port }: Endpoint, impliedPort = 443): string {
  const written = hostPort(host, port);
  return port === impliedPort ? written.slice(0, -`:${port}`.length) : written;
}

/** The body as a JSON object, or undefined if it is none. */
export function jsonObject(body: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
