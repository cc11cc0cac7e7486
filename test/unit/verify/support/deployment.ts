import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";

import { readTargets, type Targets } from "../../../../verify/targets";
import { makeAuthority, makeIdentity, type Identity } from "./certificates";
import { reply, startFront, type FrontOptions } from "./front";
import { compact, encodeBencode, rawParameters, refusal, Swarms } from "./tracker";
import { startUdpTracker, type UdpFault } from "./udp-server";

export const token = "s3cret-admin-token/with+odd&characters";
export const password = "s3cret grafana password";
export const names = {
  api: "api.torrust.test",
  tracker: "tracker.torrust.test",
  grafana: "grafana.torrust.test",
} as const;

export const authority = makeAuthority();
export const goodIdentity = makeIdentity({ name: names.api, altNames: Object.values(names) }, authority);

/** What goes wrong in the small deployment below; everything else is as it should be. */
export type Fault =
  | "api-health"
  | "api-html"
  | "api-open"
  | "api-gateway-down"
  | "tracker-health"
  | "tracker-no-dictionary"
  | "tracker-failure"
  | "tracker-no-swarm"
  | "tracker-no-peers"
  | "tracker-no-scrape"
  | "tracker-proxy-address"
  | "tracker-leftmost"
  | "tracker-open"
  | "tracker-500-without-agent"
  | "tracker-lenient"
  | "tracker-500-for-parameters"
  | "grafana-health"
  | "grafana-anonymous"
  | "grafana-password"
  | "grafana-no-cookie"
  | "websocket-stripped"
  | "live-silent"
  | "live-refused"
  | "live-closes"
  | "live-drops"
  | "target-down"
  | "targets-none"
  | "targets-late"
  | "alerts-off"
  | "alerts-pending"
  | "alerts-lost"
  | "alerts-garbled"
  | "plain-api"
  | "plain-grafana"
  | "route-by-letter"
  | "short-lines"
  | "catch-all";

export interface DeploymentOptions {
  readonly fault?: Fault;
  readonly mode?: Targets["mode"];
  readonly trackerMode?: "public" | "listed" | "private";
  readonly acme?: string;
  readonly identity?: Identity;
  /** The listener of API and trackers. */
  readonly https?: Partial<FrontOptions>;
  /** Grafana's listener. */
  readonly grafana?: Partial<FrontOptions>;
  readonly udp?: UdpFault | "closed";
  /** The HTTP tracker is announced to without TLS as well. */
  readonly plain?: boolean;
  readonly outputs?: Readonly<Record<string, unknown>>;
  /** The tracker has metrics, as those after 3.0.0 do. */
  readonly metrics?: boolean;
}

/** A deployment in this process: proxy, tracker, Grafana and Prometheus, as far as one sees them from outside. */
export async function startDeployment(options: DeploymentOptions = {}) {
  const { fault, mode = "pingoo-tcp", trackerMode = "public", identity = goodIdentity } = options;
  const swarms = new Swarms();
  const sessions = new Set<string>();
  const keys = new Set<string>();
  const listed = new Set<string>();
  const log = { requests: [] as string[], logouts: 0, targets: 0 };

  const bencode = (response: ServerResponse, value: Parameters<typeof encodeBencode>[0]) =>
    reply(response, 200, encodeBencode(value));
  const failure = (response: ServerResponse, reason: string) =>
    bencode(response, new Map([["failure reason", reason]]));

  const api = (request: IncomingMessage, response: ServerResponse, url: URL) => {
    if (url.pathname === "/api/health_check")
      return fault === "api-health"
        ? reply(response, 200, { status: "Error" })
        : reply(response, 200, { status: "Ok" });
    if (
      fault === "api-gateway-down" &&
      url.pathname === "/api/v1/stats" &&
      url.searchParams.get("token") !== token
    )
      return reply(response, 502, "");
    if (fault !== "api-open" && url.searchParams.get("token") !== token)
      return reply(response, 500, 'Unhandled rejection: Err { reason: "unauthorized" }');
    const path = url.pathname.replace("/api/v1", "");
    if (request.method === "GET" && path === "/stats")
      return fault === "api-html" ? reply(response, 200, "<html>") : reply(response, 200, { torrents: 0 });
    if (request.method === "GET" && path === "/metrics" && options.metrics)
      return reply(response, 200, "# TYPE x gauge\n");
    if (request.method === "POST" && path === "/keys") {
      keys.add("k".repeat(32));
      return reply(response, 200, { key: "k".repeat(32) });
    }
    if (request.method === "DELETE" && path.startsWith("/key/")) {
      keys.delete(path.slice(5));
      return reply(response, 200, { status: "ok" });
    }
    if (path.startsWith("/whitelist/")) {
      if (request.method === "POST") listed.add(path.slice(11));
      else listed.delete(path.slice(11));
      return reply(response, 200, { status: "ok" });
    }
    reply(response, 404, "");
  };

  const tracker = (request: IncomingMessage, response: ServerResponse, url: URL) => {
    const [, action, key] = url.pathname.split("/");
    if (action === "health_check")
      return reply(response, fault === "tracker-health" ? 503 : 200, { status: "Ok" });
    if (action !== "announce" && action !== "scrape") return reply(response, 404, "");
    if (fault === "tracker-no-dictionary") return bencode(response, ["no", "dictionary"]);
    if (fault === "tracker-failure")
      return failure(response, "missing or invalid the right most X-Forwarded-For IP");
    const query = request.url?.split("?")[1] ?? "";
    const infoHashes = rawParameters(query, "info_hash");
    const infoHash = infoHashes[0] ?? Buffer.alloc(0);
    if (fault !== "tracker-open") {
      if (trackerMode === "private" && !keys.has(key ?? "")) return failure(response, "key required");
      if (action === "announce" && trackerMode === "listed" && !listed.has(infoHash.toString("hex")))
        return failure(response, "not listed");
    }
    if (action === "scrape") {
      const files = infoHashes.map((hash) => {
        const file = Object.entries({ ...swarms.counts(hash), downloaded: 0 });
        return [hash.toString("latin1"), new Map(file)] as const;
      });
      return bencode(response, new Map([["files", new Map(fault === "tracker-no-scrape" ? [] : files)]]));
    }
    const refused = fault === "tracker-lenient" ? undefined : refusal(query);
    if (refused && fault === "tracker-500-for-parameters") return reply(response, 500, "");
    if (refused) return failure(response, refused);
    // The proxy appends the client's address, the tracker believes the last one.
    const client = String(request.headers["x-forwarded-for"] ?? "");
    const forwarded = [...client.split(",").map((part) => part.trim()), "127.0.0.1"].filter(
      (part) => part !== "",
    );
    const ip =
      fault === "tracker-proxy-address"
        ? "172.18.0.10"
        : ((fault === "tracker-leftmost" ? forwarded[0] : forwarded.at(-1)) ?? "");
    const peers = swarms.announce(
      infoHash,
      rawParameters(query, "peer_id")[0] ?? Buffer.alloc(0),
      { ip, port: Number(url.searchParams.get("port")), left: Number(url.searchParams.get("left")) },
      url.searchParams.get("event") ?? "",
    );
    const { complete, incomplete } =
      fault === "tracker-no-swarm" ? { complete: 0, incomplete: 1 } : swarms.counts(infoHash);
    bencode(
      response,
      new Map(
        Object.entries({
          complete,
          incomplete,
          interval: 300,
          "min interval": 300,
          peers: compact(fault === "tracker-no-peers" ? [] : peers),
          peers6: Buffer.alloc(0),
        }),
      ),
    );
  };

  const grafana = (request: IncomingMessage, response: ServerResponse, url: URL) => {
    if (url.pathname === "/api/health")
      return reply(response, 200, { database: fault === "grafana-health" ? "failing" : "ok" });
    const session = /grafana_session=(\w+)/.exec(request.headers.cookie ?? "")?.[1] ?? "";
    if (url.pathname === "/logout") {
      sessions.delete(session);
      log.logouts++;
      return reply(response, 302, "", { location: "/login" });
    }
    if (url.pathname === "/login" && request.method === "POST") {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk));
      return void request.on("end", () => {
        const given = JSON.parse(body) as { user: string; password: string };
        if (fault === "grafana-password" || given.user !== "admin" || given.password !== password)
          return reply(response, 401, { message: "Invalid username or password" });
        const id = `session${sessions.size}secret`;
        sessions.add(id);
        reply(
          response,
          200,
          {},
          fault === "grafana-no-cookie" ? {} : { "set-cookie": `grafana_session=${id}; Path=/` },
        );
      });
    }
    if (!sessions.has(session) && fault !== "grafana-anonymous") return reply(response, 401, {});
    if (url.pathname === "/api/datasources") return reply(response, 200, []);
    if (url.pathname === "/api/datasources/proxy/uid/prometheus/api/v1/targets")
      return reply(response, 200, {
        status: "success",
        data: { activeTargets: scrapeTargets(fault, ++log.targets) },
      });
    if (url.pathname === "/api/datasources/proxy/uid/prometheus/api/v1/rules") {
      if (fault === "alerts-garbled") return reply(response, 200, "<html>");
      const rule = { name: "Watchdog", state: fault === "alerts-pending" ? "pending" : "firing" };
      const groups = fault === "alerts-off" ? [] : [{ rules: [rule] }];
      return reply(response, 200, { status: "success", data: { groups } });
    }
    if (url.pathname === "/api/datasources/proxy/uid/alertmanager/api/v2/alerts")
      return reply(response, 200, [
        ...(fault === "alerts-lost" ? [] : [{ labels: { alertname: "Watchdog" } }]),
        { labels: { alertname: "HighCpu" } },
      ]);
    reply(response, 200, "<html>Grafana</html>");
  };

  const route =
    (hosts: Readonly<Record<string, typeof api>>, byNginx = mode === "nginx") =>
    (request: IncomingMessage, response: ServerResponse) => {
      const authority = String(request.headers[":authority"] ?? request.headers.host ?? "");
      log.requests.push(`${request.method} ${authority}${request.url}`);
      const userAgent = request.headers["user-agent"] ?? "";
      if (fault === "tracker-500-without-agent" && !userAgent) return reply(response, 500, "");
      if (!byNginx && (!userAgent || userAgent.length >= 256 || /[^\t -~]/.test(userAgent)))
        return reply(response, 403, "Permission Denied");
      const length = request.url?.length ?? 0;
      if (fault === "short-lines" && length > 8192) return reply(response, 414, "");
      if (!byNginx && request.httpVersionMajor === 2 && length > 16_000) return reply(response, 431, "");
      const spelt = authority.replace(/:\d+$/, "");
      const host = fault === "route-by-letter" ? spelt : spelt.toLowerCase().replace(/\.$/, "");
      const target = hosts[host] ?? (fault === "catch-all" ? Object.values(hosts)[0] : undefined);
      const url = new URL(request.url ?? "/", "http://inner");
      if (target) target(request, response, url);
      else reply(response, 404, "");
    };

  /** Plain HTTP: announces and the like; nginx leads all else to HTTPS. */
  const leadsToHttps = mode === "hybrid" || mode === "nginx";
  const everything = { [names.api]: api, [names.tracker]: tracker, [names.grafana]: grafana };
  const plain = createServer((request, response) => {
    const host = (request.headers.host ?? "").replace(/\.?(:\d+)?$/, "").toLowerCase();
    const known = (Object.values(names) as string[]).includes(host);
    const announced = /^\/(announce|scrape)(\/\w+)?(\?|$)|^\/health_check$/.test(request.url ?? "");
    const leaks = { "plain-api": names.api, "plain-grafana": names.grafana }[String(fault)] === host;
    if ((host === names.tracker && announced) || leaks)
      return route(everything, leadsToHttps)(request, response);
    if (leadsToHttps && known) return reply(response, 301, "", { location: `https://${host}/` });
    reply(response, 404, "");
  });
  if (options.plain) await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
  const plainPort = options.plain ? (plain.address() as AddressInfo).port : undefined;

  const webSockets = new WebSocketServer({ noServer: true });
  const onUpgrade: FrontOptions["onUpgrade"] = (request, socket, head) => {
    const session = /grafana_session=(\w+)/.exec(request.headers.cookie ?? "")?.[1] ?? "";
    if (fault === "websocket-stripped" || !sessions.has(session))
      return void socket.end(`HTTP/1.1 ${sessions.has(session) ? 400 : 401} No\r\ncontent-length: 0\r\n\r\n`);
    webSockets.handleUpgrade(request, socket, head, (webSocket) => live(webSocket, fault));
  };

  const common = { identity };
  const oneListener = mode === "pingoo-https";
  const https = await startFront({
    ...common,
    handler: route({
      [names.api]: api,
      [names.tracker]: tracker,
      ...(oneListener && { [names.grafana]: grafana }),
    }),
    // Pingoo passes an upgrade on as a plain request.
    onUpgrade: oneListener && fault === undefined ? onUpgrade : undefined,
    ...options.https,
  });
  const grafanaFront =
    mode === "pingoo" || oneListener
      ? undefined
      : await startFront({
          ...common,
          handler: route({ [names.grafana]: grafana }),
          onUpgrade,
          ...(mode === "hybrid" && { versions: { min: "TLSv1.2", max: "TLSv1.3" } as const }),
          ...options.grafana,
        });
  const udp = await startUdpTracker({
    swarms,
    allows: (infoHash) => trackerMode !== "listed" || listed.has(infoHash.toString("hex")),
    fault:
      options.udp === "closed"
        ? undefined
        : (options.udp ?? (trackerMode === "private" ? "private" : undefined)),
  });
  if (options.udp === "closed") await udp.close();

  const outputs: Record<string, unknown> = {
    urls: {
      api: `https://${names.api}:${https.port}`,
      trackers: [`https://${names.tracker}:${https.port}`],
      ...(mode !== "pingoo" && { grafana: `https://${names.grafana}:${grafanaFront?.port ?? https.port}` }),
    },
    announceUrls: {
      http: [
        `https://${names.tracker}:${https.port}/announce`,
        ...(plainPort ? [`http://${names.tracker}:${plainPort}/announce`] : []),
      ],
      udp: [`udp://${names.tracker}:${udp.port}/announce`],
    },
    addresses: { ipv4: "127.0.0.1" },
    adminToken: token,
    grafanaAdminPassword: password,
    mode,
    acme: options.acme ?? "https://acme.test/dir",
    trackerMode,
    ...options.outputs,
  };
  return {
    outputs,
    targets: readTargets(outputs),
    ports: { https: https.port, grafana: grafanaFront?.port ?? https.port, udp: udp.port },
    swarms,
    keys,
    listed,
    sessions,
    log,
    close: async () => {
      webSockets.clients.forEach((client) => client.terminate());
      plain.closeAllConnections();
      plain.close();
      await Promise.all([
        https.close(),
        grafanaFront?.close(),
        options.udp === "closed" ? undefined : udp.close(),
      ]);
    },
  };
}

function live(webSocket: WebSocket, fault: Fault | undefined): void {
  webSocket.on("message", (data) => {
    const command = JSON.parse(String(data)) as {
      id?: number;
      connect?: object;
      subscribe?: { channel: string };
    };
    if (command.id === undefined || fault === "live-silent") return;
    if (command.connect) {
      // A ping on the way, and two answers in one message, as Centrifuge may do.
      webSocket.send(
        `{}\n${JSON.stringify({ id: command.id, connect: { client: "c", ping: 25, pong: true } })}`,
      );
    } else if (fault === "live-closes") {
      webSocket.close(3501);
    } else if (fault === "live-refused" || !/^default\//.test(command.subscribe?.channel ?? "")) {
      webSocket.send(JSON.stringify({ id: command.id, error: { code: 400, message: "invalid channel ID" } }));
    } else {
      webSocket.send(JSON.stringify({ id: command.id, subscribe: {} }));
      if (fault === "live-drops") setTimeout(() => webSocket.terminate(), 300);
    }
  });
}

function scrapeTargets(fault: Fault | undefined, asked: number): unknown[] {
  if (fault === "targets-none") return [];
  const target = (job: string, health: string, lastError = "") => ({
    labels: { job, instance: `${job}:1` },
    health,
    lastError,
  });
  return [
    target("prometheus", "up"),
    fault === "target-down"
      ? target("tracker", "down", `Get "http://tracker:1212/api/v1/stats?token=${token}": refused`)
      : target("tracker", fault === "targets-late" && asked === 1 ? "unknown" : "up"),
  ];
}
