import { connect as connectHttp2 } from "node:http2";
import { isIP } from "node:net";

import { userAgent, type HttpRequest } from "./http";
import { NetworkError, openTls, within, type Endpoint } from "./net";

/** What of an answer counts. */
export interface Http2Response {
  readonly status: number;
  readonly location?: string;
  readonly body: Buffer;
}

const defaultTimeout = 8000;

/**
 * One GET over HTTP/2 on a connection of its own, whatever the certificate.
 *
 * @returns undefined where the other side does not agree on HTTP/2
 * @throws {NetworkError} never with anything of path or headers in its message
 */
export async function fetchHttp2(
  endpoint: Endpoint,
  request: Pick<HttpRequest, "path" | "timeout" | "limit"> & { readonly hostHeader: string },
  signal?: AbortSignal,
): Promise<Http2Response | undefined> {
  const timeout = request.timeout ?? defaultTimeout;
  const limit = request.limit ?? 256 * 1024;
  const socket = await openTls(endpoint, { ALPNProtocols: ["h2"] }, timeout, signal).catch(
    (error: unknown) => {
      // An alert in answer to ALPN: no protocol in common.
      if (error instanceof NetworkError && error.kind === "tls") return undefined;
      throw error;
    },
  );
  if (!socket) return undefined;
  if (socket.alpnProtocol !== "h2") {
    socket.destroy();
    return undefined;
  }
  const name = isIP(endpoint.host) === 6 ? `[${endpoint.host}]` : endpoint.host;
  const session = connectHttp2(`https://${name}`, { createConnection: () => socket });
  try {
    return await within<Http2Response>(
      timeout,
      signal,
      () => session.destroy(),
      (resolve, reject) => {
        session.on("error", reject);
        session.on("close", () => reject(new NetworkError("closed", "connection closed by the other side")));
        const stream = session.request({
          ":authority": request.hostHeader,
          ":path": request.path,
          "user-agent": userAgent,
        });
        let [status, location, length]: [number, string | undefined, number] = [0, undefined, 0];
        const chunks: Buffer[] = [];
        stream.on("error", reject);
        stream.on("response", (headers) => {
          status = headers[":status"] ?? 0;
          location = headers.location;
        });
        stream.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          length += chunk.length;
          if (length > limit) reject(new NetworkError("other", `an answer of more than ${limit} bytes`));
        });
        stream.on("end", () => resolve({ status, location, body: Buffer.concat(chunks, length) }));
        stream.end();
      },
    );
  } finally {
    session.destroy();
  }
}
