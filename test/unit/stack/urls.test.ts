import { describe, expect, it } from "vitest";

import { announceUrls, apiUrl, grafanaUrl, proxyMode } from "../../../stack/urls";
import { plainHttp, settingsOf, udpOnly } from "../support/config";

const grafana = { grafana: true, grafanaDomain: "grafana.torrust.org" };

describe("URLs", () => {
  it("leave out the port that https implies", () => {
    expect(apiUrl(settingsOf())).toBe("https://api.torrust.org");
    expect(apiUrl(settingsOf({ httpsPort: 8443 }))).toBe("https://api.torrust.org:8443");
  });

  it("have none for an API that is not public", () => {
    expect(apiUrl(settingsOf({ apiDomain: "" }))).toBeUndefined();
  });

  it("announce over HTTP and UDP", () => {
    const settings = settingsOf({
      httpsPort: 8443,
      udpTrackers: [{ port: 6969 }, { port: 6868, domain: "udp.torrust.org" }],
    });
    expect(announceUrls(settings)).toEqual({
      http: ["https://tracker.torrust.org:8443/announce"],
      udp: ["udp://tracker.torrust.org:6969/announce", "udp://udp.torrust.org:6868/announce"],
    });
  });

  it("announce without TLS where that is wanted, after those with it", () => {
    const two = { httpTrackers: [...plainHttp.httpTrackers, { domain: "b.torrust.org" }] };
    expect(announceUrls(settingsOf(two)).http).toEqual([
      "https://tracker.torrust.org/announce",
      "https://b.torrust.org/announce",
      "http://tracker.torrust.org/announce",
    ]);
    expect(announceUrls(settingsOf({ ...plainHttp, httpPort: 7070 })).http[1]).toBe(
      "http://tracker.torrust.org:7070/announce",
    );
  });

  it("lead to Grafana where it listens", () => {
    expect(grafanaUrl(settingsOf(grafana).grafana!)).toBe("https://grafana.torrust.org:3443");
    expect(grafanaUrl(settingsOf({ ...grafana, grafanaOnHttps: true }).grafana!)).toBe(
      "https://grafana.torrust.org",
    );
  });
});

it.each([
  [{}, "pingoo"],
  [grafana, "pingoo-tcp"],
  [{ ...grafana, grafanaOnHttps: true }, "pingoo-https"],
  [{ ...grafana, hybrid: true }, "hybrid"],
  [{ ...grafana, hybrid: true, tlsProxy: "nginx" }, "nginx"],
  [{ tlsProxy: "nginx" }, "nginx"],
  [udpOnly, "none"],
  [{ ...udpOnly, tlsProxy: "nginx" }, "none"],
  [{ ...udpOnly, ...grafana, prometheus: true }, "pingoo-tcp"],
  [{ ...udpOnly, ...grafana, prometheus: true, hybrid: true }, "nginx"],
])("%j runs in mode %s", (values, mode) => expect(proxyMode(settingsOf(values))).toBe(mode));
