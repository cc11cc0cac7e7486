import { watchdog } from "./alertmanager";
import { renderYaml } from "./yaml";

/** One thing that can go wrong. Each has a page of its name in docs/runbooks. */
export interface Alert {
  /** CamelCase, e.g. `TrackerDown`. */
  readonly name: string;
  /** PromQL; every series that it yields is a fault. */
  readonly expr: string;
  /** `critical`: people are cut off, or will be within days. `warning`: it can wait until morning. */
  readonly severity: "critical" | "warning" | "none";
  /** One line with labels as `{{ $labels.x }}`. */
  readonly summary: string;
  /** What it means for people. */
  readonly description: string;
  /** Seconds that it has to last, where the configured delay would be too short. */
  readonly atLeast?: number;
  /** Seconds that it has to last, whatever the configured delay. */
  readonly exactly?: number;
  /** It stays until what follows from it is over as well, so that it can hide that. */
  readonly outlasts?: boolean;
}

export interface AlertModel {
  /** Seconds that a fault must last before it is told. */
  readonly delay: number;
  /** Seconds between two looks at anything. */
  readonly scrapeInterval: number;
  /** Days before a certificate's end at which its renewal is overdue. */
  readonly certificateDays: number;
  /** Certificates are ordered, so a self-signed one means that an order failed. */
  readonly ordered: boolean;
  /** They come from a public authority, so anybody can verify them. */
  readonly verifiable: boolean;
  /** Backups are made; one older than this many seconds is too old. */
  readonly backup?: { readonly maxAge: number };
  /** URL of the folder with a page for each alert; absent: none can be linked to. */
  readonly runbooks?: string;
  /** What parts of the stack add. */
  readonly more?: readonly Alert[];
}

/** Metric of the backup: when the last complete one ended, in seconds since 1970. */
export const backupMetric = "torrust_backup_last_success_timestamp_seconds";

const minute = 60;
const hour = 3600;
const day = 24 * hour;

/** All alerts of a stack. */
export function alertsOf(model: AlertModel): readonly Alert[] {
  return [
    {
      name: watchdog,
      expr: "vector(1)",
      severity: "none",
      // Prometheus finds its Alertmanager five seconds after it starts; what it says before it repeats a minute later.
      exactly: 10,
      summary: "Alerting works",
      description: "Fires always. Whoever gets it (alertReceivers.heartbeat) tells of its absence.",
    },
    ...serviceAlerts,
    ...certificateAlerts(model),
    ...certbotAlerts,
    ...hostAlerts,
    ...(model.backup ? backupAlerts(model.backup.maxAge) : []),
    ...monitoringAlerts,
    ...(model.more ?? []),
  ];
}

/** Renders the alerting rules (https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/). */
export function renderAlertRules(model: AlertModel): string {
  return renderYaml({
    groups: [{ name: "alerts", rules: alertsOf(model).map((alert) => rule(alert, model)) }],
  });
}

function rule(alert: Alert, { delay, scrapeInterval, runbooks }: AlertModel) {
  const { name, expr, severity, summary, description, atLeast = 0, exactly, outlasts } = alert;
  return {
    alert: name,
    expr,
    for: `${exactly ?? Math.max(delay, atLeast)}s`,
    ...(outlasts && { keep_firing_for: `${3 * scrapeInterval}s` }),
    labels: { severity },
    annotations: { summary, description, ...(runbooks && { runbook_url: `${runbooks}/${name}.md` }) },
  };
}

const announces = 'torrust_tracker_requests_total{request_kind="announce"}';

const serviceAlerts: readonly Alert[] = [
  {
    name: "TrackerDown",
    // Neither its statistics nor any of its listeners answer. One of them alone is another alert.
    expr: 'up{job="tracker"} == 0 unless on () (probe_success{service=~"api|http-tracker|udp-tracker"} == 1)',
    severity: "critical",
    outlasts: true,
    summary: "The tracker is down",
    description: "Neither its statistics nor its API, HTTP or UDP listeners answer. Nobody can announce.",
  },
  {
    name: "EndpointDown",
    expr: 'probe_success{job="endpoints"} == 0',
    severity: "critical",
    summary: "{{ $labels.instance }} does not answer",
    description:
      "The health check of {{ $labels.service }} at {{ $labels.instance }}, asked through the proxy from inside the host, fails.",
  },
  {
    name: "UdpTrackerDown",
    expr: 'probe_success{job="udp-trackers"} == 0',
    severity: "critical",
    summary: "{{ $labels.instance }} does not answer",
    description:
      "A BEP 15 connect and scrape, asked from inside the host, gets no valid answer. UDP clients cannot announce.",
  },
  {
    name: "TrackerWithoutAnnounces",
    expr: `sum(increase(${announces}[1h])) == 0 and sum(increase(${announces}[1d])) > 1000`,
    severity: "warning",
    summary: "Nobody has announced for an hour",
    description:
      'The tracker runs, but no announce has arrived for an hour, while the day before there were {{ with query `sum(increase(torrust_tracker_requests_total{request_kind="announce"}[1d]))` }}{{ . | first | value | humanize }}{{ end }}. Clients may not reach it: DNS, firewall, or the proxy refusing them.',
  },
];

function certificateAlerts({ certificateDays, ordered, verifiable }: AlertModel): Alert[] {
  const left = 'probe_ssl_earliest_cert_expiry{job="endpoints"} - time()';
  const critical = Math.max(1, Math.round(certificateDays / 3));
  const whoSigned = (name: string) =>
    `label_replace(probe_ssl_last_chain_info{job="endpoints"}, "signed_by", "$1", "${name}", "(.*)")`;
  const expiring: Alert[] = [
    {
      name: "CertificateRenewalOverdue",
      expr: `${left} < ${certificateDays * day}`,
      severity: "warning",
      summary: "The certificate of {{ $labels.instance }} should have been renewed",
      description: `It ends in {{ $value | humanizeDuration }}, less than ${certificateDays} days. Pingoo and certbot renew at 30 days, so renewing has failed for a while.`,
    },
    {
      name: "CertificateExpiring",
      expr: `${left} < ${critical * day}`,
      severity: "critical",
      summary: "The certificate of {{ $labels.instance }} is about to end",
      description: `It ends in {{ $value | humanizeDuration }}, less than ${critical} days. After that no client connects any more.`,
    },
  ];
  const selfSigned: Alert = {
    name: "CertificateSelfSigned",
    expr: `count by (service, instance) (${whoSigned("issuer")} and on (instance, signed_by) ${whoSigned("subject")})`,
    severity: "critical",
    summary: "{{ $labels.instance }} serves a self-signed certificate",
    description:
      "The proxy shows the certificate that it made itself: ordering one has failed. Clients refuse to connect.",
  };
  const untrusted: Alert = {
    name: "CertificateUntrusted",
    expr: 'probe_success{job="certificates"} == 0 and on (instance) probe_success{job="endpoints"} == 1',
    severity: "critical",
    summary: "The certificate of {{ $labels.instance }} does not hold",
    description:
      "The service answers, but its certificate is for another name, out of date, or of an authority that nobody knows. Clients refuse to connect.",
  };
  return [...expiring, ...(ordered ? [selfSigned] : []), ...(verifiable ? [untrusted] : [])];
}

/** certbot's loop looks every 12 hours. Its metrics are there while it should run, in whichever mode. */
const certbotAlerts: readonly Alert[] = [
  {
    name: "CertbotFailing",
    expr: "torrust_certbot_failures >= 2",
    severity: "warning",
    summary: "certbot gets no certificate for {{ $labels.domain }}",
    description: "{{ $value }} tries in a row have failed. Until one succeeds the certificate ages.",
  },
  {
    name: "CertbotStalled",
    expr: `time() - torrust_certbot_last_run_timestamp_seconds > ${26 * hour}`,
    severity: "warning",
    summary: "certbot's renewal loop stands still",
    description:
      "It last looked for certificates to renew {{ $value | humanizeDuration }} ago; every 12 hours would be normal.",
  },
];

const share =
  'min by (device) (node_filesystem_avail_bytes{job="node"} / node_filesystem_size_bytes{job="node"})';

const hostAlerts: readonly Alert[] = [
  {
    name: "DiskAlmostFull",
    expr: `${share} < 0.1`,
    severity: "critical",
    summary: "Disk {{ $labels.device }} is almost full",
    description:
      "{{ $value | humanizePercentage }} are free. A full disk stops the tracker's database, renewals and backups.",
  },
  {
    name: "DiskFilling",
    expr: `min by (device) (predict_linear(node_filesystem_avail_bytes{job="node"}[6h], ${4 * day})) < 0 and ${share} < 0.5 and min by (device) (node_filesystem_avail_bytes{job="node"} offset 3h)`,
    severity: "warning",
    atLeast: hour,
    summary: "Disk {{ $labels.device }} will be full within four days",
    description: "If it goes on filling as in the last six hours.",
  },
  {
    name: "ClockSkew",
    expr: 'abs(node_timex_offset_seconds{job="node"}) > 0.05',
    severity: "warning",
    summary: "The host's clock is wrong",
    description:
      "It is {{ $value | humanizeDuration }} off. Certificates and orders for them depend on the time.",
  },
  {
    name: "ClockNotSynchronised",
    expr: 'node_timex_sync_status{job="node"} == 0 and node_timex_maxerror_seconds{job="node"} >= 16',
    severity: "warning",
    atLeast: 10 * minute,
    summary: "Nothing keeps the host's clock right",
    description:
      "The kernel knows of no time service, so the clock drifts. Certificates and orders for them depend on the time.",
  },
  {
    name: "HighCpu",
    expr: '1 - avg(rate(node_cpu_seconds_total{job="node",mode="idle"}[15m])) > 0.85',
    severity: "warning",
    atLeast: hour,
    summary: "The host's processors are busy",
    description: "{{ $value | humanizePercentage }} over the last 15 minutes, for an hour by now.",
  },
  {
    name: "HighMemory",
    expr: '1 - node_memory_MemAvailable_bytes{job="node"} / node_memory_MemTotal_bytes{job="node"} > 0.9',
    severity: "warning",
    atLeast: hour,
    summary: "The host's memory is almost used up",
    description:
      "{{ $value | humanizePercentage }} are in use, for an hour by now. At 100 % the kernel ends programs.",
  },
];

function backupAlerts(maxAge: number): Alert[] {
  return [
    {
      name: "BackupTooOld",
      expr: `time() - ${backupMetric} > ${maxAge}`,
      severity: "warning",
      summary: "The last backup is too old",
      description: "The last complete backup was made {{ $value | humanizeDuration }} ago.",
    },
    {
      name: "BackupMissing",
      expr: `absent(${backupMetric})`,
      severity: "warning",
      atLeast: maxAge,
      summary: "There is no backup yet",
      description: "None has been completed since the stack was deployed.",
    },
  ];
}

const monitoringAlerts: readonly Alert[] = [
  {
    name: "TargetDown",
    expr: "up == 0",
    severity: "warning",
    summary: "Prometheus cannot read {{ $labels.job }} {{ $labels.instance }}",
    description: "What it measures is unknown meanwhile, and alerts about it cannot fire.",
  },
  {
    name: "NotificationsFailing",
    expr: "sum by (receiver_name) (rate(alertmanager_notifications_failed_total[15m])) > 0",
    severity: "warning",
    summary: "Alerts by {{ $labels.receiver_name }} do not get through",
    description:
      "Alertmanager cannot deliver them; what it could not deliver is lost unless another receiver got it.",
  },
  {
    name: "RuleEvaluationFailing",
    expr: "sum(increase(prometheus_rule_evaluation_failures_total[15m])) > 0",
    severity: "warning",
    summary: "Prometheus cannot evaluate its rules",
    description: "Some alert cannot fire as long as this lasts.",
  },
];
