import { networkInterfaces } from "node:os";
import { afterEach, describe, expect, it } from "vitest";

import { verify } from "../../../verify/deployment";
import { readTargets } from "../../../verify/targets";
import { Swarms, SwarmsByAddress } from "./support/tracker";
import { startUdpTracker, type UdpServerOptions } from "./support/udp-server";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

const hasIpv6 = Object.values(networkInterfaces()).some((entries) =>
  entries?.some(({ address }) => address === "::1"),
);

async function look(options: UdpServerOptions, hasIpv6For = () => true) {
  const tracker = await startUdpTracker(options);
  closers.push(tracker.close);
  const address = options.address ?? "127.0.0.1";
  const report = await verify({
    targets: readTargets({
      announceUrls: { udp: [`udp://tracker.test:${tracker.port}/announce`] },
      addresses: { [address.includes(":") ? "ipv6" : "ipv4"]: address },
    }),
    skip: ["dns", "exposure"],
    hasIpv6For,
  });
  return {
    report,
    tracker,
    lines: report.checks.map(({ kind, status, seen }) => `${kind} ${status} ${seen}`),
  };
}

describe("a UDP tracker", () => {
  it("is asked again when the first packet is lost", async () => {
    const { report, tracker } = await look({ fault: "first-lost" });
    expect(report.ok).toBe(true);
    expect(report.checks[0]!.durationMs).toBeGreaterThan(900);
    expect(tracker.swarms.remaining).toBe(0);
  });

  it.runIf(hasIpv6)("is asked by IPv6 where the deployment has it", async () => {
    const { lines } = await look({ address: "::1" });
    expect(lines).toEqual([
      "udp-tracker.connect pass answered",
      "udp-tracker.announce pass 1 seeder, 1 leecher, interval 300 s, first peer at ::1",
      "udp-tracker.scrape pass 1 seeder, 1 leecher",
      expect.stringMatching(/^udp-tracker\.scrape-order known-limit the tracker has an order of its own/),
      expect.stringMatching(/^udp-tracker\.paused known-limit the tracker refuses it; concerns qBittorrent/),
    ]);
  });

  it.runIf(hasIpv6)(
    "fails when an answer to IPv6 holds IPv4 peers, as Docker's proxy brings about",
    async () => {
      const { report, lines } = await look({ address: "::1", fault: "ipv4-peers" });
      expect(lines[1]).toBe("udp-tracker.announce fail 6 bytes of compact peers, no multiple of 18");
      expect(report.checks[1]!.remedy).toContain("`ipv6: true`");
    },
  );

  it.runIf(hasIpv6).each([
    ["known-limit", "found by IPv6 alone", new Swarms()],
    ["pass", "found by both", new SwarmsByAddress()],
  ])("is asked for a peer with two addresses: %s, %s", async (status, seen, swarms) => {
    const by4 = await startUdpTracker({ swarms });
    const by6 = await startUdpTracker({ swarms, address: "::1", port: by4.port });
    closers.push(by4.close, by6.close);
    const { checks } = await verify({
      targets: readTargets({
        announceUrls: { udp: [`udp://tracker.test:${by4.port}/announce`] },
        addresses: { ipv4: "127.0.0.1", ipv6: "::1" },
      }),
      skip: ["dns", "exposure"],
      hasIpv6For: () => true,
    });
    expect(checks.at(-1)).toMatchObject({
      kind: "udp-tracker.two-addresses",
      status,
      seen: expect.stringContaining(seen),
    });
    expect(swarms.remaining).toBe(0);
  });

  it.runIf(hasIpv6)("is not asked by IPv6 from a machine without", async () => {
    const { lines } = await look({ address: "::1" }, () => false);
    expect(lines[0]).toBe("udp-tracker.connect skip this machine has no IPv6 that could reach it");
  });
});
