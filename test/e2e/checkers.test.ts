import type Docker from "dockerode";
import { beforeAll, describe, expect, inject, it } from "vitest";

import { renderAlertTemplates } from "../../configs/alertmanager";
import { buildImages } from "../images/build";
import { defaultEngine } from "../images/engine";
import { udpOnly } from "../unit/support/config";
import { deploy, type UploadedFile } from "../unit/support/deploy";
import { ask, type Verdict } from "./support/checker";

/** What of a stack's configuration shows in the files of Prometheus and Alertmanager. */
const stacks = {
  "as it is by default": {},
  "without alerts": { alerts: false },
  "without UDP trackers": { udpTrackers: [] },
  "of UDP trackers alone": { ...udpOnly, prometheus: true },
  "with metrics of the tracker's own": {
    trackerSchemaVersion: "3.0.0",
    images: { tracker: `torrust/tracker@sha256:${"a".repeat(64)}` },
  },
  "with those and without alerts": {
    trackerSchemaVersion: "3.0.0",
    images: { tracker: `torrust/tracker@sha256:${"a".repeat(64)}` },
    alerts: false,
  },
  "with backups": { backup: { repository: "/srv/backup" }, backupPassword: "correct-horse-battery" },
  "with Grafana": { grafana: true, grafanaDomain: "grafana.torrust.org" },
  "with Grafana behind nginx": { grafana: true, grafanaDomain: "grafana.torrust.org", hybrid: true },
  "behind nginx": { tlsProxy: "nginx" },
  "with self-signed certificates": { acme: "none" },
  "with a directory that no client trusts": { acme: "letsencrypt-staging" },
  "with the smallest numbers": { alertDelay: 60, alertCertificateDays: 1, prometheusScrapeInterval: 5 },
};

const checkers = {
  prometheus: ["promtool", "check", "config", "--lint-fatal", "/etc/prometheus/prometheus.yml"],
  alertmanager: ["amtool", "check-config", "/etc/alertmanager/alertmanager.yml"],
} as const;

const url = "https://example.org/s3cr3t";
const email = {
  to: "a@torrust.org, b@torrust.org",
  from: "alerts@torrust.org",
  smtp: "smtp.torrust.org:587",
};
const everybody = {
  webhook: { url, token: "s3cr3t" },
  ntfy: { url, token: "s3cr3t" },
  email: { ...email, username: "alerts", password: "s3cr3t", tls: true },
  slack: { url, channel: "#tracker" },
  discord: { url },
  telegram: { token: "123456:s3cr3t", chatId: -1001234567890 },
  heartbeat: { url },
};
/** What may be left out is left out. */
const terse = { webhook: { url }, ntfy: { url }, email: { ...email, tls: false }, slack: { url } };
const told: readonly (readonly [who: string, receivers: object])[] = [
  ["nobody", {}],
  ["everybody", everybody],
  ...Object.entries(everybody).map(([kind, settings]) => [kind, { [kind]: settings }] as const),
  ...Object.entries(terse).map(([kind, settings]) => [`${kind} at its least`, { [kind]: settings }] as const),
];

describe.skipIf(!inject("engine"))("the files of a stack", { timeout: 120_000 }, () => {
  let docker: Docker;
  let images: Readonly<Record<"prometheus" | "alertmanager", string>>;

  beforeAll(async () => {
    docker = await defaultEngine();
    images = await buildImages({ docker, only: ["prometheus", "alertmanager"] });
  }, 1_800_000);

  /** Asks the checker of a service about the files that its container is given, as the user that reads them there. */
  const check = async (
    service: "prometheus" | "alertmanager",
    values: object,
    change: (text: string) => string = (text) => text,
  ): Promise<Verdict & { readonly paths: readonly string[] }> => {
    const { uploads, user } = (await deploy({ ...values })).container(service) as {
      uploads: readonly UploadedFile[];
      user: string;
    };
    const verdict = await ask(docker, {
      image: images[service],
      user,
      command: checkers[service],
      files: uploads.map(({ file, content, permissions }) => ({
        path: file,
        text: change(content),
        mode: parseInt(permissions, 8),
      })),
    });
    return { ...verdict, paths: uploads.map(({ file }) => file) };
  };

  it.each(Object.entries(stacks))("are such as Prometheus accepts: %s", async (_what, values) => {
    const { code, output, paths } = await check("prometheus", values);
    expect([code, output]).toEqual([0, expect.stringContaining("SUCCESS")]);
    for (const path of paths.filter((path) => path.endsWith(".rules.yml")))
      expect(output).toMatch(new RegExp(`Checking ${path}\\s+SUCCESS: \\d+ rules found`));
  });

  it.each(told)("are such as Alertmanager accepts, when told is %s", async (_who, alertReceivers) => {
    const { code, output } = await check("alertmanager", { alertReceivers });
    expect([code, output]).toEqual([0, expect.stringMatching(/1 templates[^]*SUCCESS/)]);
  });

  it.each([
    [
      "its link",
      { runbook_url: "https://example.org/EndpointDown.md" },
      "https://example.org/EndpointDown.md",
    ],
    ["its name without one", {}, "docs/runbooks/EndpointDown.md"],
  ])("tell where to read on about an alert: by %s", async (_what, annotations, page) => {
    const alert = {
      status: "firing",
      labels: { alertname: "EndpointDown", severity: "critical" },
      annotations: { summary: "s", description: "d", ...annotations },
    };
    const data = { path: "/tmp/data.json", text: JSON.stringify({ status: "firing", alerts: [alert] }) };
    const template = { path: "/tmp/torrust.tmpl", text: renderAlertTemplates("torrust-pingoo-dev") };
    const { output } = await ask(docker, {
      image: images.alertmanager,
      command: [
        ...(["amtool", "template", "render", `--template.glob=${template.path}`] as const),
        `--template.data=${data.path}`,
        '--template.text={{ template "torrust.text" . }}',
      ],
      files: [data, template],
    });
    expect(output.trim()).toBe(`critical: s\nd\nWhat to do: ${page}`);
  });

  it.each([
    ["an expression that does not end", "prometheus", "expr: up == 0", "expr: sum(up"],
    ["a function that there is not", "prometheus", "expr: up == 0", "expr: increas(up[5m])"],
    ["a label that no template can name", "prometheus", "$labels.job", "$labels..job"],
    ["a rule file that is not there", "prometheus", "alerts.rules.yml", "alert.rules.yml"],
    ["a key that there is not", "prometheus", "metrics_path", "metric_path"],
    ["a receiver that there is not", "alertmanager", "receiver: slack", "receiver: slak"],
    ["a matcher that is none", "alertmanager", "alertname = Watchdog", "alertname ~ Watchdog"],
    ["a template that does not end", "alertmanager", "{{ range .Alerts -}}", "{{ range -}}"],
  ] as const)("would be refused with %s", async (_what, service, right, wrong) => {
    const values = { alertReceivers: { slack: { url } } };
    const { code, output } = await check(service, values, (text) => text.replaceAll(right, wrong));
    expect([code === 0, output]).toEqual([false, expect.stringMatching(/FAILED|error/i)]);
  });
});
