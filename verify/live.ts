import { isIP } from "node:net";
import WebSocket from "ws";

import { hostHeader, userAgent } from "./http";
import { NetworkError, networkError, within, type Endpoint } from "./net";

/** The proxy or Grafana answered an upgrade with something else than 101. */
export class UpgradeRefused extends NetworkError {
  constructor(readonly status: number) {
    super("other", `${status} instead of 101`);
    this.name = "UpgradeRefused";
  }
}

/** A WebSocket to Grafana Live, which speaks Centrifuge's JSON protocol, version 2. */
export interface LiveConnection {
  /**
   * Sends one command and waits for the answer with its id. Pings of the server are answered on the side.
   *
   * @throws {NetworkError}
   */
  ask(
    command: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, unknown>>>;
  /** Waits; resolves with the number of pings that came. @throws {NetworkError} when the connection ends meanwhile */
  stay(milliseconds: number, signal: AbortSignal): Promise<number>;
  close(): void;
}

/**
 * Opens `wss://host:port/api/live/ws` as a browser would, with a session.
 *
 * @param cookie value of the Cookie header
 * @throws {UpgradeRefused} when the answer is no 101
 * @throws {NetworkError} when there is none
 */
export async function openLive(
  endpoint: Endpoint,
  cookie: string,
  timeout: number,
  signal: AbortSignal,
): Promise<LiveConnection> {
  const { host, port, connect } = endpoint;
  const authority = hostHeader(endpoint);
  const socket = new WebSocket(`wss://${authority}/api/live/ws`, {
    origin: `https://${authority}`,
    headers: { cookie, "user-agent": userAgent },
    rejectUnauthorized: false,
    perMessageDeflate: false,
    maxPayload: 1024 * 1024,
    ...(isIP(host) === 0 && { servername: host }),
    ...(connect !== undefined && {
      lookup: (
        _name: string,
        options: { all?: boolean },
        done: (error: null, address: unknown, family?: number) => void,
      ) => {
        const family = isIP(connect);
        if (options.all) done(null, [{ address: connect, family }]);
        else done(null, connect, family);
      },
    }),
    port,
  });
  socket.on("error", () => undefined);
  await within<void>(
    timeout,
    signal,
    () => socket.terminate(),
    (resolve, reject) => {
      socket.once("open", resolve);
      socket.once("unexpected-response", (_, response) => {
        const refused = new UpgradeRefused(response.statusCode ?? 0);
        response.resume();
        socket.terminate();
        reject(refused);
      });
      socket.once("error", reject);
      socket.once("close", () => reject(new NetworkError("closed", "connection closed by the other side")));
    },
  );
  return conversation(socket, timeout);
}

function conversation(socket: WebSocket, timeout: number): LiveConnection {
  const waiting = new Map<number, (answer: Readonly<Record<string, unknown>>) => void>();
  let pings = 0;
  let nextId = 1;
  socket.on("message", (data) => {
    // One message may carry several answers, a line each.
    for (const line of String(data).split("\n")) {
      const answer = parse(line);
      if (!answer) continue;
      if (Object.keys(answer).length === 0) {
        pings++;
        socket.send("{}");
      } else if (typeof answer.id === "number") {
        waiting.get(answer.id)?.(answer);
      }
    }
  });
  const ended = (reject: (error: unknown) => void) => {
    const listener = (code: number) =>
      reject(new NetworkError("closed", `the WebSocket was closed (code ${code})`));
    if (socket.readyState !== WebSocket.OPEN) listener(1006);
    socket.once("close", listener);
    return () => socket.off("close", listener);
  };
  return {
    async ask(command, signal) {
      const id = nextId++;
      let release = () => {};
      try {
        return await within<Readonly<Record<string, unknown>>>(
          timeout,
          signal,
          () => undefined,
          (resolve, reject) => {
            waiting.set(id, resolve);
            const off = ended(reject);
            release = () => void off();
            socket.send(JSON.stringify({ id, ...command }), (error) => error && reject(networkError(error)));
          },
        );
      } finally {
        waiting.delete(id);
        release();
      }
    },
    async stay(milliseconds, signal) {
      const before = pings;
      let release = () => {};
      let timer: NodeJS.Timeout | undefined;
      try {
        await within<void>(
          milliseconds + 1000,
          signal,
          () => undefined,
          (resolve, reject) => {
            const off = ended(reject);
            release = () => void off();
            timer = setTimeout(resolve, milliseconds);
          },
        );
        return pings - before;
      } finally {
        clearTimeout(timer);
        release();
      }
    },
    close() {
      socket.close(1000);
      setTimeout(() => socket.terminate(), 500).unref();
    },
  };
}

function parse(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
