import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { renderDashboards } from "../../../configs/dashboards";
import {
  dashboardFolder,
  datasourceUid,
  grafanaEnvironment,
  renderDashboardProviders,
  renderDatasources,
} from "../../../configs/grafana";
import { renderJsonExporterConfig } from "../../../configs/json-exporter";
import { root } from "../support/config";

describe("Grafana's provisioning", () => {
  it("has Prometheus as its only datasource", () => {
    const { datasources } = parse(
      renderDatasources({ prometheusUrl: "http://prometheus:9090", scrapeInterval: 30 }),
    );
    expect(datasources).toEqual([
      expect.objectContaining({
        uid: datasourceUid,
        url: "http://prometheus:9090",
        isDefault: true,
        jsonData: { httpMethod: "POST", timeInterval: "30s" },
      }),
    ]);
  });

  it("loads the dashboards from their folder", () => {
    expect(parse(renderDashboardProviders()).providers[0].options.path).toBe(dashboardFolder);
  });
});

describe("Grafana's environment", () => {
  const environment = grafanaEnvironment({
    publicUrl: "https://grafana.torrust.org:3443",
    passwordFile: "/etc/grafana/admin-password",
  });

  it("knows the public URL, port included", () => {
    expect(environment).toMatchObject({
      GF_SERVER_ROOT_URL: "https://grafana.torrust.org:3443/",
      GF_SERVER_DOMAIN: "grafana.torrust.org",
      GF_LIVE_ALLOWED_ORIGINS: "https://grafana.torrust.org:3443",
    });
  });

  it("holds no secret, only its file", () => {
    expect(Object.keys(environment).filter((key) => /PASSWORD/.test(key))).toEqual([
      "GF_SECURITY_ADMIN_PASSWORD__FILE",
    ]);
  });

  it("keeps cookies to HTTPS and the site", () => {
    expect(environment).toMatchObject({
      GF_SECURITY_COOKIE_SECURE: "true",
      GF_SECURITY_COOKIE_SAMESITE: "strict",
    });
  });
});

/** What the guard's program calls its metrics. */
const guardMetrics =
  readFileSync(join(root, "guard/metrics.py"), "utf8").match(/(?<=")pingoo_\w+(?=")/g) ?? [];

interface Panel {
  title: string;
  type: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; datasource: { uid: string } }[];
}

describe.each(renderDashboards())("dashboard $file", ({ json }) => {
  const { panels } = JSON.parse(json) as { panels: Panel[] };
  const queries = panels.flatMap(({ targets = [] }) => targets);

  it("asks the provisioned datasource", () => {
    expect(queries.length).toBeGreaterThan(0);
    expect(new Set(queries.map(({ datasource }) => datasource.uid))).toEqual(new Set([datasourceUid]));
  });

  it("asks for metrics that an exporter has", () => {
    const tracker: { name: string }[] = parse(renderJsonExporterConfig()).modules.tracker.metrics;
    const known = [
      ...tracker.map(({ name }) => name),
      ...guardMetrics,
      "up",
      "probe_success",
      "probe_duration_seconds",
      "probe_http_duration_seconds",
      "probe_ssl_earliest_cert_expiry",
      "probe_tls_version_info",
    ];
    const asked = queries.flatMap(
      ({ expr }) => expr.match(/\b(torrust_\w+|probe_\w+|pingoo_\w+|up)(?=[[{)])/g) ?? [],
    );
    expect(asked.length).toBeGreaterThanOrEqual(queries.length);
    for (const metric of asked) expect(known).toContain(metric);
  });

  it("never filters by the listener's address family, which is always inet6 on [::]", () => {
    for (const { expr } of queries) expect(expr).not.toContain("server_binding_address_ip_family");
  });

  it("puts no panel on another", () => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    for (const { gridPos } of panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
  });
});

it("has panels for HTTP, UDP, API and TLS", () => {
  const titles = renderDashboards().flatMap(({ json }) =>
    (JSON.parse(json).panels as Panel[]).map(({ title }) => title),
  );
  for (const topic of ["HTTP", "UDP", "API", "TLS"])
    expect(titles.some((title) => title.includes(topic))).toBe(true);
});
