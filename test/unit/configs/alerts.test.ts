import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { alertsOf, renderAlertRules, type AlertModel } from "../../../configs/alerts";
import { guardAlerts } from "../../../configs/guard";
import { trackerMemoryAlert } from "../../../configs/tracker-memory";
import { certbotMetrics, guardMetrics, metricsIn, seenMetrics } from "../../support/metrics";
import { root } from "../support/config";

const model: AlertModel = {
  delay: 300,
  scrapeInterval: 15,
  certificateDays: 21,
  ordered: true,
  verifiable: true,
  backup: { maxAge: 172_800 },
  runbooks: "https://example.org/docs/runbooks",
  more: [trackerMemoryAlert(2944), ...guardAlerts],
};
const namesOf = (changes: Partial<AlertModel>) => alertsOf({ ...model, ...changes }).map(({ name }) => name);

interface Rule {
  readonly alert: string;
  readonly for: string;
  readonly keep_firing_for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly runbook_url: string };
}
const rulesOf = (changes: Partial<AlertModel>) =>
  parse(renderAlertRules({ ...model, ...changes })).groups[0].rules as Rule[];

describe("the alerts", () => {
  it("are rendered", () => expect(renderAlertRules(model)).toMatchFileSnapshot("golden/alerts.rules.yml"));

  it("ask for metrics that exporters have", () => {
    for (const { name, expr } of alertsOf(model))
      for (const metric of metricsIn(expr))
        expect([name, [...seenMetrics, ...guardMetrics, ...certbotMetrics]]).toEqual([
          name,
          expect.arrayContaining([metric]),
        ]);
  });

  it("take a self-signed certificate for a failure only where one was ordered", () => {
    expect(namesOf({ ordered: false })).not.toContain("CertificateSelfSigned");
  });

  it("expect the world to trust only what the world can verify", () => {
    expect(namesOf({ verifiable: false })).not.toContain("CertificateUntrusted");
  });

  it("look after backups only where there are some", () => {
    expect(namesOf({ backup: undefined }).filter((name) => name.startsWith("Backup"))).toEqual([]);
    expect(namesOf({}).filter((name) => name.startsWith("Backup"))).toHaveLength(2);
  });

  it("wait as long as the configuration says, or longer where that would be too short", () => {
    const waits = (delay: number) =>
      Object.fromEntries(rulesOf({ delay }).map((rule) => [rule.alert, rule.for]));
    expect(waits(60)).toMatchObject({ Watchdog: "10s", EndpointDown: "60s", HighCpu: "3600s" });
    expect(waits(7200)).toMatchObject({ Watchdog: "10s", EndpointDown: "7200s", HighCpu: "7200s" });
  });

  it("have those that hide others outlast them", () => {
    expect(rulesOf({}).find(({ alert }) => alert === "TrackerDown")).toMatchObject({
      keep_firing_for: "45s",
    });
  });

  it("turn critical at a third of the days", () => {
    const critical = (certificateDays: number) =>
      alertsOf({ ...model, certificateDays }).find(({ name }) => name === "CertificateExpiring")!.expr;
    expect(critical(21)).toMatch(/ < 604800$/);
    expect(critical(2)).toMatch(/ < 86400$/);
  });

  it("take what other parts of the stack add", () => {
    const more = [
      { name: "GuardDown", expr: "up == 0", severity: "warning", summary: "s", description: "d" } as const,
    ];
    expect(namesOf({ more }).at(-1)).toBe("GuardDown");
  });
});

describe("docs/runbooks", () => {
  const folder = join(root, "docs/runbooks");
  const pages = readdirSync(folder).filter((file) => file !== "README.md");

  it("has a page for each alert, and no other", () => {
    expect(pages.sort()).toEqual(
      namesOf({})
        .map((name) => `${name}.md`)
        .sort(),
    );
  });

  it("is where the alerts' links lead", () => {
    for (const { alert, annotations } of rulesOf({}))
      expect(annotations.runbook_url).toBe(`https://example.org/docs/runbooks/${alert}.md`);
  });

  it("is not linked to where nobody says where it is published", () => {
    for (const { annotations } of rulesOf({ runbooks: undefined }))
      expect(Object.keys(annotations)).toEqual(["summary", "description"]);
  });

  it.each(pages)("%s says what it means, how to look and what to do", (page) => {
    const text = readFileSync(join(folder, page), "utf8");
    expect(text.split("\n")[0]).toBe(`# ${page.replace(/\.md$/, "")}`);
    for (const heading of ["## What it means", "## Look", "## Do"]) expect(text).toContain(`\n${heading}\n`);
  });

  it("lists all of them", () => {
    const index = readFileSync(join(folder, "README.md"), "utf8");
    for (const page of pages) expect(index).toContain(`](${page})`);
  });
});
