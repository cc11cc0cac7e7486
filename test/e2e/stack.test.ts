import type Docker from "dockerode";
import { randomBytes } from "node:crypto";
import { createConnection } from "node:net";
import { networkInterfaces } from "node:os";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

import { buildImages } from "../images/build";
import { announceUdp, announceUrl, fetchLocal, fetchPlain, openWebSocket } from "./support/clients";
import { apiCaOf, basic, eventually, TestStack, type Outputs } from "./support/engine";
import { askHttp1, expectEachForm, expectNoOther, itServesClients } from "./support/requests";
import { expectVerified } from "./support/verify";

const values = {
  apiDomain: "api.torrust.test",
  httpTrackers: [{ domain: "tracker.torrust.test" }],
  udpTrackers: [{ port: 16969 }],
  acme: "none",
  httpsPort: 18443,
  grafana: true,
  grafanaDomain: "grafana.torrust.test",
  grafanaPort: 13443,
  prometheusScrapeInterval: 1,
};

const rotated = { "max-size": "10m", "max-file": "5" };

interface Target {
  readonly health: string;
  readonly labels: Record<string, string>;
  readonly lastError: string;
}

describe.skipIf(!inject("engine"))("the whole stack", { timeout: 120_000 }, () => {
  let stack: TestStack;
  let outputs: Outputs;
  const infoHash = randomBytes(20);

  beforeAll(async () => {
    await buildImages({ log: (line) => console.log(line) });
    stack = await TestStack.fresh("e2e");
    ({ outputs } = await stack.up(values));
  }, 1_800_000);
  afterAll(async () => {
    await stack?.down();
    expect(await leftovers(stack)).toEqual([]);
  }, 120_000);

  const api = (path: string) => fetchLocal(`${outputs.urls.api}${path}`);
  const withToken = (path: string) => `${path}?token=${outputs.adminToken}`;
  const peersOf = async (hash: Buffer): Promise<string[]> => {
    const { body } = await api(withToken(`/api/v1/torrent/${hash.toString("hex")}`));
    return (JSON.parse(body.toString()) as { peers: { peer_addr: string }[] }).peers.map(
      ({ peer_addr }) => peer_addr,
    );
  };

  describe("the API", () => {
    it("is healthy", async () => {
      const { status, body } = await api("/api/health_check");
      expect([status, JSON.parse(body.toString())]).toEqual([200, { status: "Ok" }]);
    });

    it("gives statistics to who has the token, and to nobody else", async () => {
      const good = await api(withToken("/api/v1/stats"));
      expect(good.status).toBe(200);
      expect(JSON.parse(good.body.toString())).toHaveProperty("torrents");
      expect((await api("/api/v1/stats")).status).not.toBe(200);
      expect((await api("/api/v1/stats?token=wrong")).status).not.toBe(200);
    });
  });

  describe("the trackers", () => {
    it("know an HTTP peer by the address that the proxy saw, whatever the peer claims", async () => {
      const claims = { "x-forwarded-for": "6.6.6.6", "x-real-ip": "7.7.7.7" };
      const { status, body } = await fetchLocal(announceUrl(outputs.announceUrls.http[0]!, infoHash, 6001), {
        headers: claims,
      });
      expect(status).toBe(200);
      expect(body.toString("latin1")).toMatch(/^d8:complete.*8:intervali300e/);
      const peers = await peersOf(infoHash);
      expect(peers).toHaveLength(1);
      expect(peers[0]).toMatch(/^10\.\d+\.\d+\.1:6001$/);
    });

    it("tell a scrape of it", async () => {
      const url = announceUrl(outputs.announceUrls.http[0]!, infoHash, 6001).replace(
        "/announce?",
        "/scrape?",
      );
      expect((await fetchLocal(url)).body.toString("latin1")).toContain("10:incompletei1e");
    });

    it("write nothing down", async () => {
      const { output } = await stack.exec(
        "tracker",
        "sqlite3",
        "/var/lib/torrust/tracker/database/sqlite3.db",
        "SELECT count(*) FROM torrents",
      );
      expect(output.trim()).toBe("0");
    });

    it("serve UDP beside it", async () => {
      await announceUdp("127.0.0.1", 16969, infoHash, 6002);
      const ports = (await peersOf(infoHash)).map((address) => address.split(":").at(-1));
      expect(ports.sort()).toEqual(["6001", "6002"]);
    });
  });

  describe("Pingoo", () => {
    itServesClients("pingoo", () => outputs);

    it("passes Grafana every form of its name, and Grafana leads a trailing dot to its own", async () => {
      const origin = outputs.urls.grafana!;
      for (const host of ["GRAFANA.torrust.test:13443", "grafana.torrust.test", "grafana.torrust.test."]) {
        const { status, location } = await askHttp1({ origin, path: "/login", host });
        expect([host, status, location]).toEqual(
          host.endsWith(".") ? [host, 301, `${origin}/login`] : [host, 200, undefined],
        );
      }
    });

    it("passes WebSockets on to Grafana on its own port", async () => {
      const socket = await openWebSocket(`${outputs.urls.grafana}/api/live/ws`, {
        authorization: basic(outputs),
      });
      const answer = new Promise<string>((resolve) =>
        socket.once("message", (data) => resolve(String(data))),
      );
      socket.send(JSON.stringify({ id: 1, connect: {} }));
      expect(JSON.parse(await answer)).toMatchObject({ id: 1, connect: {} });
      socket.close();
    });
  });

  describe("Grafana", () => {
    const get = async (path: string) =>
      JSON.parse(
        (
          await fetchLocal(`${outputs.urls.grafana}${path}`, { headers: { authorization: basic(outputs) } })
        ).body.toString(),
      );

    it("takes the generated password", async () => {
      const login = await fetchLocal(`${outputs.urls.grafana}/login`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ user: "admin", password: outputs.grafanaAdminPassword }),
      });
      expect(login.status).toBe(200);
      expect(String(login.headers["set-cookie"])).toMatch(
        /^grafana_session=(?=.*; HttpOnly)(?=.*; Secure)(?=.*; SameSite=Strict)/,
      );
      expect((await fetchLocal(`${outputs.urls.grafana}/api/datasources`)).status).toBe(401);
    });

    it("tells visitors no version, and serves no name but its own", async () => {
      const health = await fetchLocal(`${outputs.urls.grafana}/api/health`);
      expect(JSON.parse(health.body.toString())).toEqual({ database: "ok" });
      const url = new URL("/login", outputs.urls.grafana);
      url.hostname = "other.torrust.test";
      const other = await fetchLocal(url.href);
      expect([other.status, other.headers.location]).toEqual([301, `${outputs.urls.grafana}/login`]);
    });

    it("has the datasource and the dashboards", async () => {
      expect(await get("/api/datasources/uid/prometheus")).toMatchObject({
        type: "prometheus",
        isDefault: true,
      });
      const found = (await get("/api/search?type=dash-db")) as { uid: string }[];
      expect(found.map(({ uid }) => uid).sort()).toEqual(["torrust-host", "torrust-tls", "torrust-tracker"]);
      const alerts = (await get("/api/datasources/proxy/uid/alertmanager/api/v2/status")) as object;
      expect(alerts).toHaveProperty("versionInfo");
    });

    it("sees every target of Prometheus up", async () => {
      await eventually(async () => {
        const { data } = await get("/api/datasources/proxy/uid/prometheus/api/v1/targets");
        const targets = data.activeTargets as Target[];
        expect(targets.map(({ labels }) => labels.service ?? labels.job).sort()).toEqual([
          "alertmanager",
          "api",
          "grafana",
          "http-tracker",
          "node",
          "pingoo",
          "prometheus",
          "tracker",
          "udp-tracker",
        ]);
        for (const { health, lastError } of targets) expect([health, lastError]).toEqual(["up", ""]);
      });
    });

    it("gets an answer to every question of its dashboards", async () => {
      const query = async (expr: string) => {
        const escaped = encodeURIComponent(expr.replaceAll("$__rate_interval", "10s"));
        return get(`/api/datasources/proxy/uid/prometheus/api/v1/query?query=${escaped}`);
      };
      for (const uid of ["torrust-tracker", "torrust-tls", "torrust-host"]) {
        const { dashboard } = await get(`/api/dashboards/uid/${uid}`);
        const panels = dashboard.panels as { title: string; targets?: { expr: string }[] }[];
        for (const { title, targets = [] } of panels)
          for (const { expr } of targets)
            await eventually(async () => {
              const { status, data } = await query(expr);
              expect([title, status, data?.result?.length > 0]).toEqual([title, "success", true]);
            }, 30);
      }
    });

    it("counts the announces that were made", async () => {
      await eventually(async () => {
        const expr = encodeURIComponent(
          'sum by (protocol) (torrust_tracker_requests_total{request_kind="announce"})',
        );
        const { data } = await get(`/api/datasources/proxy/uid/prometheus/api/v1/query?query=${expr}`);
        const counts = (data.result as { metric: { protocol: string }; value: [number, string] }[]).map(
          ({ metric, value }) => [metric.protocol, Number(value[1]) >= 1],
        );
        expect(counts.sort()).toEqual([
          ["http", true],
          ["udp", true],
        ]);
      });
    });

    it("sees every endpoint answer its probe", async () => {
      await eventually(async () => {
        const { data } = await get(`/api/datasources/proxy/uid/prometheus/api/v1/query?query=probe_success`);
        const probes = data.result as { metric: { service: string }; value: [number, string] }[];
        expect(probes.map(({ metric, value }) => [metric.service, value[1]]).sort()).toEqual([
          ["api", "1"],
          ["grafana", "1"],
          ["http-tracker", "1"],
          ["udp-tracker", "1"],
        ]);
      });
    });
  });

  describe("secrets", () => {
    const secretsOf = async (): Promise<string[]> => {
      const config = [...(await stack.files("tracker", "/etc/torrust/tracker/tracker.toml")).values()][0]!
        .content;
      const tokens = [...config.matchAll(/^(?:admin|metrics) = "(.+)"$/gm)].map(([, token]) => token!);
      expect(tokens).toHaveLength(2);
      return [...tokens, outputs.grafanaAdminPassword!];
    };

    it("appear in nothing that inspecting a container shows", async () => {
      const secrets = await secretsOf();
      for (const { Id } of await containersOf(stack)) {
        const shown = JSON.stringify(await stack.docker.getContainer(Id).inspect());
        for (const secret of secrets) expect(shown).not.toContain(secret);
      }
    });

    it("appear in no log, not even when the tracker is away", async () => {
      const secrets = await secretsOf();
      await stack.container("tracker").stop();
      await new Promise((resolve) => setTimeout(resolve, 3000));
      await stack.container("tracker").start();
      await eventually(async () => expect((await api("/api/health_check")).status).toBe(200));
      for (const { Id } of await containersOf(stack)) {
        const log = await stack.docker.getContainer(Id).logs({ stdout: true, stderr: true }).catch(String);
        for (const secret of secrets) expect(log.toString()).not.toContain(secret);
      }
    });

    it("lie in files that only their service can read", async () => {
      const secrets = await secretsOf();
      const folders = {
        tracker: "/etc/torrust",
        prometheus: "/etc/prometheus",
        grafana: "/etc/grafana",
        pingoo: "/etc/pingoo",
        "json-exporter": "/etc/json_exporter",
      };
      let found = 0;
      for (const [service, folder] of Object.entries(folders))
        for (const [path, { content, mode }] of await stack.files(service, folder))
          if (secrets.some((secret) => content.includes(secret))) {
            found++;
            expect([service, path, mode & 0o007]).toEqual([service, path, 0]);
          }
      expect(found).toBe(3);
    });
  });

  it("is reachable at no port but the published ones", async () => {
    const addresses = Object.values(networkInterfaces()).flatMap((list) =>
      (list ?? []).filter(({ family }) => family === "IPv4").map(({ address }) => address),
    );
    const own = addresses.filter((address) => !/^10\.2[2-5]\d\./.test(address));
    for (const address of own)
      for (const port of [1212, 1313, 3000, 7070, 7979, 9090, 9093, 9100, 9115, 9117])
        expect([address, port, await accepts(address, port)]).toEqual([address, port, false]);
    const published = (await containersOf(stack)).flatMap(({ Ports }) =>
      Ports.filter(({ PublicPort }) => PublicPort).map(
        ({ IP, PublicPort, Type }) => `${IP} ${PublicPort} ${Type}`,
      ),
    );
    expect(published.sort()).toEqual(["127.0.0.1 13443 tcp", "127.0.0.1 16969 udp", "127.0.0.1 18443 tcp"]);
  });

  it("has containers whose hardening the engine applies", async () => {
    for (const { Id } of await containersOf(stack)) {
      const { Name, HostConfig, Mounts } = await stack.docker.getContainer(Id).inspect();
      const { Type, Config } = HostConfig.LogConfig!;
      const log = Name.endsWith("-json-exporter") ? ["none", {}] : ["json-file", rotated];
      expect([Name, Type, Config]).toEqual([Name, ...log]);
      expect(HostConfig).toMatchObject({
        CapDrop: ["ALL"],
        SecurityOpt: ["no-new-privileges"],
        ReadonlyRootfs: Name.endsWith("-node-exporter"),
        Privileged: false,
        PidMode: "",
        Memory: expect.any(Number),
        MemorySwap: 2 * HostConfig.Memory!,
      });
      expect(HostConfig.Memory).toBeGreaterThan(0);
      expect(Mounts.filter(({ Source }) => Source.endsWith("docker.sock"))).toEqual([]);
    }
  });

  it("reaches from the network for metrics what is on it, and nothing else of the stack", async () => {
    const network = (role: string) => `torrust-pingoo-${stack.name}-${role}`;
    expect((await stack.docker.getNetwork(network("metrics")).inspect()).Internal).toBe(true);
    const { Networks } = (await stack.container("grafana").inspect()).NetworkSettings;
    const reach = async (role: string) => {
      const address = `/dev/tcp/${Networks[network(role)]!.IPAddress}/3000`;
      return (await stack.exec("prometheus", "timeout", "5", "bash", "-c", `<${address}`)).code;
    };
    expect(await reach("metrics")).toBe(0);
    expect(await reach("edge")).not.toBe(0);
  });

  it("has configuration that Prometheus' own checker accepts", async () => {
    const { code, output } = await stack.exec(
      "prometheus",
      "promtool",
      "check",
      "config",
      "/etc/prometheus/prometheus.yml",
    );
    expect([code, output]).toEqual([0, expect.stringContaining("SUCCESS")]);
  });

  it("passes what npm run verify checks", async () => {
    await expectVerified(outputs);
  });

  it("changes nothing when it is deployed again", async () => {
    expect((await stack.up(values)).summary).toMatchObject({ created: 0, replaced: 0, removed: 0 });
  });

  describe("a change", () => {
    const idsOf = async () =>
      Object.fromEntries(
        (await containersOf(stack)).map(({ Names, Id }) => [Names[0]!.replace(/^.*-e2e-/, ""), Id]),
      );

    it("of the tracker replaces the tracker alone, and keeps its database", async () => {
      const before = await idsOf();
      const made = await fetchLocal(`${outputs.urls.api}${withToken("/api/v1/key/100000")}`, {
        method: "POST",
      });
      const { key } = JSON.parse(made.body.toString()) as { key: string };
      await stack.up({ ...values, announceInterval: 120 });
      const after = await idsOf();
      expect(Object.keys(before).filter((service) => before[service] !== after[service])).toEqual([
        "tracker",
      ]);
      const reply = await eventually(() =>
        fetchLocal(announceUrl(outputs.announceUrls.http[0]!, randomBytes(20), 6001)),
      );
      expect(reply.body.toString("latin1")).toContain("8:intervali120e");
      const [database] = (
        await stack.files("tracker", "/var/lib/torrust/tracker/database/sqlite3.db")
      ).values();
      expect(database!.content).toContain(key);
    });

    it("of Grafana's place replaces the proxy, Grafana and who probes it, and shows what Pingoo cannot do", async () => {
      const before = await idsOf();
      const { outputs: shared } = await stack.up({ ...values, announceInterval: 120, grafanaOnHttps: true });
      const after = await idsOf();
      expect(
        Object.keys(before)
          .filter((service) => before[service] !== after[service])
          .sort(),
      ).toEqual(["grafana", "pingoo", "prometheus"]);
      const health = await eventually(() => fetchLocal(`${shared.urls.grafana}/api/health`));
      expect(JSON.parse(health.body.toString())).toMatchObject({ database: "ok" });
      await expectEachForm(shared.urls.grafana!, "/api/health", /"ok"/);
      await expectNoOther(shared.urls.grafana!, "/api/health");
      await expectVerified(shared);
      await expect(
        openWebSocket(`${shared.urls.grafana}/api/live/ws`, { authorization: basic(outputs) }),
      ).rejects.toThrow(/status/);
    });
  });

  describe("with an ACME server", () => {
    const acmeUrl = "https://pebble:14000/dir";
    let ca: string;
    let pebble: Docker.Container;

    beforeAll(async () => {
      const { pebble: Image } = await buildImages({ only: ["pebble"] });
      pebble = await stack.docker.createContainer({
        Image,
        name: "pebble-of-torrust-pingoo-e2e",
        HostConfig: {
          NetworkMode: "torrust-pingoo-e2e-edge",
          PortBindings: { "15000/tcp": [{ HostIp: "127.0.0.1", HostPort: "15000" }] },
        },
        ExposedPorts: { "15000/tcp": {} },
        NetworkingConfig: { EndpointsConfig: { "torrust-pingoo-e2e-edge": { Aliases: ["pebble"] } } },
      });
      await pebble.start();
      ca = await eventually(async () => (await fetchLocal("https://pebble:15000/roots/0")).body.toString());
      ({ outputs } = await stack.up({
        ...values,
        announceInterval: 120,
        acme: acmeUrl,
        acmeCaCertificate: await apiCaOf(pebble),
      }));
    }, 120_000);
    afterAll(async () => void (await pebble?.remove({ force: true, v: true })));

    const endpoints = () => [
      `${outputs.urls.api}/api/health_check`,
      `${outputs.urls.trackers[0]}/health_check`,
      `${outputs.urls.grafana}/api/health`,
    ];
    const serials = () =>
      Promise.all(endpoints().map(async (url) => (await fetchLocal(url, { ca })).certificate.serialNumber));

    it("serves a verified certificate for each name", async () => {
      const found = await eventually(serials);
      expect(new Set(found).size).toBe(3);
    });

    it("passes what npm run verify checks, certificates included", async () => {
      await expectVerified(outputs, ca);
    });

    it("keeps certificates and account in the volume when the container is replaced", async () => {
      const before = await eventually(serials);
      const files = async () =>
        [...(await stack.files("pingoo", "/etc/pingoo/tls")).keys()]
          .map((path) => path.replace(/^tls\//, ""))
          .sort();
      expect(await files()).toEqual(
        [
          "acme.json",
          "default.key",
          "default.pem",
          ...["api", "grafana", "tracker"].flatMap((name) => [
            `${name}.torrust.test.key`,
            `${name}.torrust.test.pem`,
          ]),
        ].sort(),
      );
      const id = await stack.id("pingoo");
      await stack.container("pingoo").remove({ force: true });
      const { summary } = await stack.up({
        ...values,
        announceInterval: 120,
        acme: acmeUrl,
        acmeCaCertificate: await apiCaOf(pebble),
      });
      expect(summary.created + summary.replaced).toBe(1);
      expect(await stack.id("pingoo")).not.toBe(id);
      expect(await eventually(serials)).toEqual(before);
    });
  });
});

describe.skipIf(!inject("engine"))("a stack with MySQL and IPv6", { timeout: 120_000 }, () => {
  let stack: TestStack;
  let outputs: Outputs;
  const infoHash = randomBytes(20);
  const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
    list?.some(({ address }) => address === "::1"),
  );
  const small = {
    ...values,
    grafana: false,
    prometheus: false,
    database: "mysql",
    countDownloads: true,
    ipv6: hasIpv6,
    publishAddresses: hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"],
    httpsPort: 28443,
    httpPort: 28080,
    udpTrackers: [{ port: 26969 }],
  };
  const peersOf = async (hash: Buffer): Promise<string[]> => {
    const url = `${outputs.urls.api}/api/v1/torrent/${hash.toString("hex")}?token=${outputs.adminToken}`;
    const { peers } = JSON.parse((await fetchLocal(url)).body.toString()) as {
      peers: { peer_addr: string }[];
    };
    return peers.map(({ peer_addr }) => peer_addr);
  };
  const settles = async (changed: object) => {
    const { summary } = await stack.up({ ...changed });
    expect(summary).toMatchObject({ created: 0, replaced: 0, removed: 0 });
  };
  const certificate = async () =>
    (await fetchLocal(`${outputs.urls.trackers[0]}/health_check`)).certificate.serialNumber;

  beforeAll(async () => {
    await buildImages({ log: (line) => console.log(line) });
    stack = await TestStack.fresh("sql");
    ({ outputs } = await stack.up(small));
  }, 1_800_000);
  afterAll(async () => {
    await stack?.down();
    expect(await leftovers(stack)).toEqual([]);
  }, 120_000);

  it("announces, and writes the torrent down where downloads are counted", async () => {
    await fetchLocal(announceUrl(outputs.announceUrls.http[0]!, infoHash, 6001));
    const { output } = await stack.exec(
      "mysql",
      "sh",
      "-c",
      `mysql --user=torrust --password="$(cat /etc/mysql-secrets/user)" torrust_tracker --batch -e 'SELECT info_hash FROM torrents'`,
    );
    expect(output).toContain(infoHash.toString("hex"));
  });

  it("sees IPv4 peers with IPv4 addresses and IPv6 peers with theirs", async () => {
    await announceUdp("127.0.0.1", 26969, infoHash, 6004);
    if (hasIpv6) await announceUdp("::1", 26969, infoHash, 6006);
    const peers = await peersOf(infoHash);
    expect(peers.filter((address) => address.includes("::ffff:"))).toEqual([]);
    expect(peers.filter((address) => address.endsWith(":6004"))).toEqual([expect.stringMatching(/^10\./)]);
    if (hasIpv6) expect(peers.some((address) => address.endsWith(":6006"))).toBe(true);
  });

  it("passes what npm run verify checks", async () => {
    await expectVerified(outputs);
  });

  it("is announced to over plain HTTP where a tracker wants it, and asked for nothing else", async () => {
    const tracker = await stack.id("tracker");
    const plain = { ...small, httpTrackers: [{ domain: "tracker.torrust.test", plainHttp: true }] };
    ({ outputs } = await stack.up(plain));
    expect(await stack.id("tracker")).toBe(tracker);
    const [, url = ""] = outputs.announceUrls.http;
    expect(url).toBe("http://tracker.torrust.test:28080/announce");
    const hash = randomBytes(20);
    const announced = await eventually(() =>
      fetchPlain(announceUrl(url, hash, 6010), { "x-forwarded-for": "6.6.6.6" }),
    );
    expect(announced.status).toBe(200);
    expect(await peersOf(hash)).toEqual([expect.stringMatching(/^10\.\d+\.\d+\.1:6010$/)]);
    for (const [host, path] of [
      ["api.torrust.test", "/api/health_check"],
      ["tracker.torrust.test", "/api/health_check"],
      ["tracker.torrust.test", "/"],
      ["other.torrust.test", "/health_check"],
    ])
      expect([path, (await fetchPlain(`http://${host}:28080${path}`)).status]).toEqual([path, 404]);
    await expectVerified(outputs);
    await settles(plain);
  });

  it("has no public API, then nothing but UDP, and all of it again, without a loss", async () => {
    const [before, tracker] = [await certificate(), await stack.id("tracker")];
    const inside = { ...small, apiDomain: "" };
    ({ outputs } = await stack.up(inside));
    expect(outputs.urls).toEqual({ trackers: ["https://tracker.torrust.test:28443"] });
    expect(await eventually(certificate)).toBe(before);
    expect((await fetchLocal("https://api.torrust.test:28443/api/health_check")).status).toBe(404);
    expect(await stack.id("tracker")).toBe(tracker);
    await expectVerified(outputs);
    await settles(inside);

    const udpOnly = {
      ...inside,
      httpTrackers: [],
      udpTrackers: [{ port: 26969, domain: "udp.torrust.test" }],
    };
    ({ outputs } = await stack.up(udpOnly));
    expect([outputs.mode, outputs.urls]).toEqual(["none", { trackers: [] }]);
    const services = (await containersOf(stack)).map(({ Names: [name = ""] }) => name.split("-").at(-1));
    expect(services.sort()).toEqual(["mysql", "tracker"]);
    expect(Object.keys(outputs.volumes)).toContain("tls");
    await expectVerified(outputs);
    await settles(udpOnly);

    ({ outputs } = await stack.up(small));
    expect(await eventually(certificate)).toBe(before);
    await expectVerified(outputs);
  });

  it("keeps the database from the outside", async () => {
    const { NetworkSettings } = await stack.container("mysql").inspect();
    expect(Object.keys(NetworkSettings.Networks)).toEqual(["torrust-pingoo-sql-database"]);
    expect((await stack.docker.getNetwork("torrust-pingoo-sql-database").inspect()).Internal).toBe(true);
  });
});

async function containersOf(stack: TestStack): Promise<Docker.ContainerInfo[]> {
  const all = await stack.docker.listContainers({ all: true });
  return all.filter(({ Names }) => Names.some((name) => name.startsWith(`/torrust-pingoo-${stack.name}-`)));
}

async function leftovers({ docker, name: stack }: TestStack): Promise<string[]> {
  const containers = (await docker.listContainers({ all: true })).flatMap(({ Names }) =>
    Names.map((name) => name.slice(1)),
  );
  const networks = (await docker.listNetworks()).map(({ Name }) => Name);
  const volumes = (await docker.listVolumes()).Volumes.map(({ Name }) => Name);
  return [...containers, ...networks, ...volumes].filter((name) =>
    name.startsWith(`torrust-pingoo-${stack}-`),
  );
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: 500 });
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket
      .on("connect", () => end(true))
      .on("error", () => end(false))
      .on("timeout", () => end(false));
  });
}
