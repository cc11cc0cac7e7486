import { randomBytes, randomInt } from "node:crypto";

import { getAccess, guarded, type Access } from "./access";
import { isLocal, isLoopback, normalizeAddress, ownAddresses } from "./addresses";
import { judgeHealth } from "./api";
import { decodeBencode, isDictionary, type Bencode, type BencodeDictionary } from "./bencode";
import { compactPeers, type Peer } from "./bep15";
import { checkId, fail, knownLimit, once, pass, type Check, type Context, type Outcome } from "./check";
import { fetchHttp, fetchHttps, type HttpRequest, type HttpResponse } from "./http";
import { NetworkError, hostPort } from "./net";
import { count, excerpt, list } from "./text";
import { handshakeId, limitsPage } from "./tls";
import type { HttpTrackerTarget } from "./targets";

/**
 * BitTorrent clients whose own source sends HTTP trackers no User-Agent, or an empty one, unless told otherwise; the
 * documentation says where each was read.
 */
const clientsWithoutUserAgent = [
  "rqbit",
  "the npm package bittorrent-tracker",
  "libtorrent before 1.2.16 in anonymous mode",
];

/** An address that belongs to nobody (RFC 5737), to be told apart from every real one. */
const spoofedAddress = "203.0.113.77";

/**
 * HTTP trackers behind the proxy: the evaluation's experiment 3.
 *
 * @param referenceAddress our address as a UDP tracker of the deployment sees it, undefined where none can tell
 */
export function httpTrackerChecks(
  context: Context,
  referenceAddress: (signal: AbortSignal) => Promise<string | undefined>,
): Check[] {
  const { httpTrackers, plainTrackers } = context.targets;
  return [...httpTrackers, ...plainTrackers].flatMap((tracker) =>
    trackerChecks(tracker, context, referenceAddress),
  );
}

// eslint-disable-next-line max-lines-per-function -- one table of checks
function trackerChecks(
  tracker: HttpTrackerTarget,
  context: Context,
  referenceAddress: (signal: AbortSignal) => Promise<string | undefined>,
): Check[] {
  const { trackerMode } = context.targets;
  const common = {
    target: hostPort(tracker.host, tracker.port),
    topic: "HTTP tracker" as const,
    experiment: 3 as const,
  };
  const swarm = new Swarm(tracker, context);
  const meeting = once((signal) => swarm.meet(signal));

  const health: Check = {
    ...common,
    kind: "http-tracker.health",
    name: "health",
    expected: `200 {"status":"Ok"}`,
    remedy: "See whether the tracker's container is healthy, and whether the proxy's route names this host.",
    needs: tracker.plain ? [] : [handshakeId(tracker)],
    run: async (signal) => judgeHealth(await ask(tracker, { path: "/health_check" }, signal)),
  };
  const announce: Check = {
    ...common,
    kind: "http-tracker.announce",
    name: "announce",
    expected: "two peers of a random torrent are counted, with an interval",
    remedy:
      "See the tracker's log. A failure reason about X-Forwarded-For means that its core.net.on_reverse_proxy and the proxy do not fit.",
    needs: [checkId(health)],
    run: (signal) => guarded(async () => judgeAnnounce((await meeting(signal)).second)),
  };
  const after = { needs: [checkId(announce)] };
  const peers: Check = {
    ...common,
    ...after,
    kind: "http-tracker.peers",
    name: "peers meet",
    expected: "the second peer is told of the first, by the address that the world sees",
    remedy:
      "The tracker takes the proxy's address for its peers': set its core.net.on_reverse_proxy, and see that the proxy sends X-Forwarded-For.",
    run: (signal) =>
      guarded(async () => {
        const { first, second, localAddress } = await meeting(signal);
        const seen = readPeers(second).find(({ port }) => port === first.port)?.ip;
        if (seen === undefined) return fail("the second peer was not told of the first");
        return judgeAddress(seen, localAddress, await referenceAddress(signal).catch(() => undefined));
      }),
  };
  return [
    health,
    announce,
    {
      ...common,
      ...after,
      kind: "http-tracker.scrape",
      name: "scrape",
      expected: "1 seeder and 1 leecher",
      remedy: "Announces are accepted but not counted: see the tracker's log.",
      run: (signal) => guarded(async () => judgeScrape((await meeting(signal)).scrape, swarm.infoHash)),
    },
    peers,
    {
      ...common,
      kind: "http-tracker.forwarded-for",
      name: "spoofed X-Forwarded-For",
      expected: "a peer cannot announce another's address",
      remedy:
        "The tracker believes the left end of X-Forwarded-For, or the proxy passes the client's header on without adding to it.",
      needs: [checkId(peers)],
      run: (signal) =>
        guarded(async () => {
          const spoofed = await swarm.announce(signal, {
            headers: {
              "x-forwarded-for": spoofedAddress,
              "x-real-ip": spoofedAddress,
              forwarded: `for=${spoofedAddress}`,
            },
          });
          readAnswer(spoofed.response);
          const witness = await swarm.announce(signal);
          const seen = readPeers(readAnswer(witness.response)).find(({ port }) => port === spoofed.port)?.ip;
          if (seen === undefined) return fail("the spoofing peer is not among the peers");
          return seen === spoofedAddress
            ? fail(`the tracker took ${spoofedAddress} for the peer's address`)
            : pass(`${seen}, not the spoofed ${spoofedAddress}`);
        }),
    },
    {
      ...common,
      ...after,
      kind: "http-tracker.user-agent",
      name: "no User-Agent",
      expected: "an announce without User-Agent is answered (BEP 3 asks for none)",
      remedy: "The proxy or the tracker refuses clients that are in their right.",
      run: (signal) =>
        guarded(async () => {
          const { response } = await swarm.announce(signal, { userAgent: null });
          if (response.status === 403 && tracker.terminator !== "nginx")
            return knownLimit(
              `403: Pingoo refuses it; concerns ${clientsWithoutUserAgent.length} known clients (${list(clientsWithoutUserAgent)})`,
              limitsPage,
              "Such clients can use the UDP trackers, or `tlsProxy: nginx`.",
            );
          readAnswer(response);
          return pass("answered");
        }),
    },
    ...(trackerMode === "public"
      ? []
      : [
          {
            ...common,
            kind: "http-tracker.access",
            name: trackerMode === "private" ? "refused without a key" : "unlisted torrent refused",
            expected: "a failure reason",
            remedy: `The tracker is not ${trackerMode}: see core.${trackerMode} in its configuration.`,
            needs: [checkId(health)],
            run: (signal: AbortSignal) => checkAccess(tracker, signal),
          } satisfies Check,
        ]),
  ];
}

/** Asks a tracker, with TLS or without. */
function ask(tracker: HttpTrackerTarget, request: HttpRequest, signal: AbortSignal): Promise<HttpResponse> {
  return (tracker.plain ? fetchHttp : fetchHttps)(tracker, request, signal);
}

/** What two peers of one torrent saw. */
interface Meeting {
  readonly first: { readonly port: number };
  /** Answer to the second's announce. */
  readonly second: BencodeDictionary;
  readonly scrape: BencodeDictionary;
  readonly localAddress: string;
}

interface AnnounceOptions {
  readonly left?: number;
  /** Parameters beyond those that every announce has. Default: `event=started`. */
  readonly parameters?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly userAgent?: string | null;
}

/** A torrent that nobody else knows, and the peers that we announce for it. They leave at the end of the run. */
export class Swarm {
  readonly infoHash = randomBytes(20);
  private readonly access: (signal: AbortSignal) => Promise<Access>;
  private readonly firstPort = randomInt(20_000, 60_000);
  private announced = 0;

  constructor(
    private readonly tracker: HttpTrackerTarget,
    private readonly context: Context,
  ) {
    this.access = once((signal) => getAccess(context, this.infoHash, signal));
  }

  /** A seeder announces itself, then a leecher; then the torrent is scraped. */
  async meet(signal: AbortSignal): Promise<Meeting> {
    const first = await this.announce(signal, { left: 0 });
    readAnswer(first.response);
    const second = await this.announce(signal);
    const answer = readAnswer(second.response);
    const path = await this.path(signal, "scrape");
    const scrape = await ask(
      this.tracker,
      { path: `${path}?info_hash=${escapeBytes(this.infoHash)}` },
      signal,
    );
    return {
      first,
      second: answer,
      scrape: readAnswer(scrape),
      localAddress: second.response.localAddress,
    };
  }

  /** Announces one more peer, a leecher unless told otherwise. */
  async announce(
    signal: AbortSignal,
    { left = 1, parameters = "event=started", headers, userAgent }: AnnounceOptions = {},
  ): Promise<{ readonly port: number; readonly response: HttpResponse }> {
    const peer = { port: this.firstPort + this.announced++, peerId: randomPeerId() };
    const path = await this.path(signal, "announce");
    const query = (more: string) => announceQuery(this.infoHash, peer, left, more);
    this.context.atEnd((within) => ask(this.tracker, { path: `${path}?${query("event=stopped")}` }, within));
    const response = await ask(
      this.tracker,
      { path: `${path}?${query(parameters)}`, headers, userAgent },
      signal,
    );
    return { port: peer.port, response };
  }

  /** Path of announce, or of scrape as BEP 48 derives it, with the key of a private tracker. */
  async path(signal: AbortSignal, request: "announce" | "scrape"): Promise<string> {
    const { key } = await this.access(signal);
    const path = this.tracker.announcePath.replace(/announce(?!.*announce)/, request);
    return key === undefined ? path : `${path.replace(/\/$/, "")}/${key}`;
  }
}

async function checkAccess(tracker: HttpTrackerTarget, signal: AbortSignal): Promise<Outcome> {
  const query = announceQuery(
    randomBytes(20),
    { port: randomInt(20_000, 60_000), peerId: randomPeerId() },
    1,
    "event=stopped",
  );
  const response = await ask(tracker, { path: `${tracker.announcePath}?${query}` }, signal);
  const answer = decode(response);
  const reason = answer?.get("failure reason");
  return Buffer.isBuffer(reason) ? pass(`refused: ${excerpt(reason)}`) : fail(`${response.status}, accepted`);
}

function announceQuery(
  infoHash: Buffer,
  peer: { readonly port: number; readonly peerId: Buffer },
  left: number,
  more: string,
): string {
  return [
    `info_hash=${escapeBytes(infoHash)}`,
    `peer_id=${escapeBytes(peer.peerId)}`,
    `port=${peer.port}`,
    `uploaded=0&downloaded=0&left=${left}&compact=1&${more}`,
  ].join("&");
}

/** A peer id of the form that clients use (BEP 20). */
export function randomPeerId(): Buffer {
  return Buffer.concat([Buffer.from("-TV0001-"), randomBytes(12)]);
}

/** Bytes as BEP 3 wants them in a query: every one percent-encoded. */
export function escapeBytes(bytes: Buffer): string {
  return bytes.toString("hex").replace(/../g, "%$&");
}

// ---- reading answers

function decode({ status, body }: HttpResponse): BencodeDictionary | undefined {
  if (status !== 200) return undefined;
  const value = decodeBencode(body);
  return isDictionary(value) ? value : undefined;
}

/** A tracker's answer. @throws {NetworkError} for what is none, or a refusal */
export function readAnswer(response: HttpResponse): BencodeDictionary {
  if (response.status !== 200)
    throw new NetworkError("other", `${response.status} ${excerpt(response.body)}`.trim());
  const answer = decode(response);
  if (!answer) throw new NetworkError("other", "an answer that is no dictionary");
  const reason = answer.get("failure reason");
  if (reason !== undefined)
    throw new NetworkError(
      "other",
      `refused: ${Buffer.isBuffer(reason) ? excerpt(reason, 160) : "a failure reason that is no text"}`,
    );
  return answer;
}

function number(dictionary: BencodeDictionary, key: string): number | undefined {
  const value = dictionary.get(key);
  return typeof value === "bigint" ? Number(value) : undefined;
}

function judgeAnnounce(answer: BencodeDictionary): Outcome {
  const interval = number(answer, "interval");
  const complete = number(answer, "complete");
  const incomplete = number(answer, "incomplete");
  if (interval === undefined || interval <= 0) return fail(`no interval in the answer`);
  readPeers(answer);
  const seen = `${complete ?? "no"} seeder, ${incomplete ?? "no"} leecher, interval ${interval} s`;
  return complete === 1 && incomplete === 1 ? pass(seen) : fail(seen);
}

function judgeScrape(answer: BencodeDictionary, infoHash: Buffer): Outcome {
  const files = answer.get("files");
  const file = isDictionary(files) ? files.get(infoHash.toString("latin1")) : undefined;
  if (!isDictionary(file)) return fail("the torrent is not in the answer");
  const [complete, incomplete] = [number(file, "complete"), number(file, "incomplete")];
  const seen = `${count(complete ?? 0, "seeder")}, ${count(incomplete ?? 0, "leecher")}`;
  return complete === 1 && incomplete === 1 ? pass(seen) : fail(seen);
}

/** Peers of an announce answer: compact ones (BEP 23, BEP 7), or a list (BEP 3). @throws for what is neither */
export function readPeers(answer: BencodeDictionary): Peer[] {
  const peers = answer.get("peers");
  const peers6 = answer.get("peers6");
  return [
    ...(Buffer.isBuffer(peers) ? compactPeers(peers, 4) : listedPeers(peers)),
    ...(Buffer.isBuffer(peers6) ? compactPeers(peers6, 6) : []),
  ];
}

function listedPeers(peers: Bencode | undefined): Peer[] {
  if (peers === undefined) throw new NetworkError("other", "no peers in the answer");
  if (!Array.isArray(peers)) throw new NetworkError("other", "peers that are no list");
  return (peers as readonly Bencode[]).map((peer) => {
    const ip = isDictionary(peer) ? peer.get("ip") : undefined;
    const port = isDictionary(peer) ? peer.get("port") : undefined;
    if (!Buffer.isBuffer(ip) || typeof port !== "bigint")
      throw new NetworkError("other", "a peer without ip and port");
    return { ip: normalizeAddress(ip.toString("latin1")), port: Number(port) };
  });
}

/**
 * Whether the address by which a tracker behind a proxy knows us is ours, and not the proxy's: the one that the UDP
 * tracker sees, one of this machine's (its engine's gateway included), or a public one where we are behind a router.
 */
export function judgeAddress(
  seen: string,
  localAddress: string,
  reference: string | undefined,
  own: readonly string[] = ownAddresses(),
): Outcome {
  if (seen === localAddress || (isLoopback(seen) && isLoopback(localAddress)))
    return pass(`${seen}, ours on this connection`);
  if (own.includes(seen) && isLocal(seen))
    return knownLimit(
      `${seen}, the engine's address on this machine: concerns clients that run on the tracker's own machine`,
      limitsPage,
      "Nothing to do for clients elsewhere. One on this machine is found by no other: let it announce from another.",
    );
  if (own.includes(seen)) return pass(`${seen}, an address of this machine`);
  if (seen === reference) return pass(`${seen}, as the UDP tracker sees it`);
  if (!isLocal(seen) && reference === undefined) return pass(`${seen}, a public address`);
  const instead = reference ?? localAddress;
  return fail(`${seen}, which is not ours${instead ? ` (${instead})` : ""}`);
}
