import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, type IncomingHttpHeaders, type Server } from "node:http";
import { request, type Agent } from "node:https";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { runHere } from "../images/engine";

/** Whether the stand-ins can be compiled here. */
export function hasGo(): boolean {
  try {
    const version = /go1\.(\d+)/.exec(execFileSync("go", ["version"], { encoding: "utf8" }));
    return Number(version?.[1]) >= 24;
  } catch {
    return false;
  }
}

/** Compiles Pingoo's stand-in into `folder` and returns its path. */
export async function compilePingoo(folder: string): Promise<string> {
  const binary = join(folder, "pingoo");
  await runHere({ command: ["go", "build", "-o", binary, "./pingoo"], directory: __dirname });
  return binary;
}

export interface Files {
  readonly [path: string]: string;
}

/** A running stand-in with a configuration folder of its own. */
export class Pingoo {
  readonly folder: string;
  readonly process: ChildProcess;
  /** What it wrote so far. */
  log = "";
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>;

  /** @param from whose folder to go on with, instead of a new one with `files` */
  constructor(
    binary: string,
    files: Files | Pingoo,
    readonly environment: Readonly<Record<string, string>> = {},
  ) {
    if (files instanceof Pingoo) {
      this.folder = files.folder;
    } else {
      this.folder = mkdtempSync(join(tmpdir(), "pingoo-"));
      mkdirSync(join(this.folder, "tls"));
      for (const [path, content] of Object.entries(files)) writeFileSync(join(this.folder, path), content);
    }
    this.process = spawn("sh", ["-c", 'umask 022; exec "$0" -etc "$1"', binary, this.folder], {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.process.stderr?.on("data", (data: Buffer) => (this.log += String(data)));
    this.ended = new Promise((resolve) =>
      this.process.on("close", (code, signal) => resolve(code ?? signal)),
    );
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  /** Waits until it has written a text so many times. */
  async wrote(text: string, times = 1): Promise<void> {
    const found = () => this.log.split(text).length > times;
    await until(() => found() || !this.running).catch(() => {});
    if (!found())
      throw new Error(`Pingoo ${this.running ? "did not write" : "ended without"} "${text}":\n${this.log}`);
  }

  /** Ends it and removes its folder. */
  async remove(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function until(condition: () => boolean | Promise<boolean>, deadline = 15_000): Promise<void> {
  for (const end = Date.now() + deadline; Date.now() < end;) {
    if (await condition()) return;
    await pause(20);
  }
  throw new Error(`not within ${deadline / 1000} s: ${condition}`);
}

export const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Ports of the loopback interface that nobody uses at the moment. */
export async function freePorts<N extends keyof Ports>(count: N): Promise<Ports[N]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listening(createServer())));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports as Ports[N];
}

interface Ports {
  1: [number];
  2: [number, number];
  5: [number, number, number, number, number];
}

async function listening<S extends ReturnType<typeof createServer>>(server: S): Promise<S> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** What an upstream got to see. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

/** A web server that answers with what it saw; `/slow` takes a second. */
export async function startUpstream(): Promise<{ server: Server; port: number }> {
  const server = createHttpServer({ maxHeaderSize: 1 << 20 }, ({ method, url, headers }, response) => {
    const answer = () => response.end(JSON.stringify({ method, url, headers }));
    if (url === "/slow") setTimeout(answer, 1000);
    else answer();
  });
  const { port } = (await listening(server)).address() as AddressInfo;
  return { server, port };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Asked {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly agent?: Agent;
}

/** A GET over HTTP/1.1 and TLS, with a User-Agent unless `headers` has another. */
export function ask(port: number, { path = "/", headers = {}, agent }: Asked = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path, agent: agent ?? false, rejectUnauthorized: false };
    // Without a name in the handshake: Node would take it from the Host header, whatever that says.
    const headersSent = { "user-agent": "test", ...headers };
    request({ ...options, headers: headersSent, servername: "" }, (response) => {
      let body = "";
      response.on("data", (data: Buffer) => (body += String(data)));
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    })
      .on("error", reject)
      .end();
  });
}

/** A TCP connection that never says anything. */
export async function stall(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket.on("error", () => {});
}

/** Whether somebody listens on a port. */
export const isOpen = (port: number): Promise<boolean> =>
  stall(port).then(
    (socket) => !!socket.destroy(),
    () => false,
  );
