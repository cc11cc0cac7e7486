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
  return new Conversation(socket, timeout);
}

type Message = Readonly<Record<string, unknown>>;

class Conversation implements LiveConnection {
  readonly #socket: WebSocket;
  readonly #timeout: number;
  readonly #waiting = new Map<number, (answer: Message) => void>();
  #pings = 0;
  #nextId = 1;

  constructor(socket: WebSocket, timeout: number) {
    this.#socket = socket;
    this.#timeout = timeout;
    socket.on("message", (data) => {
      // One message may carry several answers, a line each.
      for (const line of String(data).split("\n")) {
        const answer = parse(line);
        if (answer) this.#take(answer);
      }
    });
  }

  async ask(command: Message, signal: AbortSignal): Promise<Message> {
    const id = this.#nextId++;
    try {
      return await this.#whileOpen<Message>(this.#timeout, signal, (resolve, reject) => {
        this.#waiting.set(id, resolve);
        this.#socket.send(
          JSON.stringify({ id, ...command }),
          (error) => error && reject(networkError(error)),
        );
      });
    } finally {
      this.#waiting.delete(id);
    }
  }

  async stay(milliseconds: number, signal: AbortSignal): Promise<number> {
    const before = this.#pings;
    let timer: NodeJS.Timeout | undefined;
    try {
      await this.#whileOpen<void>(milliseconds + 1000, signal, (resolve) => {
        timer = setTimeout(resolve, milliseconds);
      });
      return this.#pings - before;
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#socket.close(1000);
    setTimeout(() => this.#socket.terminate(), 500).unref();
  }

  #take(answer: Message): void {
    if (Object.keys(answer).length === 0) {
      this.#pings++;
      this.#socket.send("{}");
    } else if (typeof answer.id === "number") {
      this.#waiting.get(answer.id)?.(answer);
    }
  }

  /** Waits for something that fails when the connection ends. */
  async #whileOpen<T>(
    timeout: number,
    signal: AbortSignal,
    begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
  ): Promise<T> {
    let release = () => {};
    try {
      return await within<T>(
        timeout,
        signal,
        () => undefined,
        (resolve, reject) => {
          const onClose = (code: number) =>
            reject(new NetworkError("closed", `the WebSocket was closed (code ${code})`));
          if (this.#socket.readyState !== WebSocket.OPEN) onClose(1006);
          this.#socket.once("close", onClose);
          release = () => void this.#socket.off("close", onClose);
          begin(resolve, reject);
        },
      );
    } finally {
      release();
    }
  }
}

function parse(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
