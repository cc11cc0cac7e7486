import { afterEach, beforeEach, describe, expect, it } from "vitest";

import type { DnsRecord } from "../../../configs/dns-records";
import { lookupsBy, waitForNames, type Lookup } from "../../../gates/dns";
import { NameServer } from "../../stand-ins/dns";

const api: DnsRecord = { name: "api.torrust.org", type: "A", value: "192.0.2.7" };
const udp: DnsRecord = { name: "udp.torrust.org", type: "AAAA", value: "2001:db8::1" };

describe("names that lead to the host", () => {
  let server: NameServer;
  let port: number;
  let lookups: readonly Lookup[];
  const said: string[] = [];
  const wait = (records: DnsRecord[], mode: "require" | "warn" = "require", timeout = 0) =>
    waitForNames({ records, mode, timeout }, (line) => void said.push(line), lookups);

  beforeEach(async () => {
    said.length = 0;
    server = new NameServer({
      "api.torrust.org A": ["192.0.2.7"],
      "udp.torrust.org AAAA": ["2001:0db8:0:0:0:0:0:1"],
    });
    port = await server.start();
    lookups = lookupsBy([`127.0.0.1:${port}`], port);
  });
  afterEach(() => server.stop());

  it("pass, whichever way their addresses are written", async () => {
    await wait([api, udp]);
    await wait([{ ...udp, value: "2001:DB8:0::1" }]);
    expect(said).toEqual([]);
  });

  it("are listed ready to copy while they do not", async () => {
    server.records["api.torrust.org A"] = ["198.51.100.9"];
    const missing = { ...api, name: "tracker.torrust.org" };
    await expect(wait([api, missing, udp])).rejects.toThrow(
      [
        "2 names do not lead to the host yet.",
        "Create these records:",
        "  api.torrust.org. 300 IN A 192.0.2.7    ; leads to 198.51.100.9 now",
        "  tracker.torrust.org. 300 IN A 192.0.2.7",
      ].join("\n"),
    );
  });

  it("may lead nowhere else besides", async () => {
    server.records["api.torrust.org A"] = ["192.0.2.7", "198.51.100.9"];
    await expect(wait([api])).rejects.toThrow("One name does not lead");
  });

  it("may lead nowhere over IPv6 where the host is not reached by it", async () => {
    server.records["api.torrust.org AAAA"] = ["2001:0db8:0:0:0:0:0:1"];
    await expect(wait([api])).rejects.toThrow(
      [
        "One name does not lead to the host yet.",
        "Delete these, as the stack is not reached over IPv6:",
        "  api.torrust.org. 300 IN AAAA 2001:db8::1",
      ].join("\n"),
    );
    await wait([api, { ...api, type: "AAAA", value: "2001:db8::1" }]);
  });

  it("are waited for, and said once", async () => {
    delete server.records["api.torrust.org A"];
    const passed = wait([api], "require", 30);
    setTimeout(() => (server.records["api.torrust.org A"] = ["192.0.2.7"]), 200);
    await passed;
    expect(said).toEqual([expect.stringContaining("Waiting for them up to 30 s")]);
  });

  it("are only warned about where that was asked for", async () => {
    delete server.records["api.torrust.org A"];
    await wait([api], "warn", 600);
    expect(said).toEqual([
      expect.stringMatching(/api\.torrust\.org\. 300 IN A 192\.0\.2\.7\n.*dnsCheck is warn/),
    ]);
  });

  it("are what the zone's own servers say, when a resolver remembers something older", async () => {
    const stale = new NameServer({
      "torrust.org NS": ["ns.torrust.org"],
      "ns.torrust.org A": ["127.0.0.1"],
      "api.torrust.org A": ["198.51.100.9"],
    });
    lookups = lookupsBy([`127.0.0.1:${await stale.start()}`], port);
    await wait([api]);
    stale.stop();
  });
});
