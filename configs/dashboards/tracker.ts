import { BytesIEC, RequestsPerSecond, Seconds, Short } from "@grafana/grafana-foundation-sdk/units";

import { trackerMemoryMetric } from "../tracker-memory";
import { dashboard, series, shares, stat, states, type Dashboard, type Row } from "./panels";

export interface DashboardsModel {
  /** The tracker has metrics of its own, errors among them; 3.0.0 counts none. */
  readonly native: boolean;
  /** The tracker counts completed downloads. */
  readonly countDownloads: boolean;
}

/** Swarms, requests by protocol, and what the probes see. */
export function trackerDashboard(model: DashboardsModel): Dashboard {
  return dashboard("tracker.json", "torrust-tracker", "Tracker", [
    swarms(model),
    requests("HTTP"),
    requests("UDP"),
    endpoints(),
    ...(model.native ? [errors()] : []),
  ]);
}

function swarms({ native, countDownloads }: DashboardsModel): Row {
  const since = native ? "" : ", since the tracker last started: release 3.0.0 does not read its counts back";
  const completed = stat(
    "Completed",
    `Downloads reported as completed${since}.`,
    Short,
    "sum(torrust_tracker_downloads_total)",
  );
  return {
    title: "Swarms",
    panels: [
      stat("Torrents", "Torrents that the tracker knows.", Short, "sum(torrust_tracker_torrents)"),
      stat(
        "Seeders",
        "Peers that have the whole torrent.",
        Short,
        'sum(torrust_tracker_peers{role="seeder"})',
      ),
      stat(
        "Leechers",
        "Peers that are still downloading.",
        Short,
        'sum(torrust_tracker_peers{role="leecher"})',
      ),
      ...(countDownloads ? [completed] : []),
      stat("Memory", "What the tracker holds: it keeps all swarms there.", BytesIEC, trackerMemoryMetric),
    ],
  };
}

function requests(protocol: "HTTP" | "UDP"): Row {
  const by = (label: string) => [
    {
      expr: `sum by (${label}) (rate(torrust_tracker_requests_total{protocol="${protocol.toLowerCase()}"}[$__rate_interval]))`,
      legend: `{{${label}}}`,
    },
  ];
  return {
    title: `${protocol} trackers`,
    panels: [
      series(
        `${protocol} requests`,
        "Requests per second by kind.",
        RequestsPerSecond,
        by("request_kind"),
      ).min(0),
      series(
        `${protocol} requests by address family`,
        "Requests per second over IPv4 and IPv6.",
        RequestsPerSecond,
        by("ip_family"),
      ).min(0),
    ],
  };
}

function endpoints(): Row {
  return {
    title: "API and endpoints",
    panels: [
      states("Listener up", "1 while it answers: HTTP through the proxy, UDP by a connect and a scrape.", [
        { expr: 'probe_success{job=~"endpoints|udp-trackers"}', legend: "{{service}} {{instance}}" },
      ]),
      shares("Errors by listener", "Share of failed probes in the last ten minutes.", [
        {
          expr: '1 - avg_over_time(probe_success{job=~"endpoints|udp-trackers"}[10m])',
          legend: "{{service}} {{instance}}",
        },
      ]),
      series(
        "Response time of API and trackers",
        "Duration of a health check, TLS handshake included.",
        Seconds,
        [
          {
            expr: 'probe_duration_seconds{job=~"endpoints|udp-trackers"}',
            legend: "{{service}} {{instance}}",
          },
        ],
      ).min(0),
      states("Scrape of the tracker", "1 while Prometheus can read the tracker's statistics.", [
        { expr: 'up{job="tracker"}', legend: "{{instance}}" },
      ]),
    ],
  };
}

function errors(): Row {
  return {
    title: "Errors",
    panels: [
      series(
        "UDP errors by listener",
        "Requests per second that the tracker could not answer.",
        RequestsPerSecond,
        [
          {
            expr: "sum by (server_binding_port) (rate(udp_tracker_server_errors_total[$__rate_interval]))",
            legend: "port {{server_binding_port}}",
          },
        ],
      ).min(0),
    ],
  };
}
