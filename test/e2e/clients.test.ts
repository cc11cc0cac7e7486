import type Docker from "dockerode";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";

import { ignoring } from "../../docker/calls";
import { defaultSubnet, namesFor } from "../../stack/names";
import { buildImages, deployedImages, imageNames } from "../images/build";
import { defaultEngine } from "../images/engine";
import { fetchLocal } from "./support/clients";
import { apiCaOf, eventually, TestStack, type Outputs } from "./support/engine";
import { realClients, Swarm, type RealClient, type Wanted } from "./support/swarm";
import { sharedFile } from "./support/torrents";

/** The ports are those that announce URLs leave out, so the address is one that nobody else uses. */
const address = "127.0.0.43";
const project = "torrust-pingoo";
const name = "clients-e2e";
const names = namesFor(project, name, defaultSubnet(project, name));
const pingoo = process.env.PINGOO_IMAGE;

const values = {
  apiDomain: "api.torrust.test",
  httpTrackers: [{ domain: "tracker.torrust.test" }],
  udpTrackers: [{ port: 6969, domain: "udp.torrust.test" }],
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
  { client: "aria2", form: "https-dot", why: dotted, says: /hostname does not match/ },
  { client: "libtorrent", form: "https-dot", why: dotted, says: /certificate verify failed/ },
  { client: "qbittorrent", form: "https-dot", why: dotted },
  {
    client: "webtorrent",
    form: "https-dot",
    modes: ["pingoo", "pingoo-tcp", "pingoo-https", "hybrid"],
    why: "sends the dot as server name, against RFC 6066, and Pingoo has no certificate for that name",
    says: /self-signed certificate/,
  },
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
  let ca: string;
  let outputs: Outputs;

  const up = (changes: object) => stack.up({ ...values, acmeCaCertificate, ...changes });
  /** Members of the swarm stand beside the services, at addresses that none of them has. */
  const beside = (member: number) =>
    names.address("edge", "pingoo").replace(/\d+$/, (pingoo) => String(Number(pingoo) + 31 + member));

  beforeAll(async () => {
    const images = await buildImages({
      only: [...imageNames, "clients"],
      log: (line) => console.log(line),
    });
    const network = names.network("edge");
    const hosts = [`udp.torrust.test:${names.address("edge", "tracker")}`];
    const docker = await defaultEngine();
    const options = { docker, network, hosts, address: beside };
    const pebbleName = `pebble-of-${network}`;
    // Whoever is left of an earlier run holds the network.
    await new Swarm({ ...options, ca: "" }).leave();
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
    swarm = new Swarm({ ...options, ca });
  }, 1_800_000);
  afterEach(() => swarm?.leave());
  afterAll(async () => {
    await pebble?.remove({ force: true, v: true });
    await stack?.down();
  }, 120_000);

  it.each(modes)("find each other in mode %s", async (mode, changes) => {
    ({ outputs } = await up(changes));
    expect(outputs.mode).toBe(mode);
    const { http, udp } = outputs.announceUrls;
    // The last is nobody's: who finds its file has not asked the tracker.
    const forms = {
      ...Object.assign({}, ...[...http, ...udp].map(formsOf)),
      none: "udp://udp.torrust.test:9",
    };
    const wanted = Object.fromEntries(
      realClients.map((client): [RealClient, Wanted[]] => [
        client,
        Object.entries(forms).map(([form, announce]) => ({
          file: sharedFile(`${client}-${form}`),
          announce: announce as string,
        })),
      ]),
    ) as Record<RealClient, Wanted[]>;
    const files = Object.values(wanted).flatMap((all) => all.map(({ file }) => file));

    await eventually(() => fetchLocal(`${outputs.urls.trackers[0]}/health_check`, { address, ca }));
    await swarm.seed(files, http[0]!);
    await eventually(async () => {
      const { body } = await fetchLocal(
        `${outputs.urls.api}/api/v1/torrents?limit=1000&token=${outputs.adminToken}`,
        { address },
      );
      const seeded = (JSON.parse(body.toString()) as { info_hash: string }[]).map((each) => each.info_hash);
      expect(files.filter(({ infoHash }) => !seeded.includes(infoHash))).toEqual([]);
    });

    await Promise.all(realClients.map((client) => swarm.download(client, wanted[client])));
    const limited = limits.filter(({ modes }) => modes?.includes(mode) ?? true);
    const excused = [...limited, ...realClients.map((client) => ({ client, form: "none" }))].map(
      ({ client, form }) => `${client}-${form}`,
    );
    const expected = files.map(({ name }) => name).filter((name) => !excused.includes(name));
    await eventually(async () => {
      const found = await Promise.all(realClients.map((client) => swarm.downloaded(client, wanted[client])));
      expect(found.flat()).toEqual(expected);
    }, 90);
    for (const { client, says } of limited) if (says) expect(await swarm.logs(client)).toMatch(says);
  });
});
