import { renderYaml } from "./yaml";

/** Name of the module in the exporter's configuration, which Prometheus passes as `module`. */
export const trackerModule = "tracker";

const requestCounters = [
  ["http", "tcp", "announce", "announces"],
  ["http", "tcp", "scrape", "scrapes"],
  ["udp", "udp", "connect", "connections"],
  ["udp", "udp", "announce", "announces"],
  ["udp", "udp", "scrape", "scrapes"],
] as const;

/**
 * Renders the configuration of prometheus-community/json_exporter 0.7 that turns the statistics of Torrust Tracker 3.0.0
 * (`GET /api/v1/stats`), which knows no Prometheus format, into metrics.
 */
export function renderJsonExporterConfig(): string {
  return renderYaml({ modules: { [trackerModule]: { metrics: [...swarmMetrics(), ...requestMetrics()] } } });
}

function swarmMetrics() {
  return [
    gauge("torrust_tracker_torrents", "Torrents that the tracker knows.", "torrents"),
    gauge("torrust_tracker_peers", "Peers in all swarms.", "seeders", { role: "seeder" }),
    gauge("torrust_tracker_peers", "Peers in all swarms.", "leechers", { role: "leecher" }),
    counter("torrust_tracker_downloads_total", "Downloads reported as completed.", "completed"),
  ];
}

function requestMetrics() {
  return requestCounters.flatMap(([protocol, prefix, kind, field]) =>
    (["4", "6"] as const).map((version) =>
      counter(
        "torrust_tracker_requests_total",
        "Requests that were handled.",
        `${prefix}${version}_${field}_handled`,
        {
          protocol,
          request_kind: kind,
          ip_family: version === "4" ? "inet" : "inet6",
        },
      ),
    ),
  );
}

function gauge(name: string, help: string, field: string, labels?: Record<string, string>) {
  return metric("gauge", name, help, field, labels);
}

function counter(name: string, help: string, field: string, labels?: Record<string, string>) {
  return metric("counter", name, help, field, labels);
}

function metric(
  valuetype: string,
  name: string,
  help: string,
  field: string,
  labels?: Record<string, string>,
) {
  return { name, help, path: `{ .${field} }`, valuetype, ...(labels && { labels }) };
}
