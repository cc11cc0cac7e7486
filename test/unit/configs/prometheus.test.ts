import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { renderBlackboxConfig } from "../../../configs/blackbox";
import { guardAlias, guardJob } from "../../../configs/guard";
import { renderJsonExporterConfig } from "../../../configs/json-exporter";
import {
  renderPrometheusConfig,
  renderTrackerRules,
  type PrometheusModel,
} from "../../../configs/prometheus";

const model: PrometheusModel = {
  scrapeInterval: 15,
  trackerApi: "tracker:1212",
  tracker: { kind: "json", exporter: "json-exporter:7979", token: "a/b+c" },
  blackbox: "blackbox:9115",
  endpoints: [
    {
      service: "api",
      domain: "api.torrust.org",
      publicUrl: "https://api.torrust.org",
      probeUrl: "https://10.230.7.10:443/api/health_check",
    },
    {
      service: "http-tracker",
      domain: "tracker.torrust.org",
      publicUrl: "http://tracker.torrust.org",
      probeUrl: "http://plain-http:80/health_check",
      plain: true,
    },
  ],
  verifiable: true,
  udpProbe: "udp-probe:9117",
  udpTrackers: [{ announceUrl: "udp://tracker.torrust.org:6969/announce", address: "10.230.7.84:6969" }],
  jobs: [{ name: "node", targets: ["node-exporter:9100"] }],
  alertmanager: "alertmanager:9093",
  ruleFiles: [],
};
const native: PrometheusModel = {
  ...model,
  tracker: { kind: "native", tokenFile: "/etc/prometheus/tracker-token" },
  ruleFiles: ["/etc/prometheus/tracker.rules.yml"],
};

// eslint-disable-next-line @typescript-eslint/no-explicit-any
const job = (text: string, name: string): any =>
  parse(text).scrape_configs.find(({ job_name }: { job_name: string }) => job_name === name);

describe("prometheus.yml", () => {
  it("for tracker 3.0.0", () =>
    expect(renderPrometheusConfig(model)).toMatchFileSnapshot("golden/prometheus-json.yml"));
  it("for its successors", () =>
    expect(renderPrometheusConfig(native)).toMatchFileSnapshot("golden/prometheus-native.yml"));

  it("encodes the token where only the query takes it", () => {
    expect(job(renderPrometheusConfig(model), "tracker").params.target).toEqual([
      "http://tracker:1212/api/v1/stats?token=a%2Fb%2Bc",
    ]);
  });

  it("reads the token from a file where a header takes it", () => {
    const tracker = job(renderPrometheusConfig(native), "tracker");
    expect(tracker.authorization).toEqual({ credentials_file: "/etc/prometheus/tracker-token" });
    expect(tracker.params).toEqual({ format: ["prometheus"] });
  });

  it("probes each endpoint at the proxy's address under its real name", () => {
    expect(job(renderPrometheusConfig(model), "endpoints").static_configs).toEqual([
      {
        targets: ["https://10.230.7.10:443/api/health_check"],
        labels: {
          service: "api",
          instance: "https://api.torrust.org",
          __param_hostname: "api.torrust.org",
          __param_module: "https",
        },
      },
      {
        targets: ["http://plain-http:80/health_check"],
        labels: {
          service: "http-tracker",
          instance: "http://tracker.torrust.org",
          __param_hostname: "tracker.torrust.org",
          __param_module: "http",
        },
      },
    ]);
  });

  it("verifies the certificates of those that have one", () => {
    const { static_configs } = job(renderPrometheusConfig(model), "certificates");
    expect(static_configs).toMatchObject([
      { labels: { instance: "https://api.torrust.org", __param_module: "https-verified" } },
    ]);
  });
});

it("renders rules that translate new metrics into the JSON exporter's names", async () => {
  await expect(renderTrackerRules()).toMatchFileSnapshot("golden/tracker.rules.yml");
  const exported = new Set(
    parse(renderJsonExporterConfig()).modules.tracker.metrics.map(({ name }: { name: string }) => name),
  );
  const recorded = new Set(
    parse(renderTrackerRules()).groups[0].rules.map(({ record }: { record: string }) => record),
  );
  expect(recorded).toEqual(exported);
});

it("renders the JSON exporter's configuration", async () => {
  await expect(renderJsonExporterConfig()).toMatchFileSnapshot("golden/json-exporter.yml");
});

describe("the blackbox exporter's configuration", () => {
  const { modules } = parse(renderBlackboxConfig(true));

  it("is rendered", () => expect(renderBlackboxConfig(false)).toMatchFileSnapshot("golden/blackbox.yml"));

  it("reports certificates that cannot be verified, and verifies them separately", () => {
    expect(modules.https.http.tls_config).toEqual({ insecure_skip_verify: true });
    expect(modules["https-verified"].http.tls_config).toEqual({ insecure_skip_verify: false });
  });

  it("reads what parts of the stack add", () => {
    const config = renderPrometheusConfig({
      ...model,
      jobs: [{ name: "node", targets: ["node:9100"] }, guardJob("10.230.7.74")],
    });
    expect(job(config, "node").static_configs).toEqual([{ targets: ["node:9100"] }]);
    expect(job(config, "pingoo")).toMatchObject({
      dns_sd_configs: [{ names: [guardAlias], type: "A", port: 9180 }],
      relabel_configs: [{ regex: "10\\.230\\.7\\.74:9180", action: "keep" }, { replacement: "pingoo:9180" }],
    });
  });

  it("does all of it over IPv6 as well, where that is served, and falls back to nothing else", () => {
    const names = ["https", "https-verified", "http"];
    expect(Object.keys(modules)).toEqual([...names, ...names.map((name) => `${name}-ipv6`)]);
    for (const name of names) {
      const { preferred_ip_protocol: usual, ...http } = modules[name].http;
      expect(usual).toBe("ip4");
      expect(modules[`${name}-ipv6`].http).toEqual({
        preferred_ip_protocol: "ip6",
        ip_protocol_fallback: false,
        ...http,
      });
    }
  });

  it("sends a User-Agent, without which Pingoo refuses", () => {
    for (const name of Object.keys(modules)) expect(modules[name].http.headers["User-Agent"]).toBeTruthy();
  });
});
