import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { renderPingooConfig, type PingooModel } from "../../../configs/pingoo";

const model: PingooModel = {
  httpsPorts: [443],
  publicHttpsPort: 443,
  hosts: [
    { name: "api", domain: "api.torrust.org", upstream: "http://10.230.7.20:1212" },
    { name: "http-tracker-7070", domain: "tracker.torrust.org", upstream: "http://10.230.7.20:7070" },
  ],
  passthrough: { name: "grafana", ports: [3443], upstream: "tcp://10.230.7.21:3000" },
  acme: {
    directoryUrl: "https://acme-v02.api.letsencrypt.org/directory",
    domains: ["tracker.torrust.org", "api.torrust.org"],
  },
};

describe("pingoo.yml", () => {
  it("of a whole stack", () => expect(renderPingooConfig(model)).toMatchFileSnapshot("golden/pingoo.yml"));

  /** Services of the shared listener, in the order in which Pingoo tries them. */
  const routes = (config: string) => {
    const { listeners, services } = parse(config);
    return (listeners.https.services as string[]).map((name) => services[name].route as string);
  };

  it("routes by host name, with and without its port, before any regular expression", () => {
    expect(routes(renderPingooConfig({ ...model, publicHttpsPort: 8443 }))).toEqual([
      'http_request.host == "api.torrust.org" || http_request.host == "api.torrust.org:8443"',
      'http_request.host == "tracker.torrust.org" || http_request.host == "tracker.torrust.org:8443"',
      expect.stringContaining("Regex"),
      expect.stringContaining("Regex"),
    ]);
  });

  it.each([
    [443, "API.torrust.org", true],
    [443, "api.torrust.org.", true],
    [443, "Api.Torrust.Org.:443", true],
    [8443, "API.TORRUST.ORG:8443", true],
    [8443, "API.TORRUST.ORG", true],
    [8443, "api.torrust.org.:443", false],
    [443, "api.torrust.org.:8443", false],
    [443, "api.torrust.org..", false],
    [443, "xapi.torrust.org", false],
    [443, "apixtorrust.org", false],
    [443, "api.torrust.org.evil.org", false],
    [443, "api.torrust.org:443:443", false],
    [443, "api.torrust.org\n", false],
  ])("with port %i takes %j for the API: %j", (publicHttpsPort, host, taken) => {
    const { services } = parse(renderPingooConfig({ ...model, publicHttpsPort }));
    const [, literal] = /^http_request\.host\.matches\(Regex\((".*")\)\)$/.exec(
      services["api-respelt"].route,
    )!;
    // JavaScript has no flags inside of a pattern.
    const [, pattern] = /^\(\?i-u\)(.*)$/.exec(JSON.parse(literal!))!;
    expect(new RegExp(pattern!, "i").test(host)).toBe(taken);
  });

  it("sends whoever respells a name where the name leads", () => {
    const { services } = parse(renderPingooConfig(model));
    for (const { name, upstream } of model.hosts)
      expect([services[name].http_proxy, services[`${name}-respelt`].http_proxy]).toEqual([
        [upstream],
        [upstream],
      ]);
  });

  it("knows an IP address in one spelling only", () => {
    const hosts = [{ name: "api", domain: "192.0.2.1", upstream: "http://10.230.7.20:1212" }];
    expect(routes(renderPingooConfig({ ...model, hosts }))).toEqual([
      'http_request.host == "192.0.2.1" || http_request.host == "192.0.2.1:443"',
    ]);
  });

  it("gives Grafana a listener that terminates TLS and passes the bytes on", () => {
    const { listeners, services } = parse(renderPingooConfig(model));
    expect(listeners.grafana).toEqual({ address: "tcp+tls://0.0.0.0:3443", services: ["grafana"] });
    expect(services.grafana).toEqual({ tcp_proxy: ["tcp://10.230.7.21:3000"] });
    expect(listeners.https.services).not.toContain("grafana");
  });

  it("answers announces and the like of some names without TLS, and nothing else", () => {
    const [, tracker] = model.hosts;
    const plain = { port: 80, publicPort: 8080, hosts: [tracker!] };
    const { listeners, services } = parse(renderPingooConfig({ ...model, plainHttp: plain }));
    expect(listeners.http).toEqual({
      address: "http://0.0.0.0:80",
      services: ["http-tracker-7070-plain", "http-tracker-7070-plain-respelt"],
    });
    const paths =
      '(http_request.path == "/announce" || http_request.path == "/scrape" || http_request.path == "/health_check" || http_request.path.starts_with("/announce/") || http_request.path.starts_with("/scrape/"))';
    expect(services["http-tracker-7070-plain"]).toEqual({
      route: `(http_request.host == "tracker.torrust.org" || http_request.host == "tracker.torrust.org:8080") && ${paths}`,
      http_proxy: ["http://10.230.7.20:7070"],
    });
    expect(services["http-tracker-7070-plain-respelt"].route).toBe(
      `(http_request.host.matches(Regex("(?i-u)^tracker\\\\.torrust\\\\.org\\\\.?(:8080)?$"))) && ${paths}`,
    );
    expect(listeners.https).toEqual(parse(renderPingooConfig(model)).listeners.https);
  });

  it("has as many equal listeners as there are ports", () => {
    const many = {
      ...model,
      httpsPorts: [443, 20001, 20002],
      passthrough: { ...model.passthrough!, ports: [3443, 20501] },
    };
    const { listeners, services } = parse(renderPingooConfig(many));
    expect(Object.keys(listeners)).toEqual(["https", "https-2", "https-3", "grafana", "grafana-2"]);
    expect(listeners["https-3"]).toEqual({ ...listeners.https, address: "https://0.0.0.0:20002" });
    expect(listeners["grafana-2"]).toEqual({ address: "tcp+tls://0.0.0.0:20501", services: ["grafana"] });
    expect(services).toEqual(parse(renderPingooConfig(model)).services);
  });

  it("has no such listener without Grafana", () => {
    const { listeners, services } = parse(renderPingooConfig({ ...model, passthrough: undefined }));
    expect(Object.keys(listeners)).toEqual(["https"]);
    expect(Object.keys(services)).not.toContain("grafana");
  });

  it("orders certificates without an e-mail address, or none at all", () => {
    expect(parse(renderPingooConfig(model)).tls.acme).toEqual({
      directory_url: "https://acme-v02.api.letsencrypt.org/directory",
      domains: ["api.torrust.org", "tracker.torrust.org"],
    });
    expect(parse(renderPingooConfig({ ...model, acme: undefined })).tls).toBeUndefined();
  });

  it("does not depend on the order in which domains are given", () => {
    const reversed = { ...model, acme: { ...model.acme!, domains: [...model.acme!.domains].reverse() } };
    expect(renderPingooConfig(reversed)).toBe(renderPingooConfig(model));
  });
});
