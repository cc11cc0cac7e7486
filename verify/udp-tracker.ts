import { randomBytes } from "node:crypto";
import { isIP } from "node:net";

import { guarded } from "./access";
import { encodeAnnounce, encodeConnect, type Peer } from "./bep15";
import { checkId, fail, pass, skip, type Check, type Context, type Outcome } from "./check";
import { randomPeerId } from "./http-tracker";
import { hostPort, networkError } from "./net";
import { count } from "./text";
import type { UdpTarget } from "./targets";
import { expectAction } from "./udp-client";
import { Probe, type Meeting } from "./udp-probe";
import { udpSwarmChecks } from "./udp-swarms";

/** Checks of the UDP trackers, and what else can be learnt from them. */
export interface UdpTrackers {
  readonly checks: Check[];
  /** Our address of a family as a UDP tracker sees it; undefined where none can tell. */
  readonly seenAddress: (family: 4 | 6, signal: AbortSignal) => Promise<string | undefined>;
}

/** UDP trackers (BEP 15), by IPv4 and by IPv6 where the deployment and this machine have it. */
export function udpTrackers(context: Context): UdpTrackers {
  const { targets } = context;
  const probes = targets.udpTrackers.flatMap((tracker) =>
    families(tracker, context).map((family) => new Probe(tracker, family, context)),
  );
  return {
    checks: [...probes.flatMap((probe) => probeChecks(probe, context)), ...udpSwarmChecks(probes, context)],
    seenAddress: async (family, signal) => {
      const witness = probes.find((probe) => probe.family === family);
      if (!witness || targets.trackerMode === "private") return undefined;
      const { first, second } = await witness.meeting(signal);
      return findPeer(second.peers, first.port)?.ip;
    },
  };
}

function families({ host }: UdpTarget, { targets: { addresses } }: Context): (4 | 6)[] {
  if (!addresses.ipv4 && !addresses.ipv6) return isIP(host) === 6 ? [6] : [4];
  return [...(addresses.ipv4 ? [4 as const] : []), ...(addresses.ipv6 ? [6 as const] : [])];
}

// eslint-disable-next-line max-lines-per-function -- one table of checks
function probeChecks(probe: Probe, context: Context): Check[] {
  const { tracker, family } = probe;
  const { addresses, trackerMode } = context.targets;
  const common = {
    target: `${hostPort(tracker.host, tracker.port)}/ipv${family}`,
    topic: "UDP tracker" as const,
  };
  const connect: Check = {
    ...common,
    kind: "udp-tracker.connect",
    name: `connect by IPv${family}`,
    expected: "a connection id",
    remedy: `See whether UDP port ${tracker.port} is published and open in the firewall${family === 6 ? "; Docker needs ip6tables for IPv6" : ""}.`,
    run: async (signal) => {
      if (family === 6 && addresses.ipv6 && !context.hasIpv6For(addresses.ipv6))
        return skip("this machine has no IPv6 that could reach it");
      await probe.session(signal, (session) => probe.connect(session));
      return pass("answered");
    },
  };
  const needs = [checkId(connect)];
  if (trackerMode === "private")
    return [
      {
        ...common,
        kind: "udp-tracker.access",
        name: `closed by IPv${family}`,
        expected: "no announce is accepted: UDP has no keys, so a private tracker does not serve it",
        remedy: "The tracker is not private: see core.private in its configuration.",
        run: async (signal) =>
          checkRefusal(probe, signal).catch((error: unknown) => {
            const { kind, message } = networkError(error);
            if (kind === "timeout" || kind === "refused") return pass(message);
            throw error;
          }),
      },
    ];
  const announce: Check = {
    ...common,
    kind: "udp-tracker.announce",
    name: `announce by IPv${family}`,
    expected: "the second of two peers is told of the first",
    remedy:
      family === 6
        ? "Docker's own proxy hands IPv6 on as IPv4 where its network has no IPv6, and the tracker then answers with IPv4 peers: set `ipv6: true`, with an engine that has ip6tables."
        : "See the tracker's log.",
    needs,
    run: (signal) => guarded(async () => judgeAnnounce(await probe.meeting(signal))),
  };
  return [
    connect,
    announce,
    {
      ...common,
      kind: "udp-tracker.scrape",
      name: `scrape by IPv${family}`,
      expected: "1 seeder and 1 leecher",
      remedy: "Announces are accepted but not counted: see the tracker's log.",
      needs: [checkId(announce)],
      run: (signal) => guarded(async () => judgeScrape(await probe.meeting(signal))),
    },
    ...(trackerMode === "listed"
      ? [
          {
            ...common,
            kind: "udp-tracker.access",
            name: `unlisted torrent refused by IPv${family}`,
            expected: "an error",
            remedy: "The tracker is not listed: see core.listed in its configuration.",
            needs,
            run: (signal: AbortSignal) => checkRefusal(probe, signal),
          } satisfies Check,
        ]
      : []),
  ];
}

function judgeAnnounce({ first, second }: Meeting): Outcome {
  const peer = findPeer(second.peers, first.port);
  const seen = `${count(second.seeders, "seeder")}, ${count(second.leechers, "leecher")}, interval ${second.interval} s`;
  if (!peer) return fail(`the second peer was not told of the first; ${seen}`);
  return second.seeders === 1 && second.leechers === 1 && second.interval > 0
    ? pass(`${seen}, first peer at ${peer.ip}`)
    : fail(seen);
}

function judgeScrape({ scrape }: Meeting): Outcome {
  const [torrent, ...more] = scrape.torrents;
  if (!torrent || more.length > 0)
    return fail(`${count(scrape.torrents.length, "torrent")} in the answer to a scrape of one`);
  const seen = `${count(torrent.seeders, "seeder")}, ${count(torrent.leechers, "leecher")}`;
  return torrent.seeders === 1 && torrent.leechers === 1 ? pass(seen) : fail(seen);
}

/** Announces a torrent that the tracker cannot know, as a peer that leaves. */
async function checkRefusal(probe: Probe, signal: AbortSignal): Promise<Outcome> {
  const answer = await probe.session(signal, async (session) => {
    const greeting = await session.ask(encodeConnect);
    if (greeting.action === "error") return greeting;
    const { connectionId } = expectAction(greeting, "connect");
    return session.ask((transactionId) =>
      encodeAnnounce({
        connectionId,
        transactionId,
        infoHash: randomBytes(20),
        peerId: randomPeerId(),
        left: 1,
        event: "stopped",
        key: 0,
        port: 6881,
      }),
    );
  });
  return answer.action === "error" ? pass(`refused: ${answer.message.slice(0, 80)}`) : fail("accepted");
}

function findPeer(peers: readonly Peer[], port: number): Peer | undefined {
  return peers.find((peer) => peer.port === port);
}
