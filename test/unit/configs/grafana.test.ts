import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { renderDashboards, type DashboardsModel } from "../../../configs/dashboards";
import {
  dashboardFolder,
  datasourceUid,
  grafanaEnvironment,
  renderDashboardProviders,
  renderDatasources,
  renderGrafanaStart,
} from "../../../configs/grafana";
import { readScript } from "../../../scripts";
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

  it("lets nobody sign up, and sends nothing home", () => {
    expect(environment).toMatchObject({
      GF_USERS_ALLOW_SIGN_UP: "false",
      GF_SECURITY_DISABLE_GRAVATAR: "true",
      GF_ANALYTICS_REPORTING_ENABLED: "false",
      GF_ANALYTICS_CHECK_FOR_UPDATES: "false",
      GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES: "false",
    });
  });
});

interface Panel {
  id: number;
  title: string;
  type: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { refId: string; expr: string; datasource: { uid: string }; instant: boolean; range: boolean }[];
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  options?: any;
  fieldConfig?: { defaults: { thresholds?: { steps: { value: number | null }[] } } };
}

describe.each(renderDashboards({ native: true, countDownloads: true }))("dashboard $file", ({ json }) => {
  const { panels, ...model } = JSON.parse(json) as { panels: Panel[] };
  const queries = panels.flatMap(({ targets = [] }) => targets);
  const ofType = (type: string) => panels.filter((panel) => panel.type === type);

  it("is in the form that Grafana 13.0.1 writes itself, for nobody to edit", () =>
    expect(model).toMatchObject({
      schemaVersion: 42,
      editable: false,
      uid: expect.stringMatching(/^torrust-/),
    }));

  it("gives each row and panel a number of its own, which links to it hold", () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const { targets = [] } of panels)
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
  });

  it("asks for the current value where one is shown, and says which that is", () => {
    for (const { title, targets, options } of ofType("stat")) {
      for (const { instant, range } of targets!)
        expect([title, instant, range]).toEqual([title, true, false]);
      expect([title, options.reduceOptions.calcs]).toEqual([title, ["lastNotNull"]]);
    }
  });

  it("colours a value by its own thresholds or not at all, as Grafana's are 80 of whatever", () => {
    for (const { title, options, fieldConfig } of ofType("stat"))
      expect([title, options.colorMode]).toEqual([
        title,
        fieldConfig!.defaults.thresholds ? "value" : "none",
      ]);
  });

  it("draws lines over time, and says which is which", () => {
    for (const { title, targets, options } of ofType("timeseries")) {
      for (const { instant, range } of targets!)
        expect([title, instant, range]).toEqual([title, false, true]);
      expect([title, options.legend.showLegend]).toEqual([title, true]);
    }
  });

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

  it("puts panels on whole cells, which is what Grafana counts in", () => {
    for (const { gridPos } of panels)
      for (const cells of Object.values(gridPos)) expect(Number.isInteger(cells)).toBe(true);
  });
});

it("renders the same each time", () => {
  const model = { native: true, countDownloads: true };
  expect(renderDashboards(model)).toEqual(renderDashboards(model));
});

it("asks of a tracker without metrics of its own for nothing that it lacks", () => {
  for (const { json } of renderDashboards({ native: false, countDownloads: true }))
    for (const { targets = [] } of JSON.parse(json).panels as Panel[])
      for (const { expr } of targets)
        for (const metric of metricsIn(expr)) expect([...seenMetrics, ...guardMetrics]).toContain(metric);
});

it("has panels for HTTP, UDP, API and TLS", () => {
  const titles = titlesOf({ native: false, countDownloads: false });
  for (const topic of ["HTTP", "UDP", "API", "TLS"])
    expect(titles.some((title) => title.includes(topic))).toBe(true);
});

it("shows completed downloads where they are counted", () => {
  expect(titlesOf({ native: false, countDownloads: false })).not.toContain("Completed");
  expect(titlesOf({ native: false, countDownloads: true })).toContain("Completed");
});

function titlesOf(model: DashboardsModel): string[] {
  return renderDashboards(model).flatMap(({ json }) =>
    (JSON.parse(json).panels as Panel[]).map(({ title }) => title),
  );
}

describe("Grafana's start", () => {
  /** What the start does with a `grafana` that notes its arguments and its input and then exits with `code`. */
  const start = (code: number, hasDatabase: boolean) => {
    const folder = mkdtempSync(join(tmpdir(), "grafana-start-"));
    try {
      const [password, log, run] = ["password", "log", "run.sh"].map((name) => join(folder, name));
      writeFileSync(password!, "correct-horse");
      if (hasDatabase) writeFileSync(join(folder, "grafana.db"), "x");
      const program = (path: string, text: string) => {
        writeFileSync(path, `#!/bin/sh\n${text}\n`);
        chmodSync(path, 0o755);
      };
      program(
        join(folder, "grafana"),
        `echo "$*" >>${log}; cat >>${log}; echo >>${log}; echo reason; exit ${code}`,
      );
      program(run!, `echo started >>${log}`);
      const { stderr, status } = spawnSync("sh", {
        input: renderGrafanaStart(readScript("grafana-start.sh"), password!).replace("/run.sh", run!),
        env: {
          PATH: `${folder}${delimiter}${process.env.PATH}`,
          GF_PATHS_DATA: folder,
          GF_PATHS_HOME: "/home",
          GF_PATHS_CONFIG: "/config",
        },
        encoding: "utf8",
      });
      return { did: readFileSync(log!, "utf8").trim().split("\n"), stderr, status };
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
  const reset = "cli --homepath /home --config /config admin reset-admin-password --password-from-stdin";

  it("sets the password by Grafana's own command, which gets it as its input", () =>
    expect(start(0, true)).toEqual({ did: [reset, "correct-horse", "started"], stderr: "", status: 0 }));

  it("leaves a first start alone", () =>
    expect(start(0, false)).toEqual({ did: ["started"], stderr: "", status: 0 }));

  it("says when the password could not be set, and goes on", () =>
    expect(start(1, true)).toEqual({
      did: [reset, "correct-horse", "started"],
      stderr: "The administrator's password could not be set, the database's own holds: reason\n",
      status: 0,
    }));
});
