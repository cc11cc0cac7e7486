import type Docker from "dockerode";
import { randomBytes } from "node:crypto";
import { Agent, request } from "node:https";
import { connect, type ConnectionOptions } from "node:tls";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type WebSocket from "ws";

import { buildImages } from "../images/build";
import { announceUdp, announceUrl, fetchLocal, fetchPlain, openWebSocket } from "./support/clients";
import { apiCaOf, basic, eventually, TestStack, type Outputs } from "./support/engine";
import { expectEachForm, expectNoOther, itServesClients } from "./support/requests";
import { certbotMetrics } from "../support/metrics";
import { expectVerified } from "./support/verify";

const [httpsPort, grafanaPort, httpPort, udpPort, rootsPort] = [20443, 20444, 20080, 20969, 20500];
const edge = "torrust-pingoo-hybrid-e2e-edge";
const values = {
  apiDomain: "api.torrust.test",
  httpTrackers: [{ domain: "tracker.torrust.test", plainHttp: true }],
  udpTrackers: [{ port: udpPort }],
  httpsPort,
  httpPort,
  grafana: true,
  grafanaDomain: "grafana.torrust.test",
  grafanaPort,
  prometheusScrapeInterval: 1,
  acme: "https://pebble:14000/dir",
};
/** Requests a second from one address; ten times as many at once. */
const nginxRateLimit = 10;
const everythingByNginx = { tlsProxy: "nginx", nginxRateLimit };
const hybrid = { hybrid: true };
const domains = ["api.torrust.test", "tracker.torrust.test", "grafana.torrust.test"];

describe.skipIf(!inject("engine"))("nginx and certbot", { timeout: 180_000 }, () => {
  let stack: TestStack;
  let outputs: Outputs;
  let pebble: Docker.Container;
  let acmeCaCertificate: string;
  /** The root of pebble's certificates; another one whenever it starts. */
  let ca: string;

  const up = (changes: object) => stack.up({ ...values, acmeCaCertificate, ...changes });

  beforeAll(async () => {
    const images = await buildImages({ log: (line) => console.log(line) });
    stack = await TestStack.fresh("hybrid-e2e");
    pebble = await stack.docker.createContainer({
      Image: images.pebble,
      name: "pebble-of-torrust-pingoo-hybrid-e2e",
      ExposedPorts: { "15000/tcp": {} },
      HostConfig: { PortBindings: { "15000/tcp": [{ HostIp: "127.0.0.1", HostPort: String(rootsPort) }] } },
    });
    acmeCaCertificate = await apiCaOf(pebble);
    ({ outputs } = await up(everythingByNginx));
  }, 1_800_000);
  afterAll(async () => {
    await pebble?.remove({ force: true, v: true });
    await stack?.down();
  }, 120_000);

  const endpoints = () => [
    `${outputs.urls.api}/api/health_check`,
    `${outputs.urls.trackers[0]}/health_check`,
    ...(outputs.urls.grafana ? [`${outputs.urls.grafana}/api/health`] : []),
  ];
  const serials = () =>
    Promise.all(endpoints().map(async (url) => (await fetchLocal(url, { ca })).certificate.serialNumber));
  const authorization = () => basic(outputs);
  const webSocket = () =>
    openWebSocket(`${outputs.urls.grafana}/api/live/ws`, { authorization: authorization() });

  describe("before any certificate is issued", () => {
    it("serve every name with self-signed ones", async () => {
      for (const url of endpoints())
        await eventually(async () => {
          const { status, certificate } = await fetchLocal(url);
          expect([url, status, certificate.subject.CN]).toEqual([url, 200, "self-signed"]);
        });
    });

    it("say why there is none yet", async () => {
      await eventually(async () =>
        expect(await stack.logs("certbot")).toMatch(
          /not ordered yet.*the directory does not answer: .*pebble/,
        ),
      );
    });
  });

  describe("once the authority answers", () => {
    beforeAll(async () => {
      await stack.docker
        .getNetwork(edge)
        .connect({ Container: pebble.id, EndpointConfig: { Aliases: ["pebble"] } });
      await pebble.start();
      ca = await eventually(async () =>
        (await fetchLocal(`https://pebble:${rootsPort}/roots/0`)).body.toString(),
      );
    }, 120_000);

    it("serve an issued certificate for each name, without a restart", async () => {
      const { Id, State } = await stack.container("nginx").inspect();
      expect(new Set(await eventually(serials)).size).toBe(3);
      const after = await stack.container("nginx").inspect();
      expect([after.Id, after.State.StartedAt]).toEqual([Id, State.StartedAt]);
    });

    it("renew without failing a request of an open connection", async () => {
      const before = await serials();
      const socket = await webSocket();
      const loop = keepAlive(`${outputs.urls.grafana}/api/health`);
      const { code, output } = await stack.exec(
        "certbot",
        ...["certbot", "renew", "--non-interactive", "--no-random-sleep-on-renew"],
        ...["--cert-name", "grafana.torrust.test", "--force-renewal"],
      );
      expect([code, output]).toEqual([0, expect.stringContaining("Congratulations")]);
      const after = await serials();
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const { requests, failures, connections } = await loop.end();
      expect(failures).toEqual([]);
      expect(requests).toBeGreaterThan(100);
      // nginx itself ends a connection after a thousand requests (keepalive_requests).
      expect(connections).toBe(Math.ceil(requests / 1000));
      expect(after[2]).not.toBe(before[2]);
      expect(after.slice(0, 2)).toEqual(before.slice(0, 2));
      expect(await answerOf(socket)).toMatchObject({ connect: {} });
      socket.close();
    });

    it("keep account and keys from nginx' user, and the served ones from everybody else", async () => {
      const { output } = await stack.exec(
        "nginx",
        "sh",
        "-c",
        "id; ls /etc/letsencrypt/accounts /etc/letsencrypt/live; true",
      );
      expect(output).toMatch(/^uid=101/m);
      expect(output.match(/Permission denied/g)).toHaveLength(2);
      const modes = await stack.exec("certbot", "sh", "-c", "stat -c '%a %u:%g' /etc/letsencrypt/served/*");
      expect(modes.output.trim().split("\n")).toEqual(domains.map(() => "640 0:0"));
    });
  });

  describe("nginx", () => {
    let held: { socket: WebSocket; since: number; pings: number };
    beforeAll(async () => {
      held = { socket: await webSocket(), since: Date.now(), pings: 0 };
      expect(await answerOf(held.socket)).toMatchObject({ connect: {} });
      held.socket.on("message", (data) => {
        if (String(data) !== "{}") return;
        held.pings++;
        held.socket.send("{}");
      });
    });

    it("accepts its configuration", async () => {
      expect(await stack.exec("nginx", "nginx", "-t")).toMatchObject({ code: 0 });
    });

    it("rejects a handshake for another name, or none", async () => {
      for (const servername of ["other.torrust.test", undefined])
        await expect(handshake({ port: grafanaPort, servername })).rejects.toThrow(/unrecognized name/i);
    });

    it("gives nothing of Grafana to a request for another host", async () => {
      const { status, body } = await fetchLocal(`${outputs.urls.grafana}/api/health`, {
        headers: { host: "other.torrust.test" },
      });
      expect([status, body.includes("database")]).toEqual([421, false]);
    });

    itServesClients("nginx", () => outputs);

    it("knows Grafana by each form of its name, and by no other", async () => {
      await expectEachForm(outputs.urls.grafana!, "/api/health", /"ok"/);
      await expectNoOther(outputs.urls.grafana!, "/api/health");
    });

    it("speaks TLS 1.2 and 1.3 and HTTP/2", async () => {
      const servername = "grafana.torrust.test";
      for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
        const limits = { minVersion: version, maxVersion: version, ALPNProtocols: ["h2", "http/1.1"] };
        expect(await handshake({ port: grafanaPort, servername, ...limits })).toEqual([version, "h2"]);
      }
      const old = { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "ALL:@SECLEVEL=0" } as const;
      await expect(handshake({ port: grafanaPort, servername, ...old })).rejects.toThrow();
    });

    it("asks browsers for HTTPS", async () => {
      const { headers } = await fetchLocal(endpoints()[2]!, { ca });
      expect(headers["strict-transport-security"]).toBe("max-age=63072000");
      expect(headers.server).toBe("nginx");
    });

    it("redirects plain HTTP to each name's own port, and ignores other names", async () => {
      const location = async (host: string, path: string) => {
        const { status, headers } = await fetchPlain(`http://${host}:${httpPort}${path}`);
        return [status, headers.location];
      };
      expect(await location("api.torrust.test", "/api/v1/stats?a=%20b")).toEqual([
        301,
        `https://api.torrust.test:${httpsPort}/api/v1/stats?a=%20b`,
      ]);
      expect(await location("grafana.torrust.test", "/")).toEqual([
        301,
        `https://grafana.torrust.test:${grafanaPort}/`,
      ]);
      expect(await location("tracker.torrust.test", "/announcement")).toEqual([
        301,
        `https://tracker.torrust.test:${httpsPort}/announcement`,
      ]);
      await expect(location("other.torrust.test", "/")).rejects.toThrow(/hang up/);
    });

    it("serves clients that do not say who they are", async () => {
      const { status } = await fetchLocal(endpoints()[1]!, { headers: { "user-agent": "" } });
      expect(status).toBe(200);
    });

    it.each([
      ["with TLS", 0],
      ["without", 1],
    ])("tells the tracker the client's address, whatever the client claims: %s", async (_how, index) => {
      const infoHash = randomBytes(20);
      const headers = { "x-forwarded-for": "6.6.6.6", "x-real-ip": "7.7.7.7", forwarded: "for=8.8.8.8" };
      const url = announceUrl(outputs.announceUrls.http[index]!, infoHash, 6001);
      await (index === 0 ? fetchLocal(url, { headers }) : fetchPlain(url, headers));
      const torrent = `${outputs.urls.api}/api/v1/torrent/${infoHash.toString("hex")}?token=${outputs.adminToken}`;
      const { peers } = JSON.parse((await fetchLocal(torrent)).body.toString()) as {
        peers: { peer_addr: string }[];
      };
      expect(peers.map(({ peer_addr }) => peer_addr)).toEqual([
        expect.stringMatching(/^10\.\d+\.\d+\.1:6001$/),
      ]);
    });

    it("writes no token into its log, not even when the tracker is away", async () => {
      await stack.container("tracker").stop();
      await fetchLocal(`${outputs.urls.api}/api/v1/stats?token=${outputs.adminToken}`).catch(() => {});
      await stack.container("tracker").start();
      await eventually(async () => expect((await fetchLocal(endpoints()[0]!)).status).toBe(200));
      expect(await stack.logs("nginx")).not.toContain(outputs.adminToken);
    });

    it("lets no address ask for more than its share", async () => {
      const flood = `
import collections, http.client, ssl
connection = http.client.HTTPSConnection("tracker.torrust.test", context=ssl._create_unverified_context())
seen = collections.Counter()
for _ in range(${30 * nginxRateLimit}):
    connection.request("GET", "/health_check")
    answer = connection.getresponse()
    answer.read()
    seen[answer.status] += 1
print(*sorted(seen.elements()))
`;
      const { output } = await stack.exec("certbot", "python3", "-c", flood);
      const statuses = output.trim().split(" ");
      const served = statuses.filter((status) => status !== "429");
      expect(served.length).toBeGreaterThanOrEqual(10 * nginxRateLimit);
      expect(served.length).toBeLessThan(statuses.length);
      // Others are not concerned; here they share the engine's address, which stands for many.
      const others = Array.from({ length: 15 * nginxRateLimit }, () => fetchLocal(endpoints()[1]!, { ca }));
      expect((await Promise.all(others)).filter(({ status }) => status === 429)).toEqual([]);
    });

    it("is found well by the probes", async () => {
      await eventually(async () => {
        const path = "/api/datasources/proxy/uid/prometheus/api/v1/query?query=probe_success";
        const { body } = await fetchLocal(`${outputs.urls.grafana}${path}`, {
          headers: { authorization: authorization() },
        });
        const { data } = JSON.parse(body.toString()) as { data: { result: { value: [number, string] }[] } };
        expect(data.result.map(({ value }) => value[1])).toEqual(["1", "1", "1", "1", "1"]);
      });
    });

    it("has its certificates watched over", async () => {
      for (const metric of certbotMetrics)
        await eventually(async () => {
          const path = `/api/datasources/proxy/uid/prometheus/api/v1/query?query=${metric}`;
          const { body } = await fetchLocal(`${outputs.urls.grafana}${path}`, {
            headers: { authorization: authorization() },
          });
          const { data } = JSON.parse(body.toString()) as { data: { result: { value: [number, string] }[] } };
          expect([metric, data.result.length]).toEqual([metric, metric.endsWith("failures") ? 3 : 1]);
          for (const { value } of data.result)
            if (metric.endsWith("failures")) expect(value[1]).toBe("0");
            else expect(Date.now() / 1000 - Number(value[1])).toBeLessThan(3600);
        });
    });

    it("passes a WebSocket's frames in both directions for minutes", async () => {
      const { socket, since } = held;
      await new Promise((resolve) => setTimeout(resolve, since + 130_000 - Date.now()));
      // Grafana asks every 25 seconds whether the client is still there, and hangs up on one that does not answer.
      expect(held.pings).toBeGreaterThanOrEqual(5);
      expect(socket.readyState).toBe(socket.OPEN);
      socket.close();
    });
  });

  describe("switching", () => {
    const withoutGrafana = { grafana: false };
    const switches: [string, object, string[]][] = [
      ["to Pingoo", {}, ["certbot", "nginx", "pingoo"]],
      ["to hybrid", hybrid, ["certbot", "nginx", "pingoo"]],
      ["back to Pingoo", {}, ["certbot", "nginx", "pingoo"]],
      ["to hybrid again", hybrid, ["certbot", "nginx", "pingoo"]],
      ["to nginx", everythingByNginx, ["certbot", "nginx", "pingoo"]],
      ["back to hybrid", hybrid, ["certbot", "nginx", "pingoo"]],
      // Pingoo takes over the port of plain HTTP.
      ["to no Grafana", withoutGrafana, ["certbot", "grafana", "nginx", "pingoo", "prometheus"]],
      ["to Grafana at Pingoo", {}, ["grafana", "pingoo", "prometheus"]],
    ];
    const seen: Record<string, string[]> = {};

    it.each(switches)(
      "%s changes what it concerns only, and loses no announce over UDP",
      async (_what, changes, changed) => {
        const before = await idsOf(stack);
        const infoHash = randomBytes(20);
        let [announces, stop] = [0, false];
        const announcing = (async () => {
          for (; !stop; announces++) await announceUdp("127.0.0.1", udpPort, infoHash, 6002);
        })();
        ({ outputs } = await up(changes));
        const found = await eventually(serials);
        stop = true;
        await announcing;
        expect(announces).toBeGreaterThan(10);
        const after = await idsOf(stack);
        const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
        expect(names.filter((name) => before[name] !== after[name])).toEqual(changed);
        const mode = JSON.stringify(changes);
        // The second time in a mode its certificates are those of the first.
        expect(found).toEqual(seen[mode] ?? found);
        seen[mode] = found;
        const again = await up(changes);
        expect(again.summary).toMatchObject({ created: 0, replaced: 0, removed: 0 });
        await expectVerified(again.outputs, ca);
        if (!outputs.urls.grafana) return;
        const socket = await webSocket();
        expect(await answerOf(socket)).toMatchObject({ connect: {} });
        socket.close();
      },
    );

    it("refuses hybrid without Grafana, and changes nothing", async () => {
      const before = await idsOf(stack);
      await expect(up({ ...withoutGrafana, ...hybrid })).rejects.toThrow(/"path": "hybrid"/);
      expect(await idsOf(stack)).toEqual(before);
    });
  });
});

async function idsOf(stack: TestStack): Promise<Record<string, string>> {
  const all = await stack.docker.listContainers({ all: true });
  const prefix = `/torrust-pingoo-${stack.name}-`;
  return Object.fromEntries(
    all.flatMap(({ Names, Id }) =>
      Names.filter((name) => name.startsWith(prefix)).map((name) => [name.slice(prefix.length), Id]),
    ),
  );
}

async function answerOf(socket: WebSocket): Promise<unknown> {
  const answer = new Promise<string>((resolve) => socket.once("message", (data) => resolve(String(data))));
  socket.send(JSON.stringify({ id: 1, connect: {} }));
  return JSON.parse(await answer);
}

/** Asks again and again over connections that are kept open, until it is told to end. */
function keepAlive(url: string) {
  const { hostname, host, port, pathname } = new URL(url);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const sockets = new Set<unknown>();
  const failures: string[] = [];
  let [requests, stop] = [0, false];
  const once = () =>
    new Promise<void>((resolve) => {
      const fail = (why: string) => resolve(void failures.push(why));
      const options = { host: "127.0.0.1", port, path: pathname, servername: hostname, headers: { host } };
      request({ ...options, agent, rejectUnauthorized: false }, (response) => {
        if (response.statusCode !== 200) fail(`status ${response.statusCode}`);
        response.resume().on("end", resolve);
      })
        .on("socket", (socket) => sockets.add(socket))
        .on("error", ({ message }) => fail(message))
        .end();
    });
  const running = (async () => {
    for (; !stop; requests++) await once();
  })();
  return {
    end: async () => {
      stop = true;
      await running;
      agent.destroy();
      return { requests, failures, connections: sockets.size };
    },
  };
}

/** Version and protocol of a TLS connection to this machine. */
function handshake(options: ConnectionOptions): Promise<[string | null, string | false | null]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", rejectUnauthorized: false, ...options }, () => {
      resolve([socket.getProtocol(), socket.alpnProtocol]);
      socket.destroy();
    });
    socket.on("error", reject);
  });
}
