import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

import { ignoring } from "../../docker/calls";
import { defaultSubnet, namesFor } from "../../stack/names";
import { decodeBencode, type BencodeDictionary } from "../../verify/bencode";
import { buildImages, deployedImages, imageNames } from "../images/build";
import { defaultEngine } from "../images/engine";
import { exchangeUdp, fetchLocal, fetchRaw } from "./support/clients";
import { apiCaOf, eventually, TestStack, type Outputs } from "./support/engine";
import { recordings } from "./support/recorded";
import { realClients, Swarm, type Published, type RealClient, type Wanted } from "./support/swarm";
import { sharedFile } from "./support/torrents";

/** The ports are those that announce URLs leave out, so the address is one that nobody else uses. */
const address = "127.0.0.43";
const project = "torrust-pingoo";
const name = "clients-e2e";
const names = namesFor(project, name, defaultSubnet(project, name));
const network = names.network("edge");
const pingoo = process.env.PINGOO_IMAGE;

const values = {
  apiDomain: "api.torrust.test",
  httpTrackers: [{ domain: "tracker.torrust.test", plainHttp: true }],
  udpTrackers: [{ port: 6969 }],
  publishAddresses: [address],
  acme: "https://pebble:14000/dir",
  grafanaDomain: "grafana.torrust.test",
  images: { ...deployedImages(), ...(pingoo && { pingoo }) },
};
const modes: [string, object][] = [
  ["pingoo", { grafana: false, prometheus: false }],
  ["pingoo-tcp", { grafana: true, grafanaPort: 3443 }],
  ["pingoo-https", { grafana: true, grafanaOnHttps: true, grafanaPort: 443 }],
  ["hybrid", { grafana: true, hybrid: true, grafanaPort: 3443 }],
  ["nginx", { grafana: false, prometheus: false, tlsProxy: "nginx" }],
];

interface Limit {
  readonly client: RealClient;
  readonly form: string;
  /** @default all */
  readonly modes?: readonly string[];
  readonly why: string;
  /** What the client says, where it says anything. */
  readonly says?: RegExp;
}

const dotted = "compares the dot of the URL with the certificate's name, which has none";

/** What does not work, and need not: the day that it does, the test fails and the row goes. */
const limits: readonly Limit[] = [
  { client: "aria2", form: "https-dot", why: dotted, says: /TLS handshake failure/ },
  { client: "libtorrent", form: "https-dot", why: dotted, says: /SSL routines/ },
  { client: "qbittorrent", form: "https-dot", why: dotted },
  {
    client: "webtorrent",
    form: "https-dot",
    modes: ["pingoo", "pingoo-tcp", "pingoo-https", "hybrid"],
    why: "sends the dot as server name, against RFC 6066, and Pingoo has no certificate for that name",
    says: /fetch failed/,
  },
];

/** What the tracker does not take, whoever stands in front. */
const refusals = [
  { what: "an event without a name", query: "&event=", reason: /invalid param value {2}for event/ },
  {
    what: "the event paused (BEP 21)",
    query: "&event=paused",
    reason: /invalid param value paused for event/,
  },
  { what: "any number of peers", query: "&numwant=-1", reason: /invalid param value -1 for numwant/ },
  { what: "a parameter without a value", query: "&supportcrypto", reason: /invalid param supportcrypto/ },
];

/** Ways to write an announce URL, each of which names the same tracker. */
function formsOf(url: string): Record<string, string> {
  const { protocol, hostname, port, pathname } = new URL(url);
  const scheme = protocol.slice(0, -1);
  if (scheme === "udp") return { udp: url };
  const form = (host: string, at = port && `:${port}`) => `${protocol}//${host}${at}${pathname}`;
  return {
    [scheme]: url,
    [`${scheme}-port`]: form(hostname, `:${port || (scheme === "https" ? 443 : 80)}`),
    [`${scheme}-capitals`]: form(hostname.toUpperCase()),
    [`${scheme}-dot`]: form(`${hostname}.`),
  };
}

describe.skipIf(!inject("engine"))("clients as people run them", { timeout: 240_000 }, () => {
  let stack: TestStack;
  let swarm: Swarm;
  let pebble: Docker.Container;
  let acmeCaCertificate: string;
  let ca = "";
  let outputs: Outputs;

  const up = (changes: object) => stack.up({ ...values, acmeCaCertificate, ...changes });
  /** Members of the swarm stand beside the services, at addresses that none of them has. */
  const beside = (member: number) =>
    names.address("edge", "pingoo").replace(/\d+$/, (pingoo) => String(Number(pingoo) + 31 + member));

  const swarmOf = (docker: Docker, published: readonly Published[]) =>
    new Swarm({ docker, network, published, names: ["tracker.torrust.test"], ca, address: beside });

  beforeAll(async () => {
    const images = await buildImages({
      only: [...imageNames, "clients"],
      log: (line) => console.log(line),
    });
    const docker = await defaultEngine();
    const pebbleName = `pebble-of-${network}`;
    // Whoever is left of an earlier run holds the network.
    await swarmOf(docker, []).leave();
    await ignoring(404, docker.getContainer(pebbleName).remove({ force: true, v: true }));
    stack = await TestStack.fresh(name);
    pebble = await docker.createContainer({
      Image: images.pebble,
      name: pebbleName,
      ExposedPorts: { "15000/tcp": {} },
      HostConfig: { PortBindings: { "15000/tcp": [{ HostIp: address, HostPort: "15000" }] } },
    });
    acmeCaCertificate = await apiCaOf(pebble);
    await up(modes[0]![1]);
    await docker
      .getNetwork(network)
      .connect({ Container: pebble.id, EndpointConfig: { Aliases: ["pebble"] } });
    await pebble.start();
    ca = await eventually(async () =>
      (await fetchLocal("https://pebble:15000/roots/0", { address })).body.toString(),
    );
  }, 1_800_000);
  afterAll(async () => {
    await pebble?.remove({ force: true, v: true });
    await stack?.down();
  }, 120_000);

  const api = async (path: string) => {
    const url = `${outputs.urls.api}/api/v1/${path}`;
    const { body } = await fetchLocal(`${url}token=${outputs.adminToken}`, { address });
    return JSON.parse(body.toString()) as unknown;
  };
  const portsOfPeers = async (infoHash: Buffer) => {
    const { peers } = (await api(`torrent/${infoHash.toString("hex")}?`)) as {
      peers: { peer_addr: string }[];
    };
    return peers.map(({ peer_addr }) => Number(peer_addr.split(":").at(-1)));
  };

  describe.each(modes)("in mode %s", (mode, changes) => {
    beforeAll(async () => {
      ({ outputs } = await up(changes));
      expect(outputs.mode).toBe(mode);
      swarm = swarmOf(stack.docker, await publishedPorts(stack.docker));
      await eventually(() => fetchLocal(`${outputs.urls.trackers[0]}/health_check`, { address, ca }));
    });
    afterAll(() => swarm?.leave());

    it("find each other, whatever form the announce URL has", async () => {
      const { http, udp } = outputs.announceUrls;
      // Nobody is at the last: who finds that file has not asked the tracker.
      const forms = Object.entries<string>(
        Object.assign({}, ...[...http, ...udp].map(formsOf), {
          none: "udp://tracker.torrust.test:9/announce",
        }),
      );
      const wanted = realClients.map((client): [RealClient, Wanted[]] => [
        client,
        forms.map(([form, announce]) => ({ file: sharedFile(`${client}-${form}`), announce })),
      ]);
      const files = wanted.flatMap(([, all]) => all.map(({ file }) => file));
      await swarm.seed(files, http[0]!);
      await eventually(async () => {
        const seeded = (await api("torrents?limit=1000&")) as { info_hash: string }[];
        const known = new Set(seeded.map(({ info_hash }) => info_hash));
        expect(files.filter(({ infoHash }) => !known.has(infoHash)).map(({ name }) => name)).toEqual([]);
      });

      await Promise.all(wanted.map(([client, all]) => swarm.download(client, all)));
      const limited = limits.filter(({ modes }) => modes?.includes(mode) ?? true);
      const excused = [...limited, ...realClients.map((client) => ({ client, form: "none" }))].map(
        ({ client, form }) => `${client}-${form}`,
      );
      const expected = files.map(({ name }) => name).filter((name) => !excused.includes(name));
      await eventually(async () => {
        const found = await Promise.all(wanted.map(([client, all]) => swarm.downloaded(client, all)));
        expect(found.flat()).toEqual(expected);
      }, 150);
      for (const { client, says } of limited) if (says) expect(await swarm.logs(client)).toMatch(says);
    });

    it.each(recordings)("have what $client sends answered", async ({ http, headers, paths, ...udp }) => {
      for (const path of paths) {
        const { status, body } = await fetchRaw(
          outputs.urls.trackers[0]!,
          { http, path, headers },
          { address, ca },
        );
        const answer = decodeBencode(body) as BencodeDictionary;
        const key = path.startsWith("/scrape") ? "files" : "interval";
        expect([path, status, [...answer.keys()]]).toEqual([path, 200, expect.arrayContaining([key])]);
        if (key === "files") continue;
        const ports = await portsOfPeers(parameter(path, "info_hash"));
        const port = Number(parameter(path, "port"));
        expect([path, ports.includes(port)]).toEqual([path, !path.includes("event=stopped")]);
      }
      for (const [action, sent] of [
        [1, udp.announces],
        [2, udp.scrapes ?? []],
      ] as const)
        for (const rest of sent) {
          const reply = await exchangeUdp(address, 6969, (connection) => datagram(connection, action, rest));
          expect([rest, reply.readUInt32BE(0)]).toEqual([rest, action]);
        }
    });

    it.each(refusals)("are refused $what by tracker 3.0.0", async ({ query, reason }) => {
      const { http, headers, paths } = recordings[0]!;
      const path = paths[0]!.replace("&event=started", "").replace("&numwant=50", "") + query;
      const { status, body } = await fetchRaw(
        outputs.urls.trackers[0]!,
        { http, path, headers },
        { address, ca },
      );
      const answer = decodeBencode(body) as BencodeDictionary;
      expect([status, String(answer.get("failure reason"))]).toEqual([200, expect.stringMatching(reason)]);
    });

    it("are refused the connection that another port of theirs has opened, by tracker 3.0.0", async () => {
      const [rest] = recordings[0]!.announces;
      let lent = Buffer.alloc(8);
      await exchangeUdp(address, 6969, (connection) => datagram((lent = Buffer.from(connection)), 1, rest!));
      const refused = await exchangeUdp(address, 6969, () => datagram(lent, 1, rest!));
      expect(refused.readUInt32BE(0)).toBe(3);
    });
  });
});

/** What the stack publishes, as its containers have it. */
async function publishedPorts(docker: Docker): Promise<Published[]> {
  const containers = await docker.listContainers({ filters: { network: [network] } });
  return containers.flatMap(({ Ports, NetworkSettings }) =>
    Ports.filter(({ IP }) => IP === address).map(({ Type, PublicPort, PrivatePort }) => ({
      protocol: Type,
      port: PublicPort,
      target: `${NetworkSettings.Networks[network]!.IPAddress}:${PrivatePort}`,
    })),
  );
}

/** A datagram (BEP 15) of a connection. */
function datagram(connection: Buffer, action: 1 | 2, rest: string): Buffer {
  return Buffer.concat([connection, Buffer.from([0, 0, 0, action, 0, 0, 0, 7]), Buffer.from(rest, "hex")]);
}

/** The bytes of a query's parameter. */
function parameter(path: string, name: string): Buffer {
  const text = new RegExp(`[?&]${name}=([^&]*)`).exec(path)![1]!;
  const bytes = text.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1");
}
