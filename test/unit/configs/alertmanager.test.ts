import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import {
  renderAlertmanagerConfig,
  renderAlertTemplates,
  secretFiles,
  type AlertReceivers,
} from "../../../configs/alertmanager";
import { alertsOf } from "../../../configs/alerts";

const all: AlertReceivers<string> = {
  webhook: { url: "https://s3cr3t/1", token: "s3cr3t-2" },
  ntfy: { url: "https://ntfy.sh/s3cr3t-3?template=alertmanager", token: "s3cr3t-4" },
  email: {
    to: "a@torrust.org, b@torrust.org",
    from: "alerts@torrust.org",
    smtp: "smtp.torrust.org:587",
    username: "alerts",
    password: "s3cr3t-5",
    tls: true,
  },
  slack: { url: "https://hooks.slack.com/s3cr3t-6", channel: "#tracker" },
  discord: { url: "https://discord.com/api/webhooks/s3cr3t-7" },
  telegram: { token: "s3cr3t-8", chatId: -1001234567890 },
  heartbeat: { url: "https://hc-ping.com/s3cr3t-9" },
};
const rendered = (receivers: AlertReceivers<string>, delay = 300, scrapeInterval = 15) =>
  parse(renderAlertmanagerConfig({ receivers, delay, scrapeInterval }));

describe("alertmanager.yml", () => {
  it("with every receiver", () =>
    expect(renderAlertmanagerConfig({ receivers: all, delay: 300, scrapeInterval: 15 })).toMatchFileSnapshot(
      "golden/alertmanager.yml",
    ));

  it("holds no secret, and names a file for each", () => {
    const text = renderAlertmanagerConfig({ receivers: all, delay: 300, scrapeInterval: 15 });
    expect(text).not.toContain("s3cr3t");
    const files = secretFiles(all);
    expect(files.map(({ secret }) => /s3cr3t.(\d)/.exec(secret)![1]).sort()).toEqual([..."123456789"]);
    for (const { path } of files) expect(text).toContain(path);
    expect(new Set(files.map(({ path }) => path)).size).toBe(files.length);
  });

  it("tells nobody where there is nobody", () => {
    const { receivers, route } = rendered({});
    expect(receivers).toEqual([{ name: "nobody" }]);
    expect(route.receiver).toBe("nobody");
    expect(secretFiles({})).toEqual([]);
  });

  it("tells everybody of faults, and the heartbeat of nothing else than that alerting works", () => {
    const { route, receivers } = rendered(all);
    const kinds = ["webhook", "ntfy", "email", "slack", "discord", "telegram"];
    expect(receivers.map(({ name }: { name: string }) => name)).toEqual(["nobody", ...kinds, "heartbeat"]);
    const [watchdog, test, ...others] = route.routes;
    expect([watchdog.matchers, watchdog.receiver]).toEqual([["alertname = Watchdog"], "heartbeat"]);
    expect(watchdog.continue).toBeUndefined();
    const everybody = kinds.map((receiver) => ({ receiver, continue: true }));
    expect([test.matchers, test.routes]).toEqual([["alertname = TestAlert"], everybody]);
    expect(others).toEqual(everybody);
  });

  it("waits in proportion to the configured delay, and for what is seen later", () => {
    expect(rendered(all, 300, 5).route).toMatchObject({ group_wait: "30s", group_interval: "300s" });
    expect(rendered(all, 20, 5).route).toMatchObject({ group_wait: "15s", group_interval: "20s" });
  });

  it("hides by and behind alerts that exist", () => {
    const model = { delay: 1, scrapeInterval: 1, certificateDays: 21, ordered: true, verifiable: true };
    const known = alertsOf(model).map(({ name }) => name);
    const matchers = rendered(all).inhibit_rules.flatMap(
      (rule: { source_matchers: string[]; target_matchers: string[] }) => [
        ...rule.source_matchers,
        ...rule.target_matchers,
      ],
    ) as string[];
    const named = matchers.flatMap((matcher) => /^alertname =~? (.+)$/.exec(matcher)?.[1]?.split("|") ?? []);
    expect(named.length).toBeGreaterThan(10);
    for (const name of named) expect(known).toContain(name);
  });
});

it("renders texts that say which stack speaks", () => {
  expect(renderAlertTemplates("torrust-pingoo-production")).toContain("- torrust-pingoo-production\n");
});
