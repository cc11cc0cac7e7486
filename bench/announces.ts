import { randomBytes } from "node:crypto";

import { ports } from "../stack/names";
import { announceUrl } from "../test/e2e/support/clients";
import { buildImages, deployedImages } from "../test/images/build";
import { clients, engineAddress, httpLoad, trackerAddress, UdpClients, type Load } from "./load";
import { benchValues, deployer, freshSubject, type Subject } from "./subject";
import { median, pause, table, times } from "./text";
import { metered, type Used } from "./usage";

const values = benchValues(21500);
const seconds = 5;

/** How HTTP clients announce: over connections that they keep, or over a new one each time. */
const manners = { "kept connections": {}, "a connection each": { Connection: "close" } };
type Manner = keyof typeof manners;

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
          const load = (to: URL) => httpLoad(stack, { url: to, seconds, headers: manners[manner] });
          const direct = await load(directUrl(stack));
          const { result, used } = await metered(stack.docker, stack.name, () => load(url));
          add(http, `${name}|${manner}`, { through: result, direct, used });
          console.error(`${name}, ${manner}: ${Math.round(result.rate)} of ${Math.round(direct.rate)}`);
        }
      }
      for (const fresh of [false, true]) add(udp, mannerOf(fresh), await udpRound(stack, gateway, fresh));
    }
  } finally {
    await stack.down();
  }
  print(rounds, http, udp);
}

/** Those who can stand in front: a real Pingoo where there is one, its stand-in, nginx. */
export function contenders(): Contender[] {
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

// ---- UDP

const mannerOf = (fresh: boolean) => (fresh ? "a connection each" : "kept connections");

/** Announces from the host to a published port, which the kernel translates as for anybody, and to the container itself. */
async function udpRound(stack: Subject, gateway: string, fresh: boolean): Promise<Round> {
  const udpClients = await UdpClients.gather(stack);
  const ask = (host: string) =>
    udpClients.announce(`${host}:${values.httpsPort}`, { for: `${seconds}s`, fresh });
  try {
    const direct = await ask(trackerAddress(stack));
    const { result: through, used } = await metered(stack.docker, stack.name, () => ask(gateway));
    console.error(`UDP, ${mannerOf(fresh)}: ${Math.round(through.rate)} of ${Math.round(direct.rate)}`);
    return { through, direct, used };
  } finally {
    await udpClients.leave();
  }
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
