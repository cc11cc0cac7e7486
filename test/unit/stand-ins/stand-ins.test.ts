import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { Agent } from "node:https";
import { connect as connectHttp2 } from "node:http2";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls, type PeerCertificate, type TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";

import { runHere } from "../../images/engine";
import {
  ask,
  compilePingoo,
  freePorts,
  hasGo,
  isOpen,
  pause,
  Pingoo,
  stall,
  startUpstream,
  until,
  type Files,
  type Seen,
} from "../../stand-ins/pingoo-process";

let binary: string;
const running: Pingoo[] = [];
const scratch = mkdtempSync(join(tmpdir(), "stand-ins-"));

const start = (files: Files | Pingoo, environment?: Record<string, string>) => {
  const pingoo = new Pingoo(binary, files, environment);
  running.push(pingoo);
  return pingoo;
};

afterEach(async () => {
  await Promise.all(running.splice(0).map((pingoo) => pingoo.remove()));
});
afterAll(() => rmSync(scratch, { recursive: true }));

describe.skipIf(!hasGo())("Pingoo's stand-in (skipped without Go 1.24)", () => {
  let upstream: Awaited<ReturnType<typeof startUpstream>>;
  beforeAll(async () => {
    binary = await compilePingoo(scratch);
    upstream = await startUpstream();
    const sockets = new WebSocketServer({ server: upstream.server });
    sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(String(data))));
  });
  afterAll(() => upstream.server.close());

  /** A listener of each kind: `https` for the services given, `tcp` for the upstream. */
  const both = (https: number, tcp: number, services: string) => ({
    "pingoo.yml": `
listeners:
  https: { address: "https://127.0.0.1:${https}", services: ["a", "b"] }
  tcp: { address: "tcp+tls://127.0.0.1:${tcp}", services: ["t"] }
services:
  t: { tcp_proxy: ["tcp://127.0.0.1:${upstream.port}"] }
${services}`,
  });
  const upstreamUrl = () => `["http://127.0.0.1:${upstream.port}"]`;
  const twoHosts = () => `
  a: { route: 'http_request.host == "a.test"', http_proxy: ${upstreamUrl()} }
  b: { route: 'http_request.host.starts_with("b.test")', http_proxy: ["http://127.0.0.1:9"] }`;

  const startBoth = async (services = twoHosts()) => {
    const [https, tcp] = await freePorts(2);
    const pingoo = start(both(https, tcp, services));
    await pingoo.wrote("Starting listener", 2);
    await until(() => isOpen(tcp));
    return { pingoo, https, tcp };
  };
  const a = { headers: { host: "a.test" } };

  describe("configuration", () => {
    const listener = `listeners: { l: { address: "https://127.0.0.1:1", services: ["a"] } }\n`;
    const service = `services: { a: { http_proxy: ["http://127.0.0.1:9"] } }\n`;
    const tcpService = `services: { a: { tcp_proxy: ["tcp://127.0.0.1:9"] } }\n`;
    const routed = (route: string) =>
      `${listener}services:\n  a:\n    route: ${JSON.stringify(route)}\n    http_proxy: ["http://127.0.0.1:9"]\n`;
    const acme = (domains: string) => `${listener}${service}tls: { acme: { domains: ${domains} } }\n`;
    const withAddress = (address: string) => `listeners: { l: { address: "${address}" } }\n${service}`;

    it.each([
      ["bad YAML", `listeners: {}\nservices:\n  a: 1\n b: 2\n`, 1, /error parsing config file .* at line/],
      ["an empty file", ``, 1, /missing field `listeners`/],
      ["no services", `listeners: {}\n`, 1, /missing field `services`/],
      ["a field twice", `${listener}${service}${service}`, 1, /duplicate field `services`/],
      [
        "a service without a proxy",
        `${listener}services: { a: {} }`,
        1,
        /must have exactly 1 http_proxy, tcp_proxy or static/,
      ],
      [
        "a missing service",
        listener + service.replace("a:", "b:"),
        1,
        /listeners: l: service a doesn't exist/,
      ],
      [
        "a listener without services",
        `${withAddress("tcp+tls://127.0.0.1:1")}`,
        1,
        /listeners: l: no service found/,
      ],
      [
        "a service named twice",
        listener.replace(`"a"`, `"a", "a"`) + service,
        1,
        /duplicate services are not allowed \(a\)/,
      ],
      [
        "two services behind a tcp listener",
        `listeners: { l: { address: "tcp://127.0.0.1:1" } }\nservices: { a: { tcp_proxy: ["tcp://127.0.0.1:9"] }, b: { tcp_proxy: ["tcp://127.0.0.1:9"] } }`,
        1,
        /TCP listeners can only have 1 associated service/,
      ],
      [
        "a routed tcp_proxy",
        `${listener}services: { a: { route: 'true', tcp_proxy: ["tcp://127.0.0.1:9"] } }`,
        1,
        /TCP proxy can't have a route/,
      ],
      [
        "two listeners on one port",
        `listeners: { h1: { address: "https://127.0.0.1:1" }, h2: { address: "https://127.0.0.2:1" } }\n${service}`,
        1,
        /h1 and h2 can't listen on the same port/,
      ],
      ["an IPv6 listener", withAddress("https://[::1]:1"), 1, /invalid IP address syntax/],
      ["a host name to listen on", withAddress("https://localhost:1"), 1, /invalid IP address syntax/],
      ["tcp+tls without a port", withAddress("tcp+tls://127.0.0.1"), 1, /port is missing/],
      ["an unknown protocol", withAddress("udp://127.0.0.1:1"), 1, /udp is not a valid protocol/],
      [
        "an upstream without a port",
        `${listener}services: { a: { http_proxy: ["tcp://127.0.0.1"] } }`,
        1,
        /port is missing/,
      ],
      [
        "an upstream without a protocol",
        `${listener}services: { a: { http_proxy: ["127.0.0.1"] } }`,
        1,
        /is not a valid URL/,
      ],
      [
        "single quotes in a route",
        routed(`http_request.host == 'a.test'`),
        1,
        /error parsing route for service a/,
      ],
      ["`in` in a route", routed(`http_request.host in ["a.test"]`), 1, /error parsing route for service a/],
      ["`or` in a route", routed(`true or false`), 1, /error parsing route for service a/],
      ["an upper-case domain", acme(`["A.test"]`), 1, /acme: invalid domain: A.test/],
      ["a domain twice", acme(`["a.test", "a.test"]`), 1, /acme: duplicate domain: a.test/],
      [
        "a wildcard domain",
        acme(`["*.a.test"]`),
        1,
        /doesn't support wildcard domains for automatic TLS \(\*\.a\.test\)/,
      ],
      ["acme without domains", `${listener}${service}tls: { acme: {} }`, 1, /missing field `domains`/],
      ["an https listener with a tcp service", listener + tcpService, 101, /panicked/],
      [
        "a tcp+tls listener with an http service",
        listener.replace("https:", "tcp+tls:") + service,
        101,
        /panicked/,
      ],
    ])("refuses %s", async (_case, config, code, message) => {
      const pingoo = start({ "pingoo.yml": config });
      expect(await pingoo.ended).toBe(code);
      expect(pingoo.log).toMatch(message);
    });

    it("ends at once without listeners", async () => {
      expect(await start({ "pingoo.yml": `listeners: {}\n${service}` }).ended).toBe(0);
    });

    it("refuses a port that another program holds", async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      const pingoo = start({ "pingoo.yml": withAddress(`https://127.0.0.1:${port}`) });
      expect(await pingoo.ended).toBe(1);
      expect(pingoo.log).toContain("AddrInUse");
      server.close();
    });

    it("shares its port with a second one, without a word", async () => {
      const { https, tcp } = await startBoth();
      const second = start(both(https, tcp, twoHosts()));
      await second.wrote("Starting listener", 2);
      await pause(200);
      expect(second.running).toBe(true);
    });

    it.each([
      [
        "garbage instead of a certificate",
        { "tls/a.test.pem": "x", "tls/a.test.key": "x" },
        /is not valid|is empty/,
      ],
      [
        "a certificate without its key",
        { "tls/a.test.pem": "x" },
        /error reading private key .*a\.test\.key/,
      ],
    ])("refuses %s", async (_case, files, message) => {
      const pingoo = start({ "pingoo.yml": listener + service, ...files });
      expect(await pingoo.ended).toBe(1);
      expect(pingoo.log).toMatch(message);
    });

    it("accepts unknown fields in silence: a misspelt route is no route", async () => {
      const { pingoo, https } = await startBoth(`
  a: { rout: 'http_request.host == "a.test"', http_proxy: ${upstreamUrl()}, colour: red }
  b: { http_proxy: ${upstreamUrl()} }
logs: { level: debug }`);
      expect((await ask(https, { headers: { host: "anything.test" } })).status).toBe(200);
      expect(pingoo.log).not.toContain("rout");
    });

    it("takes the last of two services with the same name", async () => {
      const { https } = await startBoth(`
  a: { route: 'http_request.host == "a.test"', http_proxy: ${upstreamUrl()} }
  b: { route: 'false', http_proxy: ${upstreamUrl()} }
  a: { route: 'http_request.host == "c.test"', http_proxy: ${upstreamUrl()} }`);
      expect((await ask(https, a)).status).toBe(404);
      expect((await ask(https, { headers: { host: "c.test" } })).status).toBe(200);
    });

    it("needs a folder that it can write to", async () => {
      const pingoo = start({ "pingoo.yml": listener + service, "captcha_jwks.json": "{" });
      expect(await pingoo.ended).toBe(1);
      expect(pingoo.log).toContain("captcha JWKS");
    });
  });

  describe("requests", () => {
    it.each([
      ["a.test", 200],
      ["a.test:8443", 404],
      ["A.TEST", 404],
      ["a.test.", 404],
      ["other.test", 404],
      ["b.test", 502],
      ["b.test.evil.org", 502],
    ])("answers %s with %i", async (host, status) => {
      const { https } = await startBoth();
      const answer = await ask(https, { headers: { host } });
      expect(answer.status).toBe(status);
      if (status === 404) expect(answer.body).toBe("404 Not Found.");
      if (status === 502) expect(answer.body).toBe("502 Bad Gateway");
    });

    it("starts with a route of unknown names, warns and never matches", async () => {
      const { pingoo, https } = await startBoth(`
  a: { route: 'host.starts_with("a")', http_proxy: ${upstreamUrl()} }
  b: { route: 'http_request.host.matches("^a")', http_proxy: ${upstreamUrl()} }`);
      expect((await ask(https, a)).status).toBe(404);
      await pingoo.wrote("error executing route for service a: Undeclared reference to 'host'");
      await pingoo.wrote("error executing route for service b");
    });

    it("speaks HTTP/2, where the host has no port", async () => {
      const { https } = await startBoth();
      const session = connectHttp2(`https://a.test:${https}`, {
        createConnection: () =>
          connectTls({ port: https, host: "127.0.0.1", ALPNProtocols: ["h2"], rejectUnauthorized: false }),
      });
      const request = session.request({ ":path": "/", "user-agent": "test" });
      const status = await new Promise((resolve) => request.on("response", (h) => resolve(h[":status"])));
      session.destroy();
      expect(status).toBe(200);
    });

    it.each([
      ["no User-Agent", [], 403],
      ["an empty one", "", 403],
      ["one of 255 bytes", "x".repeat(255), 200],
      ["one of 256 bytes", "x".repeat(256), 403],
    ])("judges %s", async (_case, agent, status) => {
      const { https } = await startBoth();
      const answer = await ask(https, { headers: { ...a.headers, "user-agent": agent } });
      expect(answer.status).toBe(status);
      if (status === 403) expect(answer.body).toBe("Permission Denied");
    });

    it("takes addresses as long as they are with the upstream before them", async () => {
      const { https } = await startBoth();
      const longest = 65_534 - `http://127.0.0.1:${upstream.port}`.length;
      const of = (length: number) => ask(https, { ...a, path: `/${"x".repeat(length - 1)}` });
      expect((await of(longest)).status).toBe(200);
      await expect(of(longest + 1)).rejects.toThrow(/socket hang up|ECONNRESET/);
      await expect(of(65_534)).rejects.toThrow(/socket hang up|ECONNRESET/);
      expect((await of(65_535)).status).toBe(414);
    });

    it.each([
      [16_167, 200],
      [16_168, 431],
    ])("answers an address of %i bytes over HTTP/2 with %i", async (length, expected) => {
      const { https } = await startBoth();
      const session = connectHttp2("https://a.test", {
        createConnection: () =>
          connectTls({ port: https, host: "127.0.0.1", ALPNProtocols: ["h2"], rejectUnauthorized: false }),
      });
      // Method, scheme, authority, User-Agent and the path's name, with 32 bytes for each, are 217 of the 16 384.
      const request = session.request({
        ":authority": "a.test",
        ":path": `/${"x".repeat(length - 1)}`,
        "user-agent": "test",
      });
      const status = await new Promise((resolve) => request.on("response", (h) => resolve(h[":status"])));
      session.destroy();
      expect(status).toBe(expected);
    });

    it("tells the upstream who asks, behind what the client claims", async () => {
      const { https } = await startBoth();
      const answer = await ask(https, {
        path: "/announce?info_hash=%00%ff;x&a=%20",
        headers: {
          ...a.headers,
          "x-forwarded-for": ["9.9.9.9", "8.8.8.8"],
          "x-forwarded-proto": "gopher",
          "pingoo-client-ip": "9.9.9.9",
          "x-real-ip": "9.9.9.9",
          connection: "keep-alive, x-real-ip",
          te: "trailers",
        },
      });
      const seen = JSON.parse(answer.body) as Seen;
      expect(seen.url).toBe("/announce?info_hash=%00%ff;x&a=%20");
      expect(seen.headers).toMatchObject({
        host: "a.test",
        "x-forwarded-for": "9.9.9.9, 8.8.8.8, 127.0.0.1",
        "x-forwarded-host": "a.test",
        "x-forwarded-proto": "https",
        "pingoo-client-ip": "127.0.0.1",
        "x-real-ip": "9.9.9.9",
      });
      expect(seen.headers).not.toHaveProperty("te");
      expect(answer.headers.server).toBe("pingoo");
    });

    it("routes by path on an http listener, where silent clients hold up nobody", async () => {
      const [http] = await freePorts(1);
      const route = 'http_request.path == "/announce" || http_request.path.starts_with("/announce/")';
      const pingoo = start({
        "pingoo.yml": `
listeners: { http: { address: "http://127.0.0.1:${http}", services: ["a"] } }
services: { a: { route: ${JSON.stringify(route)}, http_proxy: ${upstreamUrl()} } }`,
      });
      await pingoo.wrote("Starting listener");
      const silent = await Promise.all([stall(http!), stall(http!), stall(http!)]);
      const get = async (path: string, headers = { "user-agent": "test" }) => {
        const answer = await fetch(`http://127.0.0.1:${http}${path}`, { headers });
        return { status: answer.status, body: await answer.text() };
      };
      for (const [path, status] of [
        ["/announce/?a=b", 200],
        ["/announce/key", 200],
        ["/announced", 404],
        ["/", 404],
      ] as const)
        expect([path, (await get(path)).status]).toEqual([path, status]);
      const { headers } = JSON.parse((await get("/announce")).body) as Seen;
      expect(headers).toMatchObject({ "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http" });
      expect((await get("/announce", { "user-agent": "" })).status).toBe(403);
      for (const socket of silent) socket.destroy();
    });

    it("passes nothing but bytes on a tcp+tls listener", async () => {
      const { tcp } = await startBoth();
      const seen = JSON.parse((await ask(tcp, { headers: { host: "any.test" } })).body) as Seen;
      expect(seen.headers.host).toBe("any.test");
      expect(seen.headers).not.toHaveProperty("x-forwarded-for");
      expect(seen.headers).not.toHaveProperty("pingoo-client-ip");
    });

    it("closes a tcp+tls connection whose upstream is down", async () => {
      const [https, tcp] = await freePorts(2);
      const config = both(https, tcp, twoHosts())["pingoo.yml"].replace(
        `tcp://127.0.0.1:${upstream.port}`,
        "tcp://127.0.0.1:9",
      );
      await start({ "pingoo.yml": config }).wrote("Starting listener", 2);
      await expect(ask(tcp)).rejects.toThrow(/socket hang up|ECONNRESET/);
    });
  });

  describe("WebSockets", () => {
    const open = (port: number) =>
      new Promise<string>((resolve, reject) => {
        const socket = new WebSocket(`wss://127.0.0.1:${port}/`, {
          rejectUnauthorized: false,
          headers: { host: "a.test", "user-agent": "test" },
        });
        socket.on("open", () => socket.send("hello"));
        socket.on("message", (data) => {
          resolve(String(data));
          socket.close();
        });
        socket.on("error", reject);
      });

    it("fail on https: the upstream gets a plain GET", async () => {
      const { https } = await startBoth();
      await expect(open(https)).rejects.toThrow("Unexpected server response: 200");
    });

    it("work on tcp+tls", async () => {
      const { tcp } = await startBoth();
      expect(await open(tcp)).toBe("hello");
    });
  });

  describe("TLS", () => {
    it("refuses TLS 1.2", async () => {
      const { https, tcp } = await startBoth();
      for (const port of [https, tcp]) {
        const refused = new Promise((_, reject) =>
          connectTls({ port, host: "127.0.0.1", maxVersion: "TLSv1.2", rejectUnauthorized: false }).on(
            "error",
            reject,
          ),
        );
        await expect(refused).rejects.toThrow(/protocol version/i);
      }
    });

    it("lets one stalled handshake block its listener, and nothing else", async () => {
      const { https, tcp } = await startBoth();
      const agent = new Agent({ keepAlive: true });
      expect((await ask(https, { ...a, agent })).status).toBe(200);

      const staller = await stall(https);
      let answered = false;
      const blocked = ask(https, a).finally(() => (answered = true));
      expect((await ask(https, { ...a, agent })).status).toBe(200); // an established connection
      expect((await ask(tcp)).status).toBe(200);
      await pause(500);
      expect(answered).toBe(false);

      staller.destroy();
      expect((await blocked).status).toBe(200);
      agent.destroy();
    });
  });

  describe("signals", () => {
    it("finishes requests in flight on SIGTERM", async () => {
      const { pingoo, https } = await startBoth();
      const slow = ask(https, { ...a, path: "/slow" });
      await pause(300);
      pingoo.process.kill("SIGTERM");
      expect((await slow).status).toBe(200);
      expect(await pingoo.ended).toBe(0);
    });

    it("cuts an idle tcp+tls connection at once", async () => {
      const { pingoo, tcp } = await startBoth();
      const socket: TLSSocket = connectTls({ port: tcp, host: "127.0.0.1", rejectUnauthorized: false });
      socket.on("error", () => {});
      await new Promise((resolve) => socket.once("secureConnect", resolve));
      const closed = new Promise((resolve) => socket.once("close", resolve));
      pingoo.process.kill("SIGTERM");
      expect(await pingoo.ended).toBe(0);
      await closed;
    });

    it("does not honour SIGTERM while a handshake stalls", async () => {
      const { pingoo, https } = await startBoth();
      const staller = await stall(https);
      await pause(200);
      pingoo.process.kill("SIGTERM");
      await pingoo.wrote("Shutdown signal received");
      await pause(500);
      expect(pingoo.running).toBe(true);
      staller.destroy();
      expect(await pingoo.ended).toBe(0);
    });

    it("is ended by SIGHUP", async () => {
      const { pingoo } = await startBoth();
      pingoo.process.kill("SIGHUP");
      expect(await pingoo.ended).toBe("SIGHUP");
    });
  });

  describe("ACME", () => {
    const config = (port: number, directory: string, domains: readonly string[]) => ({
      "pingoo.yml": `
listeners: { https: { address: "https://127.0.0.1:${port}" } }
services: { a: { http_proxy: ${upstreamUrl()} } }
tls: { acme: { directory_url: "${directory}", domains: ${JSON.stringify(domains)} } }`,
    });

    it("ends when the directory is away", async () => {
      const [port] = await freePorts(1);
      const pingoo = start(config(port, "https://127.0.0.1:9/dir", ["a.test"]));
      expect(await pingoo.ended).toBe(1);
      expect(pingoo.log).toContain("error creating ACME account: client error (Connect)");
      expect(pingoo.log).not.toContain("Starting listener");
    });

    it("ends when acme.json is corrupt", async () => {
      const [port] = await freePorts(1);
      const pingoo = start({ ...config(port, "https://127.0.0.1:9/dir", ["a.test"]), "tls/acme.json": "{" });
      expect(await pingoo.ended).toBe(1);
      expect(pingoo.log).toMatch(/error reading .*acme\.json/);
    });

    it("opens no listener, and hears no SIGTERM, while the directory is silent", async () => {
      const connections: Socket[] = [];
      const silent = createServer((socket) => connections.push(socket));
      await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
      const [port] = await freePorts(1);
      const pingoo = start(
        config(port, `https://127.0.0.1:${(silent.address() as AddressInfo).port}/dir`, ["a.test"]),
      );
      await until(() => connections.length > 0);
      pingoo.process.kill("SIGTERM");
      await pause(300);
      expect(pingoo.running).toBe(true);
      expect(await isOpen(port)).toBe(false);
      for (const socket of connections) socket.destroy();
      silent.close();
    });

    const isThere = (program: string) => {
      try {
        return execFileSync("sh", ["-c", `command -v ${program}`]).length > 0;
      } catch {
        return false;
      }
    };
    const needed = ["pebble", "pebble-challtestsrv", "openssl"];

    describe.skipIf(!needed.every(isThere))("with pebble (skipped without pebble and openssl)", () => {
      const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: scratch, stdio: "pipe" });
      const selfSigned = (domain: string, days: number) => {
        const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        const names = ["-subj", `/CN=${domain}`, "-addext", `subjectAltName=DNS:${domain},IP:127.0.0.1`];
        const files = ["-keyout", `${domain}.key`, "-out", `${domain}.pem`];
        openssl("req", "-x509", ...ec, ...names, ...files, "-days", String(days));
        const read = (kind: string) => readFileSync(join(scratch, `${domain}.${kind}`), "utf8");
        return { [`tls/${domain}.key`]: read("key"), [`tls/${domain}.pem`]: read("pem") };
      };

      it("fetches what is missing or runs out, and keeps the rest", { timeout: 60_000 }, async () => {
        const [https, api, management, dns, names] = await freePorts(5);
        selfSigned("pebble", 2);
        writeFileSync(
          join(scratch, "pebble.json"),
          JSON.stringify({
            pebble: {
              listenAddress: `127.0.0.1:${api}`,
              managementListenAddress: `127.0.0.1:${management}`,
              certificate: "pebble.pem",
              privateKey: "pebble.key",
              httpPort: 9,
              tlsPort: https,
              certificateValidityPeriod: 90 * 24 * 60 * 60,
            },
          }),
        );
        const servers = [
          spawn("pebble", ["-config", "pebble.json", "-dnsserver", `127.0.0.1:${dns}`], {
            cwd: scratch,
            env: {
              ...process.env,
              PEBBLE_VA_NOSLEEP: "1",
              PEBBLE_WFE_NONCEREJECT: "0",
              PEBBLE_AUTHZREUSE: "100",
            },
            stdio: ["ignore", "pipe", "ignore"],
          }),
          spawn("pebble-challtestsrv", [
            ...["-dns01", `127.0.0.1:${dns}`, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""],
            ...["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", `127.0.0.1:${names}`],
          ]),
        ];
        let orders = "";
        servers[0]?.stdout?.on("data", (data: Buffer) => (orders += String(data)));
        const certificate = (name: string) =>
          new Promise<PeerCertificate>((resolve, reject) => {
            const socket = connectTls({
              port: https,
              host: "127.0.0.1",
              servername: name,
              rejectUnauthorized: false,
            });
            socket.on("error", reject);
            socket.on("secureConnect", () => {
              resolve(socket.getPeerCertificate());
              socket.destroy();
            });
          });
        try {
          await until(() => isOpen(api));
          const domains = ["missing.test", "short.test", "long.test"];
          const pingoo = start(
            {
              ...config(https, `https://127.0.0.1:${api}/dir`, domains),
              ...selfSigned("short.test", 20),
              ...selfSigned("long.test", 60),
            },
            { SSL_CERT_FILE: join(scratch, "pebble.pem") },
          );
          await pingoo.wrote("Starting listener https");
          expect((await certificate("missing.test")).subject.CN).toBe("Pingoo self-signed certificate");
          await pingoo.wrote("tls: ACME TLS certificate successfully saved", 2);

          expect((await certificate("missing.test")).issuer.CN).toContain("Pebble");
          expect((await certificate("short.test")).issuer.CN).toContain("Pebble");
          expect((await certificate("long.test")).issuer.CN).toBe("long.test");
          expect((await certificate("unknown.test")).subject.CN).toBe("Pingoo self-signed certificate");

          const tls = join(pingoo.folder, "tls");
          for (const file of [
            "missing.test.key",
            "missing.test.pem",
            "acme.json",
            "default.key",
            "default.pem",
          ]) {
            expect(statSync(join(tls, file)).mode & 0o777).toBe(0o644);
          }
          const account = JSON.parse(readFileSync(join(tls, "acme.json"), "utf8"));
          expect(account.data.accounts[`https://127.0.0.1:${api}/dir`]).toEqual({
            id: expect.stringContaining("https://"),
            key: expect.any(String),
          });

          const count = () => orders.split("There are now").length;
          const before = [count(), readFileSync(join(tls, "missing.test.pem"), "utf8")];
          pingoo.process.kill("SIGTERM");
          await pingoo.ended;
          const again = start(pingoo, pingoo.environment);
          await again.wrote("Starting listener https");
          await pause(3000); // orders begin two seconds after the start
          expect([count(), readFileSync(join(tls, "missing.test.pem"), "utf8")]).toEqual(before);

          again.process.kill("SIGTERM");
          await again.ended;
          for (const kind of ["key", "pem"]) rmSync(join(tls, `missing.test.${kind}`));
          const reordering = start(again, pingoo.environment);
          await reordering.wrote("error setting ACME challenge as ready for missing.test");
          expect(reordering.log).toContain("Cannot update challenge with status valid");

          servers[0]?.kill();
          reordering.process.kill("SIGTERM");
          await reordering.ended;
          const alone = start(reordering, pingoo.environment);
          expect(await alone.ended).toBe(1);
          expect(alone.log).toContain("client error (Connect)");
        } finally {
          for (const server of servers) server.kill();
        }
      });
    });
  });
});

it.skipIf(!hasGo())(
  "the stand-ins pass their own tests (skipped without Go 1.24)",
  { timeout: 600_000 },
  async () => {
    const directory = join(__dirname, "../../stand-ins");
    expect(await runHere({ command: ["gofmt", "-l", "."], directory })).toBe("");
    await runHere({ command: ["go", "vet", "./..."], directory });
    expect(await runHere({ command: ["go", "test", "./..."], directory })).toContain("ok");
  },
);
