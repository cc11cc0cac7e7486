import { parser } from "@prometheus-io/lezer-promql";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Names of the metrics that a query asks for. @throws for what is no PromQL */
export function metricsIn(expr: string): string[] {
  // A variable of Grafana's, not of PromQL.
  const text = expr.replaceAll("$__rate_interval", "1m");
  const names: string[] = [];
  parser.parse(text).iterate({
    enter: ({ type, name, from, to, node }) => {
      if (type.isError) throw new Error(`no PromQL at ${from}: ${expr}`);
      if (name === "Identifier" && node.parent?.name === "VectorSelector") names.push(text.slice(from, to));
    },
  });
  return names;
}

/**
 * The metrics that dashboards and rules build on, as the exporters of a running stack showed them: a test of
 * such a stack (test/e2e/alerts.test.ts) finds each of them there.
 */
export const seenMetrics: readonly string[] = [
  "ALERTS",
  "alertmanager_notifications_failed_total",
  "node_cpu_seconds_total",
  "node_disk_read_bytes_total",
  "node_disk_written_bytes_total",
  "node_filesystem_avail_bytes",
  "node_filesystem_size_bytes",
  "node_load1",
  "node_load15",
  "node_memory_MemAvailable_bytes",
  "node_memory_MemTotal_bytes",
  "node_timex_maxerror_seconds",
  "node_timex_offset_seconds",
  "node_timex_sync_status",
  "probe_duration_seconds",
  "probe_http_duration_seconds",
  "probe_ssl_earliest_cert_expiry",
  "probe_ssl_last_chain_info",
  "probe_success",
  "probe_tls_version_info",
  "prometheus_rule_evaluation_failures_total",
  "torrust_backup_last_success_timestamp_seconds",
  "torrust_tracker_downloads_total",
  "torrust_tracker_memory_bytes",
  "torrust_tracker_peers",
  "torrust_tracker_requests_total",
  "torrust_tracker_torrents",
  "up",
];

/** Those that only certbot's loop leaves; test/e2e/hybrid.test.ts sees them. */
export const certbotMetrics: readonly string[] = [
  "torrust_certbot_failures",
  "torrust_certbot_last_run_timestamp_seconds",
];

/** Those of trackers after 3.0.0, from their source: no release has them yet, so no test sees them. */
export const nativeMetrics: readonly string[] = [
  "http_tracker_core_requests_received_total",
  "swarm_coordination_registry_peer_connections_total",
  "swarm_coordination_registry_torrents_total",
  "tracker_core_persistent_torrents_downloads_total",
  "udp_tracker_core_requests_received_total",
  "udp_tracker_server_errors_total",
];

/** Those of Pingoo's guard, as its program names them. */
export const guardMetrics: readonly string[] =
  readFileSync(join(__dirname, "../../guard/metrics.py"), "utf8").match(/(?<=")pingoo_\w+(?=")/g) ?? [];
