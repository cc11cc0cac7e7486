import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { listeners, readTargets, TargetError, webTargets } from "../../../verify/targets";

const outputs = {
  urls: {
    api: "https://api.localhost:8443",
    trackers: ["https://tracker.localhost:8443"],
    grafana: "https://grafana.localhost:3443",
  },
  announceUrls: {
    http: ["https://tracker.localhost:8443/announce"],
    udp: ["udp://tracker.localhost:6969/announce"],
  },
  addresses: { ipv4: "127.0.0.1", ipv6: "0:0::1" },
  adminToken: "token",
  grafanaAdminPassword: "password",
  mode: "hybrid",
  acme: "none",
  trackerMode: "listed",
  countDownloads: true,
  volumes: { tls: "x" },
};

function problemsOf(...input: Parameters<typeof readTargets>): string[] {
  try {
    readTargets(...input);
  } catch (error) {
    if (error instanceof TargetError) return error.problems.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
}

describe("readTargets", () => {
  it("reads the stack's outputs", () => {
    expect(readTargets(outputs)).toEqual({
      mode: "hybrid",
      issuer: "none",
      trackerMode: "listed",
      countDownloads: true,
      addresses: { ipv4: "127.0.0.1", ipv6: "::1" },
      api: { host: "api.localhost", port: 8443, connect: "127.0.0.1", terminator: "pingoo" },
      httpTrackers: [
        {
          host: "tracker.localhost",
          port: 8443,
          connect: "127.0.0.1",
          terminator: "pingoo",
          plain: false,
          announcePath: "/announce",
        },
      ],
      plainTrackers: [],
      udpTrackers: [{ host: "tracker.localhost", port: 6969 }],
      grafana: { host: "grafana.localhost", port: 3443, connect: "127.0.0.1", terminator: "nginx" },
      adminToken: "token",
      grafanaPassword: "password",
    });
  });

  it("takes flags alone, for a deployment of others", () => {
    const targets = readTargets(undefined, {
      apiDomain: "api.example.org",
      trackerDomain: "http1.example.org, http2.example.org:8443",
      udpPort: "6969,6868",
      grafanaDomain: "grafana.example.org:443",
      connect: "192.0.2.1,2001:db8::1",
    });
    expect(targets.api).toEqual({
      host: "api.example.org",
      port: 443,
      connect: "192.0.2.1",
      terminator: "unknown",
    });
    expect(targets.httpTrackers.map(({ host, port }) => `${host}:${port}`)).toEqual([
      "http1.example.org:443",
      "http2.example.org:8443",
    ]);
    expect(targets.udpTrackers).toEqual([
      { host: "http1.example.org", port: 6969 },
      { host: "http1.example.org", port: 6868 },
    ]);
    expect(targets.addresses).toEqual({ ipv4: "192.0.2.1", ipv6: "2001:db8::1" });
    expect(targets.issuer).toBe("public");
    expect(targets.mode).toBeUndefined();
  });

  it("lets flags replace outputs", () => {
    const targets = readTargets(outputs, {
      apiDomain: "[::1]:9443",
      connect: "198.51.100.9",
      mode: "nginx",
      acme: "https://acme.test/dir",
      adminToken: "other",
    });
    expect(targets).toMatchObject({
      api: { host: "::1", port: 9443, connect: "198.51.100.9", terminator: "nginx" },
      addresses: { ipv4: "198.51.100.9" },
      issuer: "directory",
      adminToken: "other",
    });
    expect(targets.addresses.ipv6).toBeUndefined();
  });

  it("knows who terminates TLS in each mode", () => {
    const of = (mode: string) => {
      const { api, grafana } = readTargets({ ...outputs, mode });
      return [api?.terminator, grafana?.terminator];
    };
    expect(of("pingoo")).toEqual(["pingoo", "pingoo"]);
    expect(of("pingoo-tcp")).toEqual(["pingoo", "pingoo"]);
    expect(of("pingoo-https")).toEqual(["pingoo", "pingoo"]);
    expect(of("hybrid")).toEqual(["pingoo", "nginx"]);
    expect(of("nginx")).toEqual(["nginx", "nginx"]);
  });

  it("knows where announces need no TLS, and that nginx answers there wherever it runs", () => {
    const announced = {
      ...outputs,
      announceUrls: { http: ["https://a.localhost/announce", "http://a.localhost/announce"] },
    };
    const of = (mode: string) => {
      const { httpTrackers, plainTrackers } = readTargets({ ...announced, mode });
      return [httpTrackers[0], ...plainTrackers].map(
        (one) => `${one!.port} ${one!.plain} ${one!.terminator}`,
      );
    };
    expect(of("pingoo")).toEqual(["443 false pingoo", "80 true pingoo"]);
    expect(of("hybrid")).toEqual(["443 false pingoo", "80 true nginx"]);
    const flags = { trackerDomain: "a.org,b.org:8443", httpPort: "8080" };
    const { httpTrackers, plainTrackers } = readTargets(undefined, flags);
    const ports = [...httpTrackers, ...plainTrackers].map(({ host, port }) => `${host}:${port}`);
    expect(ports).toEqual(["a.org:443", "b.org:8443", "a.org:8080", "b.org:8080"]);
    expect(webTargets(readTargets(undefined, flags))).toHaveLength(2);
  });

  it("names every problem at once, and no secret", () => {
    const problems = problemsOf(
      {
        urls: { api: "http://api.localhost", trackers: "x", grafana: "https://user:hunter2@g.localhost" },
        announceUrls: { http: [7], udp: ["udp://tracker.localhost"] },
        addresses: { ipv4: "::1", ipv6: "nowhere" },
        adminToken: "[secret]",
        grafanaAdminPassword: 5,
        mode: "hybird",
        acme: "ftp://x",
        trackerMode: "open",
      },
      {},
    );
    expect(problems).toEqual([
      'mode: "hybird" is none of none, pingoo, pingoo-tcp, pingoo-https, hybrid, nginx. Did you mean hybrid?',
      'trackerMode: "open" is none of public, listed, private.',
      'acme: "ftp://x" is none of none, letsencrypt, letsencrypt-staging or an https:// directory.',
      'addresses.ipv4: "::1" is no IPv4 address.',
      'addresses.ipv6: "nowhere" is no IPv6 address.',
      "urls.api: must begin with https://, not http://.",
      "urls.grafana: must not carry a user or password.",
      "announceUrls.http[0]: must be a URL.",
      "urls.trackers: must be a list of URLs.",
      "announceUrls.udp[0]: names no host and port.",
      "adminToken: is hidden. Write the outputs with `pulumi stack output --json --show-secrets`.",
      "grafanaAdminPassword: must be a text.",
    ]);
    expect(
      problemsOf(undefined, {
        apiDomain: "API.example",
        udpPort: "0",
        httpsPort: "x",
        connect: "1.1.1.1,2.2.2.2",
      }),
    ).toEqual([
      "--connect: names two IPv4 addresses.",
      '--https-port: "x" is no port from 1 to 65535.',
      '--api-domain: "API.example" is no host name in lower case, like tracker.example.org.',
      '--udp-port: "0" is no port from 1 to 65535.',
    ]);
    expect(problemsOf(undefined, { udpPort: "6969" })).toEqual([
      "--udp-port: give --udp-domain or --connect too.",
    ]);
    expect(problemsOf({ volumes: {} })[0]).toMatch(/^outputs: name nothing to check/);
    expect(problemsOf([])).toContain("outputs: must be an object.");
  });

  it("never crashes, whatever the outputs hold", () => {
    fc.assert(
      fc.property(
        fc.anything(),
        fc.record(Object.fromEntries(Object.keys(outputs).map((key) => [key, fc.anything()])), {
          requiredKeys: [],
        }),
        (whole, parts) => {
          for (const given of [whole, parts]) {
            try {
              readTargets(given);
            } catch (error) {
              expect(error).toBeInstanceOf(TargetError);
            }
          }
        },
      ),
    );
  });
});

it("webTargets names each endpoint once, listeners each listener", () => {
  const targets = readTargets({
    ...outputs,
    urls: { ...outputs.urls, trackers: ["https://tracker.localhost:8443", "https://two.localhost:8443"] },
  });
  expect(webTargets(targets).map(({ host }) => host)).toEqual([
    "api.localhost",
    "tracker.localhost",
    "two.localhost",
    "grafana.localhost",
  ]);
  expect(listeners(targets).map(({ host }) => host)).toEqual(["api.localhost", "grafana.localhost"]);
});
