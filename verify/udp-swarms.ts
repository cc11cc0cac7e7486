import { randomBytes, randomInt } from "node:crypto";

import { getAccess, guarded } from "./access";
import { encodeScrape } from "./bep15";
import { checkId, fail, knownLimit, pass, type Check, type Context, type Outcome } from "./check";
import { randomPeerId } from "./http-tracker";
import { hostPort } from "./net";
import { limitsPage } from "./tls";
import { expectAction } from "./udp-client";
import type { Probe } from "./udp-probe";

/** What becomes of several torrents in one scrape, of a partial seed, and of a peer with two addresses. */
export function udpSwarmChecks(probes: readonly Probe[], context: Context): Check[] {
  if (context.targets.trackerMode === "private") return [];
  return [
    ...probes.flatMap((probe) => [scrapeOrder(probe, context), partialSeed(probe)]),
    ...probes.flatMap((by4) => {
      const by6 = probes.find(({ tracker, family }) => tracker === by4.tracker && family === 6);
      return by4.family === 4 && by6 ? [twoAddresses(by4, by6, context)] : [];
    }),
  ];
}

const common = ({ tracker }: Probe) => ({
  target: hostPort(tracker.host, tracker.port),
  topic: "UDP tracker" as const,
});
const targetOf = ({ tracker, family }: Probe) => `${hostPort(tracker.host, tracker.port)}/ipv${family}`;
const announceId = (probe: Probe) => checkId({ kind: "udp-tracker.announce", target: targetOf(probe) });

// ---- partial seeds

function partialSeed(probe: Probe): Check {
  return {
    ...common(probe),
    kind: "udp-tracker.paused",
    target: targetOf(probe),
    name: `partial seed by IPv${probe.family}`,
    expected: "an announce of a peer that wants no more of a torrent (BEP 21) is answered",
    remedy: "See the tracker's log.",
    needs: [announceId(probe)],
    run: (signal) =>
      guarded(async () => {
        const port = randomInt(20_000, 60_000);
        const { answer } = await probe.join(signal, port, 1, { event: "paused" });
        if (answer.action !== "error") return pass(`answered by ${answer.action}`);
        return knownLimit(
          "the tracker refuses it; concerns qBittorrent and Deluge, once all files but those left out are there",
          limitsPage,
          "Nothing to do: such a peer is forgotten until it is restarted, and finds others by what it knew before, DHT and PEX.",
        );
      }),
  };
}

// ---- several torrents

function scrapeOrder(probe: Probe, context: Context): Check {
  return {
    ...common(probe),
    kind: "udp-tracker.scrape-order",
    target: targetOf(probe),
    name: `scrape of several by IPv${probe.family}`,
    expected: "each torrent's numbers in the place in which it was asked for (BEP 15)",
    remedy: "Announces are accepted but not counted: see the tracker's log.",
    needs: [checkId({ kind: "udp-tracker.scrape", target: targetOf(probe) })],
    run: (signal) => guarded(() => checkOrder(probe, context, signal)),
  };
}

/** Seeders and leechers of torrents that can be told apart by them. */
const swarms = [
  [0, 0],
  [1, 0],
  [0, 1],
  [1, 1],
] as const;

/** Indices of the torrents in each scrape. A random order is right in all of the first three once in 13,824 times. */
const scrapes = [
  [0, 1, 2, 3],
  [3, 2, 1, 0],
  [2, 0, 3, 1],
  [1, 1, 2],
] as const;

async function checkOrder(probe: Probe, context: Context, signal: AbortSignal): Promise<Outcome> {
  const infoHashes = swarms.map(() => randomBytes(20));
  const firstPort = randomInt(20_000, 60_000);
  await Promise.all(
    swarms.map(async ([seeders, leechers], index) => {
      const infoHash = infoHashes[index]!;
      if (seeders + leechers === 0) return;
      await getAccess(context, infoHash, signal);
      const join = (port: number, left: number) => probe.join(signal, port, left, { infoHash });
      if (seeders > 0) expectAction((await join(firstPort + 2 * index, 0)).answer, "announce");
      if (leechers > 0) expectAction((await join(firstPort + 2 * index + 1, 1)).answer, "announce");
    }),
  );
  const answers = await probe.session(signal, async (session) => {
    const connectionId = await probe.connect(session);
    const seen: string[][] = [];
    for (const order of scrapes) {
      const answer = await session.ask((transactionId) =>
        encodeScrape(connectionId, transactionId, ...order.map((index) => infoHashes[index]!)),
      );
      const { torrents } = expectAction(answer, "scrape");
      seen.push(torrents.map(({ seeders, leechers }) => `${seeders}/${leechers}`));
    }
    return seen;
  });
  return judgeOrder(answers);
}

/** @param answers to `scrapes`, each torrent as `seeders/leechers` */
function judgeOrder(answers: readonly (readonly string[])[]): Outcome {
  const wanted = scrapes.map((order) => order.map((index) => swarms[index].join("/")));
  const same = (a: readonly string[], b: readonly string[]) => a.join() === b.join();
  const wrong = answers.findIndex((answer, index) => !same(answer, wanted[index]!));
  if (wrong < 0) return pass(`${scrapes.length} scrapes, each in its order`);
  const example = `${answers[wrong]!.join(" ")} where ${wanted[wrong]!.join(" ")} was asked for`;
  const distinct = (list: readonly string[]) => [...new Set(list)].sort();
  return answers.every((answer, index) => same(distinct(answer), distinct(wanted[index]!)))
    ? knownLimit(
        `the tracker has an order of its own, and folds doubles (${example}, seeders/leechers); concerns clients that scrape several torrents at once by UDP, as Transmission does`,
        limitsPage,
        "Nothing to do: the numbers that such clients show are mixed up, announces are not concerned. A scrape over HTTP names each torrent.",
      )
    : fail(example);
}

// ---- two addresses

function twoAddresses(by4: Probe, by6: Probe, context: Context): Check {
  return {
    ...common(by4),
    kind: "udp-tracker.two-addresses",
    name: "a peer with IPv4 and IPv6",
    expected: "a peer that announces over both families is found by either address",
    remedy: "See the tracker's log.",
    needs: [announceId(by4), announceId(by6)],
    run: (signal) => guarded(() => checkTwoAddresses(by4, by6, context, signal)),
  };
}

async function checkTwoAddresses(
  by4: Probe,
  by6: Probe,
  context: Context,
  signal: AbortSignal,
): Promise<Outcome> {
  const both = { infoHash: randomBytes(20), peerId: randomPeerId() };
  await getAccess(context, both.infoHash, signal);
  const port = randomInt(20_000, 60_000);
  for (const probe of [by4, by6]) expectAction((await probe.join(signal, port, 0, both)).answer, "announce");
  const found: number[] = [];
  for (const probe of [by4, by6]) {
    const { answer } = await probe.join(signal, port + probe.family, 1, { infoHash: both.infoHash });
    if (expectAction(answer, "announce").peers.some((peer) => peer.port === port)) found.push(probe.family);
  }
  if (found.length === 2) return pass("found by both");
  if (found.length === 0) return fail("found by neither");
  return knownLimit(
    `found by IPv${found[0]} alone: the tracker keeps one address for each peer_id, the last; concerns clients that announce over both, as qBittorrent and Deluge do`,
    limitsPage,
    "Nothing to do: such a peer is found by those who share that family with it.",
  );
}
