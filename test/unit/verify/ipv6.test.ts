import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";

import { hasIpv6For } from "../../../verify/addresses";
import type { Context, Outcome } from "../../../verify/check";
import { ipv6Checks } from "../../../verify/ipv6";
import { readTargets } from "../../../verify/targets";
import { makeAuthority, makeIdentity, type Identity } from "./support/certificates";

const host = "tracker.torrust.test";
const authority = makeAuthority();
const identity = makeIdentity({ name: host, altNames: [host] }, authority);

/** A tracker that knows one seeder with this address, whoever asks. */
interface Served {
  readonly identity: Identity;
  readonly status: number;
  readonly peers: (port: number) => string;
}

const peer = (key: string, address: string) => (port: number) =>
  `${key === "peers6" ? "5:peers0:" : ""}${key.length}:${key}${address.length / 2 + 2}:${Buffer.from(address + port.toString(16).padStart(4, "0"), "hex").toString("latin1")}`;
const good: Served = {
  identity,
  status: 200,
  peers: peer("peers6", "00000000000000000000000000000001"),
};

describe.skipIf(!hasIpv6For("::1"))("each endpoint over IPv6", () => {
  const servers: Server[] = [];
  afterEach(() => servers.splice(0).forEach((server) => server.close().closeAllConnections()));

  async function serve(address: string, port: number, { identity, status, peers }: Served): Promise<number> {
    let seeder = 0;
    const server = createServer(identity, (request, response) => {
      const { pathname, searchParams } = new URL(request.url!, "https://tracker");
      if (pathname === "/health_check") return void response.writeHead(status).end('{"status":"Ok"}');
      if (pathname === "/scrape") return void response.end("d5:filesdee");
      seeder ||= Number(searchParams.get("port"));
      response.end(Buffer.from(`d8:completei1e10:incompletei1e8:intervali300e${peers(seeder)}e`, "latin1"));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(port, address, resolve));
    return (server.address() as AddressInfo).port;
  }

  async function look(byIpv6?: Served, { ipv6 = "::1" as string | undefined, here = true } = {}) {
    const port = await serve("127.0.0.1", 0, good);
    if (byIpv6) await serve("::1", port, byIpv6);
    const context: Context = {
      targets: readTargets({
        announceUrls: { http: [`https://${host}:${port}/announce`] },
        addresses: { ipv4: "127.0.0.1", ipv6 },
      }),
      long: false,
      resolver: { resolve4: async () => [], resolve6: async () => [] },
      hasIpv6For: () => here,
      secret: () => undefined,
      atEnd: () => undefined,
    };
    const outcomes: Record<string, string> = {};
    for (const { kind, run } of ipv6Checks(context, async () => undefined)) {
      const { status, seen } = await run(new AbortController().signal).catch((error: Error): Outcome => ({
        status: "fail",
        seen: error.message,
      }));
      outcomes[kind] = `${status}: ${seen}`;
    }
    return outcomes;
  }

  it("holds where the same is served, and peers are seen by their own addresses", async () =>
    expect(await look(good)).toEqual({
      "ipv6.health": "pass: 200",
      "ipv6.certificate": "pass: the same",
      "ipv6.peers": "pass: ::1, ours on this connection",
    }));

  it("fails where nothing answers", async () =>
    expect(await look()).toMatchObject({ "ipv6.health": "fail: connection refused" }));

  it("fails where something else answers", async () => {
    const other = makeIdentity({ name: host, altNames: [host] }, authority);
    expect(await look({ ...good, identity: other, status: 502 })).toMatchObject({
      "ipv6.health": "fail: 502",
      "ipv6.certificate": "fail: another one",
    });
  });

  it("fails where peers are seen by an address of the other family", async () =>
    expect(await look({ ...good, peers: peer("peers", "0ae00b01") })).toMatchObject({
      "ipv6.peers": "fail: 10.224.11.1, no IPv6 address",
    }));

  it("is not tried where this machine has no IPv6, nor where the deployment has none", async () => {
    expect(await look(good, { here: false })).toMatchObject({
      "ipv6.health": expect.stringMatching(/^skip/),
    });
    expect(await look(undefined, { ipv6: "" })).toEqual({});
  });
});
