import { randomBytes, randomInt } from "node:crypto";
import { lookup } from "node:dns/promises";

import { getAccess } from "./access";
import { encodeAnnounce, encodeConnect, encodeScrape, type UdpAnnounce, type UdpAnswer } from "./bep15";
import { once, type Context } from "./check";
import { randomPeerId } from "./http-tracker";
import type { UdpTarget } from "./targets";
import { expectAction, withUdpSession, type UdpSession } from "./udp-client";

/** What was heard of two peers of a torrent that nobody else knows. */
export interface Meeting {
  readonly first: { readonly port: number };
  readonly second: Extract<UdpAnswer, { action: "announce" }>;
  readonly scrape: Extract<UdpAnswer, { action: "scrape" }>;
}

/** A tracker by one address family, and a torrent that nobody else knows. */
export class Probe {
  readonly infoHash = randomBytes(20);
  readonly meeting: (signal: AbortSignal) => Promise<Meeting>;

  constructor(
    readonly tracker: UdpTarget,
    readonly family: 4 | 6,
    private readonly context: Context,
  ) {
    this.meeting = once((signal) => this.meet(signal));
  }

  /** The literal address at which the tracker is reached. @throws {NetworkError} when DNS has none */
  async address(): Promise<string> {
    const { ipv4, ipv6 } = this.context.targets.addresses;
    const given = this.family === 4 ? ipv4 : ipv6;
    return given ?? (await lookup(this.tracker.host, { family: this.family })).address;
  }

  async session<T>(signal: AbortSignal, use: (session: UdpSession) => Promise<T>): Promise<T> {
    const address = await this.address();
    return withUdpSession({ address, port: this.tracker.port, family: this.family }, signal, use);
  }

  async connect(session: UdpSession): Promise<Buffer> {
    return expectAction(await session.ask(encodeConnect), "connect").connectionId;
  }

  /** A seeder announces itself, then a leecher from another port of ours; then the torrent is scraped. */
  private async meet(signal: AbortSignal): Promise<Meeting> {
    await getAccess(this.context, this.infoHash, signal);
    const port = randomInt(20_000, 60_000);
    const first = await this.join(signal, port, 0);
    expectAction(first.answer, "announce");
    const second = await this.join(signal, port + 1, 1);
    return { first: { port }, second: expectAction(second.answer, "announce"), scrape: second.scrape };
  }

  /** Announces a peer, of the probe's own torrent unless told otherwise, and scrapes the torrent. */
  async join(
    signal: AbortSignal,
    port: number,
    left: number,
    given: { infoHash?: Buffer; peerId?: Buffer; event?: UdpAnnounce["event"] } = {},
  ) {
    const { infoHash = this.infoHash, peerId = randomPeerId(), event: first = "started" } = given;
    const peer = { infoHash, peerId, left, key: randomInt(2 ** 32), port };
    const announce = async (session: UdpSession, event: UdpAnnounce["event"]) => {
      const connectionId = await this.connect(session);
      const answer = await session.ask((transactionId) =>
        encodeAnnounce({ ...peer, connectionId, transactionId, event }),
      );
      return { connectionId, answer };
    };
    this.context.atEnd((within) => this.session(within, (session) => announce(session, "stopped")));
    return this.session(signal, async (session) => {
      const { connectionId, answer } = await announce(session, first);
      const scrape = expectAction(
        await session.ask((transactionId) => encodeScrape(connectionId, transactionId, infoHash)),
        "scrape",
      );
      return { answer, scrape };
    });
  }
}
