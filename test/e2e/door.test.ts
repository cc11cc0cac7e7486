import type Docker from "dockerode";
import { randomBytes } from "node:crypto";
import { request } from "node:http";
import { connect, type ConnectionOptions } from "node:tls";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

import { renderNginxConfig } from "../../configs/nginx";
import { tar } from "../../docker/archive";
import { ignoring } from "../../docker/calls";
import { defaultSubnet, namesFor } from "../../stack/names";
import { buildImages } from "../images/build";
import { defaultEngine } from "../images/engine";
import { announceUdp, announceUrl, fetchLocal, openWebSocket } from "./support/clients";
import { apiCaOf, basic, eventually, exec, TestStack, type Outputs } from "./support/engine";

/** The ports are those that URLs leave out, so the addresses are ones that nobody else uses for them. */
const [ipv4, ipv6] = ["127.0.0.44", "::1"];
const name = "door-e2e";
const names = namesFor("torrust-pingoo", name, defaultSubnet("torrust-pingoo", name));
const pebbleName = `pebble-of-${names.network("edge")}`;
const tracker = "tracker.torrust.test";
const domains = ["api.torrust.test", tracker, "grafana.torrust.test"];
const values = {
  apiDomain: domains[0],
  httpTrackers: [{ domain: tracker, plainHttp: true }],
  grafana: true,
  grafanaDomain: domains[2],
  publishAddresses: [ipv4, ipv6],
  ipv6: true,
  acme: "https://pebble:14000/dir",
};

describe.skipIf(!inject("engine"))("IPv6 beside Pingoo", { timeout: 180_000 }, () => {
  let stack: TestStack;
  let outputs: Outputs;
  let pebble: Docker.Container | undefined;
  let acmeCaCertificate: string;
  let ca: string;
  /** The door's own address, at which this machine needs no translation to reach it. */
  let door: string;

  const up = async (changes: object = {}) => {
    ({ outputs } = await stack.up({ ...values, acmeCaCertificate, ...changes }));
  };
  const addressOf = async (service: string) => {
    const { NetworkSettings } = await stack.container(service).inspect();
    return NetworkSettings.Networks[names.network("edge")]!.GlobalIPv6Address;
  };
  const health = () => [
    `${outputs.urls.api}/api/health_check`,
    `${outputs.urls.trackers[0]}/health_check`,
    `${outputs.urls.grafana}/api/health`,
  ];
  const serial = async (address: string, url = health()[1]!) =>
    (await fetchLocal(url, { address })).certificate.serialNumber;
  const pingoo = async (command: string) => {
    const { code, output } = await stack.exec("pingoo", "sh", "-c", command);
    expect([command, code, output]).toEqual([command, 0, expect.any(String)]);
    return output;
  };
  const peersOf = async (hash: Buffer) => {
    const url = `${outputs.urls.api}/api/v1/torrent/${hash.toString("hex")}?token=${outputs.adminToken}`;
    const { body } = await fetchLocal(url, { address: door });
    return (JSON.parse(body.toString()) as { peers: { peer_addr: string }[] }).peers.map(
      ({ peer_addr }) => peer_addr,
    );
  };

  beforeAll(async () => {
    const images = await buildImages({ log: (line) => console.log(line) });
    const docker = await defaultEngine();
    await ignoring(404, docker.getContainer(pebbleName).remove({ force: true, v: true }));
    stack = await TestStack.fresh(name);
    const image = await docker.createContainer({ Image: images.pebble, name: pebbleName });
    acmeCaCertificate = await apiCaOf(image);
    await image.remove({ v: true });
    await up();
    door = await addressOf("door");
    pebble = await docker.createContainer({
      Image: images.pebble,
      name: pebbleName,
      HostConfig: {
        NetworkMode: names.network("edge"),
        // By no other way than the door's does it reach a name: as an authority that prefers IPv6.
        ExtraHosts: domains.map((domain) => `${domain}:${door}`),
      },
      NetworkingConfig: { EndpointsConfig: { [names.network("edge")]: { Aliases: ["pebble"] } } },
    });
  }, 1_800_000);
  afterAll(async () => {
    await pebble?.remove({ force: true, v: true });
    await stack?.down();
  }, 120_000);

  it("serves every name with Pingoo's default certificate while there is no other", async () => {
    const fallback = await pingoo("openssl x509 -noout -serial -in /etc/pingoo/tls/default.pem");
    for (const url of health())
      await eventually(async () => {
        const { status, certificate } = await fetchLocal(url, { address: door });
        expect([status, `serial=${certificate.serialNumber}`]).toEqual([200, fallback.trim()]);
      });
  });

  it("hands an authority's challenges to Pingoo, and serves what is issued without a restart", async () => {
    const before = await stack.container("door").inspect();
    await pebble!.start();
    const hosts = await exec(stack.docker, pebble!, ["getent", "ahosts", tracker]);
    expect(
      new Set(
        hosts.output
          .trim()
          .split("\n")
          .map((line) => line.split(" ")[0]),
      ),
    ).toEqual(new Set([door]));
    ca = await eventually(async () => {
      const roots = await exec(stack.docker, pebble!, [
        "wget",
        "-qO-",
        "--no-check-certificate",
        "https://localhost:15000/roots/0",
      ]);
      expect(roots.output).toContain("BEGIN CERTIFICATE");
      return roots.output;
    });
    for (const url of health())
      await eventually(async () => expect((await fetchLocal(url, { address: door, ca })).status).toBe(200));
    for (const url of health()) expect(await serial(door, url)).toBe(await serial(ipv4, url));
    const after = await stack.container("door").inspect();
    expect([after.Id, after.State.StartedAt]).toEqual([before.Id, before.State.StartedAt]);
  });

  it("is reached at the published address", async () => {
    for (const url of health()) expect((await fetchLocal(url, { address: ipv6, ca })).status).toBe(200);
  });

  it("serves a renewed certificate from a next handshake on", async () => {
    const before = await serial(door);
    await pingoo(`rm /etc/pingoo/tls/${tracker}.*`);
    await stack.container("pingoo").restart();
    const renewed = await eventually(async () => {
      const found = (await fetchLocal(health()[1]!, { address: ipv4, ca })).certificate.serialNumber;
      expect(found).not.toBe(before);
      return found;
    });
    await eventually(async () => expect(await serial(door)).toBe(renewed));
  });

  it("serves the default certificate in place of a damaged one, and the right one when it is mended", async () => {
    const before = await serial(door);
    const fallback = (await pingoo("openssl x509 -noout -serial -in /etc/pingoo/tls/default.pem")).trim();
    await pingoo(
      `cd /etc/pingoo/tls && cp ${tracker}.pem /tmp/kept && head -c 200 /tmp/kept >${tracker}.pem`,
    );
    await eventually(async () => expect(`serial=${await serial(door)}`).toBe(fallback));
    expect(await serial(door, health()[0])).not.toBe(await serial(door));
    await pingoo(`cat /tmp/kept >/etc/pingoo/tls/${tracker}.pem`);
    await eventually(async () => expect(await serial(door)).toBe(before));
  });

  it("tells the tracker the client's own address, whatever the client claims, with and without TLS", async () => {
    const [hash, plainHash] = [randomBytes(20), randomBytes(20)];
    const headers = {
      "x-forwarded-for": "2001:db8::6",
      "x-real-ip": "2001:db8::7",
      forwarded: "for=8.8.8.8",
    };
    const url = announceUrl(outputs.announceUrls.http[0]!, hash, 6001);
    expect((await fetchLocal(url, { address: door, headers })).status).toBe(200);
    expect(await peersOf(hash)).toEqual([`[${names.edgeGateway6}]:6001`]);
    const plain = announceUrl(outputs.announceUrls.http[1]!, plainHash, 6002);
    expect(await getPlain(door, plain, headers)).toBe(200);
    expect(await peersOf(plainHash)).toEqual([`[${names.edgeGateway6}]:6002`]);
  });

  it("answers without TLS what an HTTP tracker does, for its name only", async () => {
    expect(await getPlain(door, `http://${tracker}/health_check`)).toBe(200);
    expect(await getPlain(door, `http://${tracker}/api/v1/stats`)).toBe(404);
    expect(await getPlain(door, "http://api.torrust.test/health_check")).toBe(404);
  });

  it("speaks TLS 1.3 and HTTP/2, and nothing older", async () => {
    const offered = { servername: tracker, ALPNProtocols: ["h2", "http/1.1"] };
    expect(await handshake(door, 443, offered)).toEqual(["TLSv1.3", "h2"]);
    for (const [port, servername] of [
      [443, tracker],
      [3443, domains[2]],
    ] as const)
      await expect(handshake(door, port, { servername, maxVersion: "TLSv1.2" })).rejects.toThrow(
        /protocol version/i,
      );
  });

  it("refuses foreign names, and none", async () => {
    for (const port of [443, 3443])
      for (const servername of ["other.torrust.test", undefined])
        await expect(handshake(door, port, { servername })).rejects.toThrow(/unrecognized name/i);
    const { status } = await fetchLocal(health()[1]!, { address: door, headers: { host: domains[0]! } });
    expect(status).toBe(421);
  });

  it("takes nobody for an authority who asks for something besides", async () => {
    const offered = { servername: tracker, ALPNProtocols: ["acme-tls/1", "h2"] };
    expect(await handshake(door, 443, offered)).toEqual(["TLSv1.3", "h2"]);
  });

  it("passes Grafana's WebSocket", async () => {
    const headers = { authorization: basic(outputs) };
    const socket = await openWebSocket(`${outputs.urls.grafana}/api/live/ws`, headers, door);
    const answer = new Promise<string>((resolve) => socket.once("message", (data) => resolve(String(data))));
    socket.send(JSON.stringify({ id: 1, connect: {} }));
    expect(JSON.parse(await answer)).toMatchObject({ connect: {} });
    socket.close();
  });

  it("starts again after it was killed, and stops when it is asked to", async () => {
    const container = stack.container("door");
    await container.restart({ t: 0 });
    await eventually(async () =>
      expect((await fetchLocal(health()[1]!, { address: ipv6, ca })).status).toBe(200),
    );
    await container.stop({ t: 30 });
    expect((await container.inspect()).State.ExitCode).not.toBe(137);
    await container.start();
    await eventually(async () =>
      expect((await fetchLocal(health()[1]!, { address: ipv6, ca })).status).toBe(200),
    );
  });

  it.each([
    ["hybrid", { hybrid: true }],
    ["nginx", { tlsProxy: "nginx" }],
    ["pingoo-https", { grafanaOnHttps: true }],
    ["pingoo-tcp", {}],
  ])("switched to %s, both families are served, and UDP besides", async (mode, changes) => {
    await up(changes);
    expect(outputs.mode).toBe(mode);
    for (const address of [ipv4, ipv6]) {
      for (const url of health())
        await eventually(async () => expect((await fetchLocal(url, { address })).status).toBe(200));
      expect(await getPlain(address, `http://${tracker}/health_check`)).toBe(200);
      await announceUdp(address, 6969, randomBytes(20), 6003);
    }
    const { summary } = await stack.up({ ...values, acmeCaCertificate, ...changes });
    expect(summary).toMatchObject({ created: 0, replaced: 0, removed: 0 });
  });
});

describe.skipIf(!inject("engine"))("nginx' limit", { timeout: 120_000 }, () => {
  const limit = 10;
  let docker: Docker;
  const containers: Docker.Container[] = [];
  let sources: Docker.Container;

  beforeAll(async () => {
    const { nginx, guardBase } = await buildImages({ only: ["nginx", "guardBase"] });
    docker = await defaultEngine();
    const clients = "clients-of-door-e2e";
    for (const container of [`nginx-of-${clients}`, clients])
      await ignoring(404, docker.getContainer(container).remove({ force: true }));
    sources = await docker.createContainer({
      Image: guardBase,
      name: clients,
      Cmd: ["sleep", "infinity"],
      HostConfig: {
        NetworkMode: "none",
        CapAdd: ["NET_ADMIN"],
        Sysctls: { "net.ipv6.conf.all.disable_ipv6": "0" },
      },
    });
    containers.push(sources);
    await sources.start();
    const nginxConf = renderNginxConfig({
      sites: [],
      plain: [{ name: "tracker", domain: tracker, upstream: "127.0.0.1:7070" }],
      httpPort: 80,
      publicHttpPort: 80,
      redirects: {},
      strictTransport: false,
      ipv6: true,
      rateLimit: { requests: limit, exempt: ["2001:db8:3::1"] },
    });
    const container = await docker.createContainer({
      Image: nginx,
      name: `nginx-of-${clients}`,
      HostConfig: { NetworkMode: `container:${clients}` },
    });
    containers.unshift(container);
    await container.putArchive(
      tar([{ path: "/etc/nginx/nginx.conf", content: Buffer.from(nginxConf), mode: 0o644 }]),
      {
        path: "/",
      },
    );
    const addresses = ["2001:db8:1::1", "2001:db8:1::2", "2001:db8:2::1", "2001:db8:3::1"];
    const script = addresses.map((address) => `busybox ip -6 addr add ${address}/128 dev lo`).join(" && ");
    const { code, output } = await exec(docker, sources, [
      "sh",
      "-c",
      `busybox ip link set lo up && ${script}`,
    ]);
    expect([code, output]).toEqual([0, ""]);
    await container.start();
  }, 600_000);
  afterAll(async () => {
    for (const container of containers) await container.remove({ force: true });
  });

  it("is for a /64, which one client has to itself, and for no other beside it", async () => {
    const flood = `
import collections, http.client
seen = collections.defaultdict(collections.Counter)
for network, addresses, count in [("a", ["2001:db8:1::1", "2001:db8:1::2"], ${15 * limit}), ("b", ["2001:db8:2::1"], ${5 * limit}), ("exempt", ["2001:db8:3::1"], ${15 * limit})]:
    for number in range(count):
        connection = http.client.HTTPConnection("::1", 80, source_address=(addresses[number % len(addresses)], 0))
        connection.request("GET", "/health_check", headers={"Host": "${tracker}"})
        seen[network][connection.getresponse().status] += 1
print({network: counter[429] for network, counter in seen.items()})
`;
    const found = await eventually(async () => {
      const { code, output } = await exec(docker, sources, ["python3", "-c", flood]);
      expect([code, output]).toEqual([0, expect.any(String)]);
      return JSON.parse(output.replaceAll("'", '"')) as Record<string, number>;
    });
    expect(found).toEqual({ a: expect.any(Number), b: 0, exempt: 0 });
    // Each address by itself would have kept within its limit.
    expect(found.a).toBeGreaterThan(0);
  });
});

/** @returns version and application protocol */
function handshake(
  host: string,
  port: number,
  options: ConnectionOptions,
): Promise<[string | null, unknown]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, rejectUnauthorized: false, ...options }, () => {
      resolve([socket.getProtocol(), socket.alpnProtocol]);
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

/** Status of a GET without TLS. */
function getPlain(address: string, url: string, headers: Record<string, string> = {}): Promise<number> {
  const { host, port, pathname, search } = new URL(url);
  return new Promise((resolve, reject) => {
    request(
      {
        host: address,
        port: port || 80,
        path: pathname + search,
        agent: false,
        headers: { host, "user-agent": "test", ...headers },
      },
      (response) => resolve(response.resume().statusCode ?? 0),
    )
      .on("error", reject)
      .end();
  });
}
