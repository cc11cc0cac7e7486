import { randomBytes } from "node:crypto";

import { ports } from "../stack/names";
import { exec, type Outputs } from "../test/e2e/support/engine";
import type { Flags } from "../test/e2e/support/pingoo";
import { buildImages } from "../test/images/build";
import { contenders } from "./announces";
import { clients, engineAddress, httpLoad, trackerAddress, UdpClients, type Load } from "./load";
import { benchValues, deployer, freshSubject, type Subject } from "./subject";
import { median, pause, table, taken, times } from "./text";
import { memoryOf } from "./usage";

const values = benchValues(22100);
const seconds = 4;
/** Torrents that are there when new peers come, and so many new torrents and peers for what they weigh. */
const [torrents, many] = [1000, 1_000_000];
/** New torrents after which the database is looked at. */
const written = 100_000;

/** What clients announce, as the clients' program has it. */
const swarms = { "one torrent": "same", "new peers": "peers", "new torrents": "torrents" } as const;
type Swarm = keyof typeof swarms;

/** A way to the tracker: how many announces a second it takes of each kind, one round after the other. */
type Way = Map<Swarm, Load[]>;

/**
 * What a real swarm does to the stack: announces of new torrents and of new peers, beside the same number of clients that
 * repeat one announce; what a million of each weigh; and what new torrents leave in the database. Before each load the
 * tracker starts anew.
 */
export async function benchSwarm(rounds = 3): Promise<void> {
  await buildImages({ only: ["wrk"], log: (line) => console.error(line) });
  const stack = await freshSubject("bench-swarm");
  const ways = new Map<string, Way>();
  const udpClients = await UdpClients.gather(stack);
  try {
    const gateway = await engineAddress(stack.docker);
    const settings = { ...values, publishAddresses: ["127.0.0.1", gateway] };
    for (let i = 0; i < rounds; i++) {
      const turns = i % 2 === 0 ? contenders() : contenders().reverse();
      for (const { name, settings: more } of turns) {
        const { urls } = await stack.up({ ...settings, ...more });
        await measure(ways, stack, `HTTPS, ${name}`, (swarm) =>
          httpLoad(stack, httpAnnounces(new URL(`${urls.trackers[0]}/announce`), swarm)),
        );
      }
      await measure(ways, stack, "HTTP, the tracker itself", (swarm) =>
        httpLoad(stack, httpAnnounces(directUrl(stack), swarm)),
      );
      for (const [way, host] of [
        ["UDP, published", gateway],
        ["UDP, the tracker itself", trackerAddress(stack)],
      ] as const)
        await measure(ways, stack, way, (swarm) =>
          udpClients.announce(`${host}:${values.httpsPort}`, udpAnnounces(swarm)),
        );
    }
    console.log(
      `By ${deployer}. ${clients} clients at once, medians of ${rounds} rounds of ${seconds} s. New peers are of ${torrents} torrents.\n`,
    );
    console.log(ratesTable(ways));
    const address = `${trackerAddress(stack)}:${values.httpsPort}`;
    console.log("\nAs a swarm grows, over UDP to the tracker itself\n");
    console.log(await growing(stack, udpClients, address));
    console.log("\nIn the tracker's memory, all announced over UDP\n");
    console.log(await weighed(stack, await stack.up(settings), udpClients, address));
    console.log(`\nAfter ${written} new torrents over UDP, or those of 20 s where that takes longer\n`);
    console.log(await rows(stack, settings, udpClients, address));
  } finally {
    await udpClients.leave();
    await stack.down();
  }
}

async function measure(
  ways: Map<string, Way>,
  stack: Subject,
  way: string,
  load: (swarm: Swarm) => Promise<Load>,
): Promise<void> {
  const found = ways.get(way) ?? new Map<Swarm, Load[]>();
  ways.set(way, found);
  for (const swarm of Object.keys(swarms) as Swarm[]) {
    await restart(stack);
    const got = await load(swarm);
    found.set(swarm, [...(found.get(swarm) ?? []), got]);
    console.error(`${way}, ${swarm}: ${Math.round(got.rate)}`);
  }
}

/** Without a torrent, and not busy with its start. */
async function restart({ docker, name }: Subject): Promise<void> {
  await docker.getContainer(`torrust-pingoo-${name}-tracker`).restart({ t: 5 });
  await pause(2000);
}

function directUrl(stack: Subject): URL {
  return new URL(`http://${trackerAddress(stack)}:${ports.firstHttpTracker}/announce`);
}

function udpAnnounces(swarm: Swarm): Flags {
  return { swarm: swarms[swarm], torrents: swarm === "new peers" ? torrents : 1, for: `${seconds}s` };
}

/** Announces whose info hash, peer id, both or neither are new each time: all of them take the client the same trouble. */
function httpAnnounces(url: URL, swarm: Swarm) {
  const known = Array.from({ length: swarm === "new peers" ? torrents : 1 }, () => escaped(randomBytes(20)));
  const script = `
local escapes = {}
for byte = 0, 255 do escapes[string.char(byte)] = string.format("%%%02x", byte) end
local source = io.open("/dev/urandom", "rb")
local function new() return (source:read(20):gsub(".", escapes)) end
local known = { ${known.map((hash) => `"${hash}"`).join(", ")} }
local turn = 0
function request()
  local hash, peer = new(), new()
  turn = turn % #known + 1
  ${swarm === "new torrents" ? "" : "hash = known[turn]"}
  ${swarm === "one torrent" ? "peer = '-XX0001-000000006001'" : ""}
  return wrk.format("GET", "${url.pathname}?info_hash=" .. hash .. "&peer_id=" .. peer ..
    "&port=6001&uploaded=0&downloaded=0&left=1&compact=1&event=started")
end
`;
  return { url, seconds, script };
}

function escaped(bytes: Buffer): string {
  return [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
}

function ratesTable(ways: ReadonlyMap<string, Way>): string {
  const kinds = Object.keys(swarms) as Swarm[];
  const [first, ...others] = kinds as [Swarm, ...Swarm[]];
  return table(
    ["announces a second", ...kinds, ...others.map((kind) => `${kind} to ${first}`), "failed at most"],
    [...ways].map(([way, found]) => {
      const rates = (kind: Swarm) => found.get(kind)!.map(({ rate }) => rate);
      // Of each round by itself: what else the machine does changes from round to round.
      const ratio = (kind: Swarm) => median(rates(kind).map((rate, i) => rate / rates(first)[i]!));
      const failed = [...found.values()].flat().map((load) => load.failed);
      return [
        way,
        ...kinds.map((kind) => Math.round(median(rates(kind))).toString()),
        ...others.map((kind) => times(ratio(kind), 1)),
        Math.max(...failed).toString(),
      ];
    }),
  );
}

/** The tracker goes through all peers of a torrent for each announce of it. */
async function growing(stack: Subject, udpClients: UdpClients, address: string): Promise<string> {
  const found: [size: number, rate: number][] = [];
  for (const size of [100, 1000, 3000, 10_000]) {
    await restart(stack);
    const { rate } = await udpClients.announce(address, { swarm: "peers", count: size });
    found.push([size, rate]);
  }
  return table(
    ["peers of one torrent, from the first to the last", "announces a second", "ratio"],
    found.map(([size, rate]) => [size.toString(), Math.round(rate).toString(), times(rate, found[0]![1])]),
  );
}

async function weighed(
  stack: Subject,
  outputs: Outputs,
  udpClients: UdpClients,
  address: string,
): Promise<string> {
  const measured: string[][] = [];
  for (const [what, flags] of [
    ["torrents with a peer each", { swarm: "torrents" }],
    ["peers of 20,000 torrents", { swarm: "peers", torrents: 20_000 }],
  ] as const) {
    await restart(stack);
    const before = await trackerMemory(stack);
    await udpClients.announce(address, { ...flags, count: many, patience: "10s" });
    const more = (await trackerMemory(stack)) - before;
    const { milliseconds } = await taken(() => statistics(stack, outputs));
    measured.push([
      `${many} ${what}`,
      more.toFixed(0),
      Math.round((more * 2 ** 20) / many).toString(),
      (milliseconds / 1000).toFixed(1),
    ]);
  }
  return table(["", "MiB", "bytes each", "its statistics take, s"], measured);
}

async function trackerMemory({ docker, name }: Subject): Promise<number> {
  return (await memoryOf(docker, name)).get("tracker")!;
}

/** What Prometheus asks for. */
async function statistics(stack: Subject, { adminToken }: Outputs): Promise<void> {
  const api = `http://${trackerAddress(stack)}:${ports.trackerApi}`;
  await (await fetch(`${api}/api/v1/stats?token=${adminToken}`)).json();
}

async function rows(
  stack: Subject,
  settings: object,
  udpClients: UdpClients,
  address: string,
): Promise<string> {
  const found: string[][] = [];
  for (const countDownloads of [false, true]) {
    await stack.up({ ...settings, countDownloads });
    await restart(stack);
    // The slow one is not waited for.
    const flags: Flags = countDownloads ? { for: "20s" } : { count: written };
    const { rate, failed } = await udpClients.announce(address, { swarm: "torrents", ...flags });
    found.push([
      String(countDownloads),
      Math.round(rate).toString(),
      String(failed),
      ...(await database(stack)),
    ]);
  }
  return table(
    ["`countDownloads`", "new torrents a second", "unanswered", "rows", "size of the database, KiB"],
    found,
  );
}

/** Rows and size of the tracker's database. */
async function database({ docker, name }: Subject): Promise<string[]> {
  const file = "/var/lib/torrust/tracker/database/sqlite3.db";
  const script = `sqlite3 ${file} 'SELECT count(*) FROM torrents' && stat -c %s ${file}`;
  const tracker = docker.getContainer(`torrust-pingoo-${name}-tracker`);
  const { code, output } = await exec(docker, tracker, ["sh", "-c", script]);
  if (code !== 0) throw new Error(`${script}: ${output}`);
  const [count = "", size = ""] = output.trim().split("\n");
  return [count, (Number(size) / 1024).toFixed(0)];
}
