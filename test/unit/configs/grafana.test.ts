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
import { guardMetrics, metricsIn, nativeMetrics, seenMetrics } from "../../support/metrics";

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

  it("has Alertmanager where there is one", () => {
    const { datasources } = parse(
      renderDatasources({
        prometheusUrl: "http://prometheus:9090",
        alertmanagerUrl: "http://alertmanager:9093",
        scrapeInterval: 30,
      }),
    );
    expect(datasources.map(({ uid, type }: { uid: string; type: string }) => [uid, type])).toEqual([
      ["prometheus", "prometheus"],
      ["alertmanager", "alertmanager"],
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

interface Panel {
  title: string;
  type: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; datasource: { uid: string } }[];
}

describe.each(renderDashboards({ native: true }))("dashboard $file", ({ json }) => {
  const { panels } = JSON.parse(json) as { panels: Panel[] };
  const queries = panels.flatMap(({ targets = [] }) => targets);

  it("asks the provisioned datasource", () => {
    expect(queries.length).toBeGreaterThan(0);
    expect(new Set(queries.map(({ datasource }) => datasource.uid))).toEqual(new Set([datasourceUid]));
  });

  it("asks for metrics that an exporter has", () => {
    const asked = queries.flatMap(({ expr }) => metricsIn(expr));
    expect(asked.length).toBeGreaterThanOrEqual(queries.length);
    for (const metric of asked) expect([...seenMetrics, ...guardMetrics, ...nativeMetrics]).toContain(metric);
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

it("asks of a tracker without metrics of its own for nothing that it lacks", () => {
  for (const { json } of renderDashboards({ native: false }))
    for (const { targets = [] } of JSON.parse(json).panels as Panel[])
      for (const { expr } of targets)
        for (const metric of metricsIn(expr)) expect([...seenMetrics, ...guardMetrics]).toContain(metric);
});

it("has panels for HTTP, UDP, API and TLS", () => {
  const titles = renderDashboards({ native: false }).flatMap(({ json }) =>
    (JSON.parse(json).panels as Panel[]).map(({ title }) => title),
  );
  for (const topic of ["HTTP", "UDP", "API", "TLS"])
    expect(titles.some((title) => title.includes(topic))).toBe(true);
});
