import type Docker from "dockerode";
import { randomBytes } from "node:crypto";
import { PassThrough } from "node:stream";

import { ignoring } from "../docker/calls";
import { defaultSubnet, namesFor, ports } from "../stack/names";
import { announceUrl } from "../test/e2e/support/clients";
import { clientsContainer, sendClients } from "../test/e2e/support/pingoo";
import { buildImages, deployedImages, imageReferences } from "../test/images/build";
import { benchValues, deployer, freshSubject, type Subject } from "./subject";
import { median, pause, table, times } from "./text";
import { metered, type Used } from "./usage";

const values = benchValues(21500);
const seconds = 5;
const clients = 32;

/** How HTTP clients announce: over connections that they keep, or over a new one each time. */
const manners = { "kept connections": [], "a connection each": ["-H", "Connection: close"] };
type Manner = keyof typeof manners;

interface Load {
  /** Successful announces a second. */
  readonly rate: number;
  /** Announces that were answered otherwise, or not at all. */
  readonly failed: number;
}

/** One round: what got through, what the tracker itself answered right before, and what the containers used meanwhile. */
interface Round {
  readonly through: Load;
  readonly direct: Load;
  readonly used: ReadonlyMap<string, Used>;
}

/** Who stands in front, and the settings that put it there. */
interface Contender {
  readonly name: string;
  readonly settings: Readonly<Record<string, unknown>>;
}

/**
 * Announces a second through each TLS proxy, as a share of what the tracker answers without one in the same ten seconds,
 * and the same for UDP, which passes no proxy; with it what the containers use. The proxies take turns, there and back
 * again. Clients, proxy and tracker share this machine.
 */
export async function benchAnnounces(rounds = 3): Promise<void> {
  await buildImages({ only: ["wrk"], log: (line) => console.error(line) });
  const stack = await freshSubject("bench-announces");
  const http = new Map<string, Round[]>();
  const udp = new Map<string, Round[]>();
  const add = (to: Map<string, Round[]>, row: string, round: Round) =>
    to.set(row, [...(to.get(row) ?? []), round]);
  try {
    const gateway = await engineAddress(stack.docker);
    const publishAddresses = ["127.0.0.1", gateway];
    for (let i = 0; i < rounds; i++) {
      const turns = i % 2 === 0 ? contenders() : contenders().reverse();
      for (const { name, settings } of turns) {
        const { urls } = await stack.up({ ...values, publishAddresses, ...settings });
        await pause(2000);
        const url = new URL(announceUrl(`${urls.trackers[0]}/announce`, infoHash, 6001));
        for (const manner of Object.keys(manners) as Manner[]) {
          const direct = await load(stack, directUrl(stack), manner);
          const { result, used } = await metered(stack.docker, stack.name, () => load(stack, url, manner));
          add(http, `${name}|${manner}`, { through: result, direct, used });
          console.error(`${name}, ${manner}: ${Math.round(result.rate)} of ${Math.round(direct.rate)}`);
        }
      }
      for (const fresh of [false, true]) add(udp, udpClients(fresh), await udpRound(stack, gateway, fresh));
    }
  } finally {
    await stack.down();
  }
  print(rounds, http, udp);
}

function contenders(): Contender[] {
  const real = process.env.PINGOO_IMAGE;
  return [
    ...(real ? [{ name: "Pingoo", settings: {} }] : []),
    { name: "Pingoo's stand-in", settings: { images: deployedImages() } },
    { name: "nginx", settings: { tlsProxy: "nginx" } },
  ];
}

// ---- HTTP

const infoHash = randomBytes(20);

function directUrl(subject: Subject): URL {
  const tracker = `http://${trackerAddress(subject)}:${ports.firstHttpTracker}/announce`;
  return new URL(announceUrl(tracker, infoHash, 6001));
}

function trackerAddress({ name }: Subject): string {
  return namesFor("torrust-pingoo", name, defaultSubnet("torrust-pingoo", name)).address("edge", "tracker");
}

/** Announces from inside the stack's edge network, where its public names lead to the proxy. */
async function load({ docker, name }: Subject, url: URL, manner: Manner): Promise<Load> {
  const headers = { Host: url.host, "User-Agent": "wrk", "X-Forwarded-For": "192.0.2.1" };
  // Within the network HTTPS has its usual port, whichever it has on the host.
  const port = url.protocol === "https:" ? ports.https : url.port;
  const target = `${url.protocol}//${url.hostname}:${port}${url.pathname}${url.search}`;
  const container = await docker.createContainer({
    Image: imageReferences().wrk,
    Cmd: [
      ...["-t1", `-c${clients}`, `-d${seconds}s`, ...manners[manner]],
      ...Object.entries(headers).flatMap(([key, value]) => ["-H", `${key}: ${value}`]),
      target,
    ],
    HostConfig: { NetworkMode: `torrust-pingoo-${name}-edge` },
  });
  try {
    await container.start();
    await container.wait();
    return parseWrk(await textOf(docker, container));
  } finally {
    await container.remove({ force: true });
  }
}

async function textOf(docker: Docker, container: Docker.Container): Promise<string> {
  const chunks: Buffer[] = [];
  const sink = new PassThrough().on("data", (chunk: Buffer) => chunks.push(chunk));
  const log = await container.logs({ stdout: true, stderr: true, follow: true });
  docker.modem.demuxStream(log, sink, sink);
  await new Promise((resolve) => log.on("end", resolve));
  return Buffer.concat(chunks).toString("utf8");
}

/** Reads what wrk 4 prints. */
export function parseWrk(text: string): Load {
  const [, requests, duration] = /(\d+) requests in ([\d.]+)s/.exec(text) ?? [];
  if (!requests || !duration) throw new Error(`wrk says:\n${text}`);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text) ?? [];
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0);
  // A server that closes the connection, as it was asked to, is counted as a read error.
  const unanswered = [errors[1], errors[3], errors[4]].reduce((sum, count) => sum + Number(count ?? 0), 0);
  return { rate: (Number(requests) - refused) / Number(duration), failed: refused + unanswered };
}

// ---- UDP

const udpClients = (fresh: boolean) => (fresh ? "a connection each" : "kept connections");

/** Announces from the host to a published port, which the kernel translates as for anybody, and to the container itself. */
async function udpRound(stack: Subject, gateway: string, fresh: boolean): Promise<Round> {
  const { docker, name } = stack;
  const own = `clients-of-torrust-pingoo-${name}`;
  await ignoring(404, docker.getContainer(own).remove({ force: true }));
  const container = await clientsContainer(docker, own, "host");
  const ask = async (host: string): Promise<Load> => {
    const flags = { address: `${host}:${values.httpsPort}`, concurrency: clients, for: `${seconds}s`, fresh };
    const announced = await sendClients<{ perSecond: number; failures: number }>(
      docker,
      container,
      "announce",
      { ...flags, patience: "2s" },
    );
    return { rate: announced.perSecond, failed: announced.failures };
  };
  try {
    const direct = await ask(trackerAddress(stack));
    const { result: through, used } = await metered(docker, name, () => ask(gateway));
    console.error(`UDP, ${udpClients(fresh)}: ${Math.round(through.rate)} of ${Math.round(direct.rate)}`);
    return { through, direct, used };
  } finally {
    await container.remove({ force: true });
  }
}

/** An address of the host that is nobody else's: what is published on it takes the way that outer clients take. */
async function engineAddress(docker: Docker): Promise<string> {
  const { IPAM } = (await docker.getNetwork("bridge").inspect()) as Docker.NetworkInspectInfo;
  const gateway = IPAM?.Config?.[0]?.Gateway;
  if (!gateway) throw new Error("the engine's network `bridge` has no gateway");
  return gateway;
}

// ---- tables

function print(rounds: number, http: ReadonlyMap<string, Round[]>, udp: ReadonlyMap<string, Round[]>): void {
  console.log(
    `By ${deployer}. ${clients} clients at once, medians of ${rounds} rounds of ${seconds} s.\n\nHTTP announces a second\n`,
  );
  const cells = (all: readonly Round[]) => [
    whole(all.map(({ through }) => through.rate)),
    whole(all.map(({ direct }) => direct.rate)),
    times(median(all.map(({ through, direct }) => through.rate / direct.rate)), 1),
    String(Math.max(...all.map(({ through }) => through.failed))),
  ];
  const head = ["clients use", "through TLS", "direct", "share", "failed"];
  console.log(
    table(
      ["proxy", ...head],
      [...http].map(([row, all]) => [...row.split("|"), ...cells(all)]),
    ),
  );
  console.log("\nUDP announces a second, on the published port and on the container's own address\n");
  console.log(
    table(
      ["clients use", "published", "direct", "share", "failed"],
      [...udp].map(([row, all]) => [row, ...cells(all)]),
    ),
  );
  console.log(
    "\nUnder these loads, by container: the most memory in MiB, and ms of one core for an announce, of those that used 1 % of it or more\n",
  );
  console.log(
    table(
      ["announces", "clients use", "container", "MiB", "ms an announce"],
      [...http, ...[...udp].map(([row, all]): [string, Round[]] => [`UDP|${row}`, all])].flatMap(
        ([row, all]) => usage(all).map((cells) => [...row.split("|"), ...cells]),
      ),
    ),
  );
}

function usage(all: readonly Round[]): string[][] {
  return [...all[0]!.used.keys()].flatMap((role) => {
    const seen = all.flatMap(({ used, through }) => {
      const of = used.get(role);
      return of ? [{ ...of, announces: through.rate * seconds }] : [];
    });
    if (median(seen.map(({ cpu }) => cpu)) < 0.01 * seconds) return [];
    return [
      [
        role,
        median(seen.map(({ memory }) => memory)).toFixed(1),
        median(seen.map(({ cpu, announces }) => (1000 * cpu) / announces)).toFixed(3),
      ],
    ];
  });
}

function whole(values: readonly number[]): string {
  return Math.round(median(values)).toString();
}
