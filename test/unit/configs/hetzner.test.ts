import { describe, expect, it } from "vitest";

import { dnsRecords, zoneLine } from "../../../configs/dns-records";
import { firewallRules } from "../../../configs/firewall";
import { portRanges } from "../../../configs/firewall-ports";
import { plainHttp, settingsOf, udpOnly } from "../support/config";

const addresses = { ipv4: "192.0.2.7", ipv6: "2001:db8::1" };
const grafana = { grafana: true, grafanaDomain: "grafana.torrust.org" };

describe("the firewall", () => {
  const open = (values: Record<string, unknown>) =>
    firewallRules(settingsOf(values), ["203.0.113.7/32"]).map(({ protocol, port, sourceIps }) =>
      [protocol, port, sourceIps.includes("0.0.0.0/0") ? "everybody" : sourceIps.join()]
        .filter(Boolean)
        .join(" "),
    );
  const always = ["tcp 22 203.0.113.7/32", "tcp 443 everybody", "udp 6969 everybody", "icmp everybody"];

  it.each([
    [{}, []],
    [grafana, ["tcp 3443 everybody"]],
    [{ ...grafana, grafanaOnHttps: true }, []],
    [{ ...grafana, hybrid: true }, ["tcp 3443 everybody", "tcp 80 everybody"]],
    [{ tlsProxy: "nginx" }, ["tcp 80 everybody"]],
    [plainHttp, ["tcp 80 everybody"]],
    [{ ...plainHttp, httpPort: 7070 }, ["tcp 7070 everybody"]],
    [{ udpTrackers: [{ port: 6969 }, { port: 6868 }] }, ["udp 6868 everybody"]],
    [
      { httpsPort: 8443, grafana: true, grafanaDomain: "g.torrust.org" },
      ["tcp 8443 everybody", "tcp 3443 everybody"],
    ],
  ])("with %j lets in what is served and nothing else", (values, more) => {
    const standard = "httpsPort" in values ? always.filter((rule) => !rule.includes(" 443 ")) : always;
    expect(open(values).sort()).toEqual([...standard, ...more].sort());
  });

  it.each([
    [{}, []],
    [grafana, ["tcp 3443 everybody"]],
    [{ ...grafana, hybrid: true }, ["tcp 3443 everybody", "tcp 80 everybody"]],
    [{ tlsProxy: "nginx" }, []],
  ])("lets nobody in by HTTPS where only UDP is served, and with %j", (values, more) => {
    const rules = open({ ...udpOnly, prometheus: true, ...values });
    expect(rules.sort()).toEqual([...always.filter((rule) => !rule.includes(" 443 ")), ...more].sort());
  });

  it("is open to IPv6 as to IPv4, save for SSH", () => {
    for (const { port, sourceIps } of firewallRules(settingsOf(), ["203.0.113.7/32"]))
      expect(sourceIps).toEqual(port === "22" ? ["203.0.113.7/32"] : ["0.0.0.0/0", "::/0"]);
  });
});

describe("ranges of ports", () => {
  it("hold ports in a row, each once", () => {
    expect(portRanges([6971, 6969, 6868, 6970, 6969, 80])).toEqual(["80", "6868", "6969-6971"]);
    expect(portRanges([])).toEqual([]);
  });

  it("make one rule of any number of UDP trackers", () => {
    const udpTrackers = Array.from({ length: 300 }, (_, index) => ({ port: 7000 + index }));
    const rules = firewallRules(settingsOf({ udpTrackers }), ["203.0.113.7/32"]);
    expect(rules.filter(({ protocol }) => protocol === "udp")).toMatchObject([{ port: "7000-7299" }]);
  });
});

describe("the DNS records", () => {
  const lines = (values: Record<string, unknown> = {}, where: { ipv4: string; ipv6?: string } = addresses) =>
    dnsRecords(settingsOf(values), where).map(zoneLine);

  it("lead every name to the host and say what its trackers are (BEP 34)", () => {
    expect(
      lines({ ...grafana, udpTrackers: [{ port: 6969 }, { port: 6868, domain: "udp.torrust.org" }] }),
    ).toEqual([
      "api.torrust.org. 300 IN A 192.0.2.7",
      "api.torrust.org. 300 IN AAAA 2001:db8::1",
      "tracker.torrust.org. 300 IN A 192.0.2.7",
      "tracker.torrust.org. 300 IN AAAA 2001:db8::1",
      'tracker.torrust.org. 300 IN TXT "BITTORRENT UDP:6969 TCP:443"',
      "udp.torrust.org. 300 IN A 192.0.2.7",
      "udp.torrust.org. 300 IN AAAA 2001:db8::1",
      'udp.torrust.org. 300 IN TXT "BITTORRENT UDP:6868"',
      "grafana.torrust.org. 300 IN A 192.0.2.7",
      "grafana.torrust.org. 300 IN AAAA 2001:db8::1",
    ]);
  });

  it("name no IPv6 address where the stack is not reached by it", () => {
    expect(lines({}, { ipv4: "192.0.2.7" }).filter((line) => line.includes("AAAA"))).toEqual([]);
  });

  it("name no API that is not public", () => {
    expect(lines({ apiDomain: "" }).join()).not.toContain("api.");
    expect(lines(udpOnly)).toEqual([
      "udp.torrust.org. 300 IN A 192.0.2.7",
      "udp.torrust.org. 300 IN AAAA 2001:db8::1",
      'udp.torrust.org. 300 IN TXT "BITTORRENT UDP:6969"',
    ]);
  });

  it("name the port on which HTTPS is", () => {
    expect(lines({ httpsPort: 8443, udpTrackers: [] })).toContain(
      'tracker.torrust.org. 300 IN TXT "BITTORRENT TCP:8443"',
    );
  });

  it("name the port of plain HTTP where a tracker answers there", () => {
    const two = { httpTrackers: [...plainHttp.httpTrackers, { domain: "b.torrust.org" }], udpTrackers: [] };
    expect(lines(two).filter((line) => line.includes(" TXT "))).toEqual([
      'tracker.torrust.org. 300 IN TXT "BITTORRENT TCP:443 TCP:80"',
      'b.torrust.org. 300 IN TXT "BITTORRENT TCP:443"',
    ]);
  });

  it("have texts of any length, in strings of 255 characters", () => {
    const ports = Array.from({ length: 60 }, (_, index) => 6900 + index);
    const [line = ""] = lines({ udpTrackers: ports.map((port) => ({ port })) }).filter((text) =>
      text.includes(" TXT "),
    );
    const strings = [...line.matchAll(/"([^"]*)"/g)].map(([, text]) => text!);
    expect(strings.map(({ length }) => length <= 255)).toEqual([true, true, true]);
    expect(strings.join("")).toBe(`BITTORRENT ${ports.map((port) => `UDP:${port}`).join(" ")} TCP:443`);
  });

  it("are none for addresses", () => {
    expect(lines({ acme: "none", apiDomain: "192.0.2.7", httpTrackers: [] }).join()).not.toContain(
      "192.0.2.7. ",
    );
  });
});
