import type Docker from "dockerode";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { parse, stringify } from "yaml";

import { defaultEngine } from "../images/engine";
import { buildImages } from "../images/build";
import { alertsOf, renderAlertRules, type AlertModel } from "../../configs/alerts";
import { guardAlerts } from "../../configs/guard";
import { renderTrackerRules } from "../../configs/prometheus";
import { trackerMemoryAlert } from "../../configs/tracker-memory";
import { ask } from "./support/checker";

const day = 86_400;
const model: AlertModel = {
  delay: 300,
  scrapeInterval: 15,
  certificateDays: 21,
  ordered: true,
  verifiable: true,
  backup: { maxAge: 2 * day },
  runbooks: "https://example.org/docs/runbooks",
  more: [trackerMemoryAlert(1000), ...guardAlerts],
};

/** What Prometheus sees, a sample a minute (https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/). */
type Series = Readonly<Record<string, string>>;

interface Case {
  readonly what: string;
  readonly series: Series;
  /** @default 20m */
  readonly at?: string;
  /** Label by which the firing alerts are told apart, and its values; none fires when empty. */
  readonly firing: readonly Readonly<Record<string, string>>[];
}

const api = '{job="endpoints",service="api",instance="https://api"}';
const grafana = '{job="endpoints",service="grafana",instance="https://grafana"}';
const udp = '{job="udp-trackers",service="udp-tracker",instance="udp://t:6969/announce"}';
const expiry = (days: number): Series => ({ [`probe_ssl_earliest_cert_expiry${api}`]: `${days * day}x1440` });
const chain = (subject: string, issuer: string): Series => ({
  [`probe_ssl_last_chain_info{job="endpoints",service="api",instance="https://api",subject="${subject}",issuer="${issuer}"}`]:
    "1x60",
});
const announces = 'torrust_tracker_requests_total{request_kind="announce",protocol="http"}';
/** Megabytes that the tracker holds, and that the machine has besides. */
const memory = (held: number, available: number): Series => ({
  'torrust_tracker_memory_bytes{job="node"}': `${held * 2 ** 20}x60`,
  'node_memory_MemAvailable_bytes{job="node"}': `${available * 2 ** 20}x60`,
});
const disk = (avail: string): Series => ({
  'node_filesystem_avail_bytes{job="node",device="/dev/a",mountpoint="/etc/hostname"}': avail,
  'node_filesystem_avail_bytes{job="node",device="/dev/a",mountpoint="/metrics"}': avail,
  'node_filesystem_size_bytes{job="node",device="/dev/a",mountpoint="/etc/hostname"}': "1000x1440",
  'node_filesystem_size_bytes{job="node",device="/dev/a",mountpoint="/metrics"}': "1000x1440",
});

const cases: Readonly<Record<string, readonly Case[]>> = {
  Watchdog: [{ what: "always", series: {}, firing: [{}] }],
  TrackerDown: [
    {
      what: "nothing of it answers",
      series: {
        'up{job="tracker"}': "0x60",
        [`probe_success${api}`]: "0x60",
        [`probe_success${udp}`]: "0x60",
      },
      firing: [{ job: "tracker" }],
    },
    {
      what: "its probes are gone as well",
      series: { 'up{job="tracker"}': "0x60" },
      firing: [{ job: "tracker" }],
    },
    {
      what: "only its statistics cannot be read",
      series: {
        'up{job="tracker"}': "0x60",
        [`probe_success${udp}`]: "1x60",
        [`probe_success${api}`]: "0x60",
      },
      firing: [],
    },
    {
      what: "it was away for less than the delay",
      series: { 'up{job="tracker"}': "1x10 0x3 1x40", [`probe_success${api}`]: "1x10 0x3 1x40" },
      firing: [],
    },
  ],
  EndpointDown: [
    {
      what: "one of two does not answer",
      series: { [`probe_success${api}`]: "0x60", [`probe_success${grafana}`]: "1x60" },
      firing: [{ service: "api" }],
    },
  ],
  UdpTrackerDown: [
    { what: "no answer", series: { [`probe_success${udp}`]: "0x60" }, firing: [{ service: "udp-tracker" }] },
    { what: "an answer", series: { [`probe_success${udp}`]: "1x60" }, firing: [] },
  ],
  TrackerWithoutAnnounces: [
    { what: "they stop", series: { [announces]: "0+10x300 3000x200" }, at: "380m", firing: [{}] },
    { what: "there were few before", series: { [announces]: "0+1x300 300x200" }, at: "380m", firing: [] },
    { what: "they go on", series: { [announces]: "0+10x500" }, at: "380m", firing: [] },
    {
      what: "the tracker has been restarted",
      series: { [announces]: "0+10x300 0+10x200" },
      at: "380m",
      firing: [],
    },
  ],
  TrackerMemory: [
    {
      what: "it holds more than four fifths of its limit",
      series: memory(801, 5000),
      firing: [{ job: "node" }],
    },
    { what: "it holds less", series: memory(799, 5000), firing: [] },
    { what: "the machine has less than its limit", series: memory(405, 100), firing: [{ job: "node" }] },
    { what: "there is hardly a torrent yet", series: memory(5, 100), firing: [] },
  ],
  CertificateRenewalOverdue: [
    { what: "20 days are left", series: expiry(20), firing: [{ instance: "https://api" }] },
    { what: "22 days are left", series: expiry(22), firing: [] },
  ],
  CertificateExpiring: [
    { what: "6 days are left", series: expiry(6), firing: [{ instance: "https://api" }] },
    { what: "8 days are left", series: expiry(8), firing: [] },
  ],
  CertificateSelfSigned: [
    {
      what: "it signed itself",
      series: chain("CN=Pingoo", "CN=Pingoo"),
      firing: [{ instance: "https://api" }],
    },
    { what: "an authority signed it", series: chain("CN=api", "CN=E7,O=Let's Encrypt"), firing: [] },
    { what: "an authority signed it without a subject", series: chain("", "CN=YE1"), firing: [] },
    {
      what: "two endpoints are signed by each other's name",
      series: {
        ...chain("CN=a", "CN=b"),
        'probe_ssl_last_chain_info{job="endpoints",service="grafana",instance="https://grafana",subject="CN=b",issuer="CN=a"}':
          "1x60",
      },
      firing: [],
    },
  ],
  CertificateUntrusted: [
    {
      what: "only the verifying probe fails",
      series: {
        [`probe_success${api}`]: "1x60",
        'probe_success{job="certificates",service="api",instance="https://api"}': "0x60",
      },
      firing: [{ instance: "https://api" }],
    },
    {
      what: "both fail",
      series: {
        [`probe_success${api}`]: "0x60",
        'probe_success{job="certificates",service="api",instance="https://api"}': "0x60",
      },
      firing: [],
    },
  ],
  CertbotFailing: [
    {
      what: "twice in a row",
      series: { 'torrust_certbot_failures{domain="a"}': "2x60" },
      firing: [{ domain: "a" }],
    },
    { what: "once", series: { 'torrust_certbot_failures{domain="a"}': "1x60" }, firing: [] },
  ],
  CertbotStalled: [
    {
      what: "no look for 27 hours",
      series: { torrust_certbot_last_run_timestamp_seconds: "0x1800" },
      at: "27h",
      firing: [{}],
    },
    {
      what: "no look for 13 hours",
      series: { torrust_certbot_last_run_timestamp_seconds: `${14 * 3600}x1800` },
      at: "27h",
      firing: [],
    },
    { what: "there is no certbot", series: {}, at: "27h", firing: [] },
  ],
  DiskAlmostFull: [
    { what: "9 % free", series: disk("90x1440"), firing: [{ device: "/dev/a" }] },
    { what: "11 % free", series: disk("110x1440"), firing: [] },
  ],
  DiskFilling: [
    {
      what: "a tenth less in ten hours",
      series: disk("490-0.2x1440"),
      at: "600m",
      firing: [{ device: "/dev/a" }],
    },
    { what: "hardly anything less", series: disk("490-0.01x1440"), at: "600m", firing: [] },
    { what: "it has been measured for an hour only", series: disk("490-2x90"), at: "80m", firing: [] },
  ],
  ClockSkew: [
    {
      what: "0.1 s late",
      series: { 'node_timex_offset_seconds{job="node"}': "-0.1x60" },
      firing: [{ job: "node" }],
    },
    { what: "0.01 s early", series: { 'node_timex_offset_seconds{job="node"}': "0.01x60" }, firing: [] },
  ],
  ClockNotSynchronised: [
    {
      what: "nobody has said for long",
      series: {
        'node_timex_sync_status{job="node"}': "0x60",
        'node_timex_maxerror_seconds{job="node"}': "16x60",
      },
      firing: [{ job: "node" }],
    },
    {
      what: "just after a start",
      series: {
        'node_timex_sync_status{job="node"}': "0x60",
        'node_timex_maxerror_seconds{job="node"}': "1x60",
      },
      firing: [],
    },
  ],
  HighCpu: [
    {
      what: "a tenth idle for hours",
      series: { 'node_cpu_seconds_total{job="node",mode="idle",cpu="0"}': "0+6x300" },
      at: "120m",
      firing: [{}],
    },
    {
      what: "a tenth idle for half an hour",
      series: { 'node_cpu_seconds_total{job="node",mode="idle",cpu="0"}': "0+60x200 12000+6x30" },
      at: "230m",
      firing: [],
    },
  ],
  HighMemory: [
    {
      what: "5 % available for hours",
      series: {
        'node_memory_MemAvailable_bytes{job="node"}': "5x300",
        'node_memory_MemTotal_bytes{job="node"}': "100x300",
      },
      at: "120m",
      firing: [{ job: "node" }],
    },
  ],
  BackupTooOld: [
    {
      what: "the last is three days old",
      series: { torrust_backup_last_success_timestamp_seconds: `0x${3 * 1440}` },
      at: "72h",
      firing: [{}],
    },
    {
      what: "the last is a day old",
      series: { torrust_backup_last_success_timestamp_seconds: `${2 * day}x${3 * 1440}` },
      at: "72h",
      firing: [],
    },
  ],
  BackupMissing: [
    { what: "none for three days", series: {}, at: "72h", firing: [{}] },
    { what: "none in the first day", series: {}, at: "24h", firing: [] },
  ],
  PingooDown: [
    { what: "it does not run", series: { pingoo_up: "0x60" }, firing: [{}] },
    { what: "it was away for less than the delay", series: { pingoo_up: "1x10 0x3 1x40" }, firing: [] },
  ],
  PingooWithoutAcme: [
    { what: "for two hours", series: { pingoo_without_acme: "1x180" }, at: "120m", firing: [{}] },
    { what: "for half an hour", series: { pingoo_without_acme: "0x90 1x90" }, at: "120m", firing: [] },
  ],
  PingooRestarts: [
    {
      what: "every ten minutes",
      series: { 'pingoo_restarts_total{reason="hung"}': "0+0.1x180" },
      at: "120m",
      firing: [{}],
    },
    {
      what: "because of its directory",
      series: { 'pingoo_restarts_total{reason="acme"}': "0+0.1x180" },
      at: "120m",
      firing: [],
    },
  ],
  PingooListenersBlocked: [
    {
      what: "a tenth of them",
      series: {
        'pingoo_guard_listeners{listener="https"}': "128x60",
        'pingoo_guard_listeners_blocked{listener="https"}': "13x60",
      },
      firing: [{ listener: "https" }],
    },
    {
      what: "one of them",
      series: {
        'pingoo_guard_listeners{listener="https"}': "128x60",
        'pingoo_guard_listeners_blocked{listener="https"}': "1x60",
      },
      firing: [],
    },
  ],
  PingooUnguarded: [
    { what: "no sockets can be destroyed", series: { pingoo_guard_can_destroy: "0x60" }, firing: [{}] },
    { what: "the rules are gone", series: { pingoo_guard_rules_loaded: "0x60" }, firing: [{}] },
    {
      what: "all is there",
      series: { pingoo_guard_can_destroy: "1x60", pingoo_guard_rules_loaded: "1x60" },
      firing: [],
    },
  ],
  PingooUnderAttack: [
    {
      what: "ten a second",
      series: { 'pingoo_guard_cuts_total{reason="silent"}': "0+600x90" },
      at: "60m",
      firing: [{}],
    },
    {
      what: "one a second",
      series: { 'pingoo_guard_cuts_total{reason="silent"}': "0+60x90" },
      at: "60m",
      firing: [],
    },
  ],
  TargetDown: [
    {
      what: "one is away",
      series: { 'up{job="node"}': "0x60", 'up{job="tracker"}': "1x60" },
      firing: [{ job: "node" }],
    },
  ],
  NotificationsFailing: [
    {
      what: "one kind fails again and again",
      series: {
        'alertmanager_notifications_failed_total{receiver_name="slack",reason="clientError"}': "0+1x60",
        'alertmanager_notifications_failed_total{receiver_name="email",reason="other"}': "0x60",
      },
      firing: [{ receiver_name: "slack" }],
    },
  ],
  RuleEvaluationFailing: [
    {
      what: "a rule fails again and again",
      series: { 'prometheus_rule_evaluation_failures_total{rule_group="alerts"}': "0+1x60" },
      firing: [{}],
    },
  ],
};

describe.skipIf(!inject("engine"))("the rules", { timeout: 120_000 }, () => {
  let docker: Docker;
  let image: string;

  beforeAll(async () => {
    docker = await defaultEngine();
    ({ prometheus: image } = await buildImages({ docker, only: ["prometheus"] }));
  }, 1_800_000);

  /** Runs promtool of the Prometheus image on some files, which are in the folder that it is started in. */
  const promtool = (files: Readonly<Record<string, string>>, ...args: string[]) =>
    ask(docker, {
      image,
      command: ["promtool", ...args],
      folder: "/tmp",
      files: Object.entries(files).map(([name, text]) => ({ path: `/tmp/${name}`, text })),
    });
  const rules = { "alerts.yml": renderAlertRules(model), "tracker.yml": renderTrackerRules() };

  it("are rules that Prometheus accepts, none twice", async () => {
    const { code, output } = await promtool(
      rules,
      "check",
      "rules",
      "--lint-fatal",
      "alerts.yml",
      "tracker.yml",
    );
    expect([code, output]).toEqual([0, expect.stringContaining("SUCCESS")]);
  });

  it("have each alert tried", () => {
    expect(Object.keys(cases).sort()).toEqual(
      alertsOf(model)
        .map(({ name }) => name)
        .sort(),
    );
  });

  it("fire when they should, and only then", async () => {
    // A file for each alert, so that each is tried by itself, and quickly.
    const files = Object.entries(cases).flatMap(([alert, tried]) => {
      const tests = tried.map(({ what, series, at = "20m", firing }) => ({
        name: what,
        interval: "1m",
        input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
        promql_expr_test: [
          {
            expr: `count by (${[...new Set(firing.flatMap(Object.keys)), "severity"].join()}) (ALERTS{alertstate="firing"})`,
            eval_time: at,
            exp_samples: firing.map((labels) => ({
              labels: selector({ ...labels, severity: severityOf(alert) }),
              value: 1,
            })),
          },
        ],
      }));
      return [
        [`${alert}.rules.yml`, rulesOf(alert)],
        [`${alert}.yml`, stringify({ rule_files: [`${alert}.rules.yml`], evaluation_interval: "1m", tests })],
      ] as const;
    });
    const tests = Object.keys(cases).map((alert) => `${alert}.yml`);
    const { code, output } = await promtool(Object.fromEntries(files), "test", "rules", ...tests);
    expect([code, output]).toEqual([0, expect.stringContaining("SUCCESS")]);
  });

  it("say what it means and where to read on", async () => {
    const alert = {
      exp_labels: { severity: "critical", job: "endpoints", service: "api", instance: "https://api" },
      exp_annotations: {
        summary: "The certificate of https://api is about to end",
        description: "It ends in 5d 23h 40m 0s, less than 7 days. After that no client connects any more.",
        runbook_url: "https://example.org/docs/runbooks/CertificateExpiring.md",
      },
    };
    const test = {
      interval: "1m",
      input_series: [{ series: `probe_ssl_earliest_cert_expiry${api}`, values: `${6 * day}x60` }],
      alert_rule_test: [{ alertname: "CertificateExpiring", eval_time: "20m", exp_alerts: [alert] }],
    };
    const file = stringify({ rule_files: ["alerts.yml"], evaluation_interval: "1m", tests: [test] });
    const { code, output } = await promtool({ ...rules, "tests.yml": file }, "test", "rules", "tests.yml");
    expect([code, output]).toEqual([0, expect.stringContaining("SUCCESS")]);
  });
});

/** The rendered rule of one alert. */
function rulesOf(alert: string): string {
  const { groups } = parse(renderAlertRules(model)) as {
    groups: { name: string; rules: { alert: string }[] }[];
  };
  const [{ name, rules }] = groups as [(typeof groups)[number]];
  return stringify({ groups: [{ name, rules: rules.filter((rule) => rule.alert === alert) }] });
}

function severityOf(name: string): string {
  return alertsOf(model).find((alert) => alert.name === name)!.severity;
}

function selector(labels: Readonly<Record<string, string>>): string {
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(",")}}`;
}
