import type Docker from "dockerode";
import { randomBytes } from "node:crypto";
import { connect, type ConnectionOptions } from "node:tls";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

import { ignoring } from "../../docker/calls";
import { defaultSubnet, namesFor } from "../../stack/names";
import { buildImages } from "../images/build";
import { defaultEngine } from "../images/engine";
import { announceUdp, announceUrl, fetchLocal, fetchPlain, openWebSocket } from "./support/clients";
import { readTargets, verify } from "../../verify";
import { apiCaOf, basic, eventually, exec, TestStack, type Outputs } from "./support/engine";
import { expectVerified } from "./support/verify";

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
  prometheusScrapeInterval: 1,
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
    expect((await fetchPlain(plain, headers, door)).status).toBe(200);
    expect(await peersOf(plainHash)).toEqual([`[${names.edgeGateway6}]:6002`]);
  });

  it("answers without TLS what an HTTP tracker does, for its name only", async () => {
    expect((await fetchPlain(`http://${tracker}/health_check`, {}, door)).status).toBe(200);
    expect((await fetchPlain(`http://${tracker}/api/v1/stats`, {}, door)).status).toBe(404);
    expect((await fetchPlain("http://api.torrust.test/health_check", {}, door)).status).toBe(404);
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
    const { status } = await fetchLocal(health()[1]!, {
      address: door,
      headers: { host: "other.torrust.test" },
    });
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

  it("is found well by npm run verify, which tries each endpoint over both families", async () => {
    await expectVerified(outputs, ca);
    const options = {
      targets: readTargets(outputs),
      trust: [ca],
      skip: ["exposure", "grafana", "prometheus"],
    };
    const { checks } = await verify(options);
    const tried = checks.filter(({ id }) => id.startsWith("ipv6."));
    expect(tried.map(({ id }) => id)).toEqual([
      "ipv6.health:api.torrust.test:443/ipv6",
      "ipv6.certificate:api.torrust.test:443/ipv6",
      "ipv6.health:tracker.torrust.test:443/ipv6",
      "ipv6.certificate:tracker.torrust.test:443/ipv6",
      "ipv6.peers:tracker.torrust.test:443/ipv6",
      "ipv6.health:tracker.torrust.test:80/ipv6",
      "ipv6.peers:tracker.torrust.test:80/ipv6",
      "ipv6.health:grafana.torrust.test:3443/ipv6",
      "ipv6.certificate:grafana.torrust.test:3443/ipv6",
    ]);
    // By way of ::1 the engine's own proxy stands in between.
    const statuses = tried.map(({ status }) => status);
    expect(statuses).toEqual(tried.map(({ id }) => (id.startsWith("ipv6.peers") ? "known-limit" : "pass")));
  });

  it("is found well by the probes", async () => {
    const path = "/api/datasources/proxy/uid/prometheus/api/v1/query?query=probe_success";
    await eventually(async () => {
      const headers = { authorization: basic(outputs) };
      const { body } = await fetchLocal(`${outputs.urls.grafana}${path}`, { address: door, headers });
      const { data } = JSON.parse(body.toString()) as {
        data: { result: { metric: { instance: string }; value: [number, string] }[] };
      };
      const found = data.result.filter(({ metric }) => metric.instance.endsWith(" (IPv6)"));
      expect(found.map(({ metric, value }) => `${metric.instance} ${value[1]}`).sort()).toEqual([
        "http://tracker.torrust.test (IPv6) 1",
        "https://api.torrust.test (IPv6) 1",
        "https://grafana.torrust.test:3443 (IPv6) 1",
        "https://tracker.torrust.test (IPv6) 1",
      ]);
    });
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
      expect((await fetchPlain(`http://${tracker}/health_check`, {}, address)).status).toBe(200);
      await announceUdp(address, 6969, randomBytes(20), 6003);
    }
    const { summary } = await stack.up({ ...values, acmeCaCertificate, ...changes });
    expect(summary).toMatchObject({ created: 0, replaced: 0, removed: 0 });
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
