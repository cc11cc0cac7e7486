import { datasourceUid } from "./grafana";
import { guardRow } from "./guard";
import type { Panel, Query, Row } from "./panels";

/** A dashboard's file name, without folder, and its content. */
export interface Dashboard {
  readonly file: string;
  readonly json: string;
}

/**
 * Every dashboard of the deployment, rendered as Grafana's JSON model (schema version 39).
 *
 * @param native the tracker has metrics of its own, errors among them; 3.0.0 counts none
 */
export function renderDashboards({ native }: { native: boolean }): Dashboard[] {
  const tracker = native ? [...trackerRows, trackerErrors] : trackerRows;
  return [
    dashboard("tracker.json", "torrust-tracker", "Tracker", tracker),
    dashboard("tls.json", "torrust-tls", "TLS and certificates", [...tlsRows, guardRow]),
    dashboard("host.json", "torrust-host", "Host", hostRows),
  ];
}

const requests = (selector: string, by: string): string =>
  `sum by (${by}) (rate(torrust_tracker_requests_total{${selector}}[$__rate_interval]))`;

const trackerRows: readonly Row[] = [
  {
    title: "Swarms",
    panels: [
      stat("Torrents", "Torrents that the tracker knows.", "short", "sum(torrust_tracker_torrents)"),
      stat(
        "Seeders",
        "Peers that have the whole torrent.",
        "short",
        'sum(torrust_tracker_peers{role="seeder"})',
      ),
      stat(
        "Leechers",
        "Peers that are still downloading.",
        "short",
        'sum(torrust_tracker_peers{role="leecher"})',
      ),
      stat("Completed", "Downloads reported as completed.", "short", "sum(torrust_tracker_downloads_total)"),
    ],
  },
  {
    title: "HTTP trackers",
    panels: [
      series("HTTP requests", "Requests per second by kind.", "reqps", [
        { expr: requests('protocol="http"', "request_kind"), legend: "{{request_kind}}" },
      ]),
      series("HTTP requests by address family", "Requests per second over IPv4 and IPv6.", "reqps", [
        { expr: requests('protocol="http"', "ip_family"), legend: "{{ip_family}}" },
      ]),
    ],
  },
  {
    title: "UDP trackers",
    panels: [
      series("UDP requests", "Requests per second by kind.", "reqps", [
        { expr: requests('protocol="udp"', "request_kind"), legend: "{{request_kind}}" },
      ]),
      series("UDP requests by address family", "Requests per second over IPv4 and IPv6.", "reqps", [
        { expr: requests('protocol="udp"', "ip_family"), legend: "{{ip_family}}" },
      ]),
    ],
  },
  {
    title: "API and endpoints",
    panels: [
      series(
        "Listener up",
        "1 while it answers: HTTP through the proxy, UDP by a connect and a scrape.",
        "short",
        [{ expr: 'probe_success{job=~"endpoints|udp-trackers"}', legend: "{{service}} {{instance}}" }],
      ),
      series("Errors by listener", "Share of failed probes in the last ten minutes.", "percentunit", [
        {
          expr: '1 - avg_over_time(probe_success{job=~"endpoints|udp-trackers"}[10m])',
          legend: "{{service}} {{instance}}",
        },
      ]),
      series(
        "Response time of API and trackers",
        "Duration of a health check, TLS handshake included.",
        "s",
        [
          {
            expr: 'probe_duration_seconds{job=~"endpoints|udp-trackers"}',
            legend: "{{service}} {{instance}}",
          },
        ],
      ),
      series("Scrape of the tracker", "1 while Prometheus can read the tracker's statistics.", "short", [
        { expr: 'up{job="tracker"}', legend: "{{instance}}" },
      ]),
    ],
  },
];

const trackerErrors: Row = {
  title: "Errors",
  panels: [
    series("UDP errors by listener", "Requests per second that the tracker could not answer.", "reqps", [
      {
        expr: "sum by (server_binding_port) (rate(udp_tracker_server_errors_total[$__rate_interval]))",
        legend: "port {{server_binding_port}}",
      },
    ]),
  ],
};

const tlsRows: readonly Row[] = [
  {
    title: "Certificates",
    panels: [
      {
        ...stat("Days left", "Time until the certificate expires. Pingoo renews at 30 days.", "s", ""),
        queries: [
          { expr: 'probe_ssl_earliest_cert_expiry{job="endpoints"} - time()', legend: "{{instance}}" },
        ],
      },
      series("Time until expiry", "Falls steadily and jumps up at each renewal.", "s", [
        { expr: 'probe_ssl_earliest_cert_expiry{job="endpoints"} - time()', legend: "{{instance}}" },
      ]),
    ],
  },
  {
    title: "Who vouches, and how",
    panels: [
      info(
        "Issuer",
        "Who signed each endpoint's certificate.",
        'probe_ssl_last_chain_info{job="endpoints"}',
        "{{instance}}: {{issuer}}",
      ),
      info(
        "TLS version",
        "Version that was agreed on with each endpoint.",
        'probe_tls_version_info{job="endpoints"}',
        "{{instance}}: {{version}}",
      ),
    ],
  },
  {
    title: "Connections",
    panels: [
      series("TLS handshake", "Duration of the handshake as the probe inside the host sees it.", "s", [
        { expr: 'probe_http_duration_seconds{job="endpoints",phase="tls"}', legend: "{{instance}}" },
      ]),
      series("Failed probes", "Share of failed probes in the last ten minutes.", "percentunit", [
        { expr: '1 - avg_over_time(probe_success{job="endpoints"}[10m])', legend: "{{instance}}" },
      ]),
    ],
  },
];

const hostRows: readonly Row[] = [
  {
    title: "Now",
    panels: [
      stat(
        "Memory available",
        "Memory that programs may still take.",
        "percentunit",
        "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
      ),
      {
        ...stat("Disk free", "The disks that hold Docker's folder and the volumes.", "percentunit", ""),
        queries: [
          {
            expr: "min by (device) (node_filesystem_avail_bytes / node_filesystem_size_bytes)",
            legend: "{{device}}",
          },
        ],
      },
      stat(
        "Clock offset",
        "How far the clock is off, as the kernel's time service sees it.",
        "s",
        "node_timex_offset_seconds",
      ),
      info(
        "Firing alerts",
        "The Watchdog always fires: it shows that alerting works.",
        'ALERTS{alertstate="firing"}',
        "{{alertname}} {{instance}}",
      ),
    ],
  },
  {
    title: "Processors and memory",
    panels: [
      series("Processors", "Share of the time in which they were busy.", "percentunit", [
        {
          expr: '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))',
          legend: "busy",
        },
      ]),
      series("Load", "Programs that run or wait, on average.", "short", [
        { expr: "node_load1", legend: "1 minute" },
        { expr: "node_load15", legend: "15 minutes" },
      ]),
      series("Memory", "Available and all there is.", "bytes", [
        { expr: "node_memory_MemAvailable_bytes", legend: "available" },
        { expr: "node_memory_MemTotal_bytes", legend: "total" },
      ]),
    ],
  },
  {
    title: "Disks",
    panels: [
      series("Free space", "What programs may still write.", "bytes", [
        { expr: "min by (device) (node_filesystem_avail_bytes)", legend: "{{device}}" },
      ]),
      series("Traffic", "Bytes per second, read and written.", "Bps", [
        { expr: "sum(rate(node_disk_read_bytes_total[$__rate_interval]))", legend: "read" },
        { expr: "sum(rate(node_disk_written_bytes_total[$__rate_interval]))", legend: "written" },
      ]),
    ],
  },
];

/** A stat that shows labels instead of a number. */
function info(title: string, description: string, expr: string, legend: string): Panel {
  return { title, description, kind: "stat", unit: "short", queries: [{ expr, legend }], legendOnly: true };
}

function stat(title: string, description: string, unit: string, expr: string): Panel {
  return { title, description, kind: "stat", unit, queries: [{ expr, legend: title }] };
}

function series(title: string, description: string, unit: string, queries: readonly Query[]): Panel {
  return { title, description, kind: "timeseries", unit, queries };
}

function dashboard(file: string, uid: string, title: string, rows: readonly Row[]): Dashboard {
  const model = {
    uid,
    title,
    tags: ["torrust"],
    schemaVersion: 39,
    editable: false,
    refresh: "30s",
    time: { from: "now-6h", to: "now" },
    panels: layout(rows),
  };
  return { file, json: `${JSON.stringify(model, null, 2)}\n` };
}

const gridWidth = 24;
const panelHeight = 8;

/** Rows below each other, the panels of a row side by side in equal widths. */
function layout(rows: readonly Row[]): object[] {
  let id = 0;
  return rows.flatMap(({ title, panels }, rowIndex) => {
    const y = rowIndex * (panelHeight + 1);
    const width = gridWidth / panels.length;
    return [
      {
        id: ++id,
        type: "row",
        title,
        collapsed: false,
        panels: [],
        gridPos: { x: 0, y, w: gridWidth, h: 1 },
      },
      ...panels.map((panel, column) => ({
        id: ++id,
        type: panel.kind,
        title: panel.title,
        description: panel.description,
        datasource: { type: "prometheus", uid: datasourceUid },
        gridPos: { x: column * width, y: y + 1, w: width, h: panelHeight },
        fieldConfig: { defaults: { unit: panel.unit }, overrides: [] },
        ...(panel.legendOnly && { options: { textMode: "name", colorMode: "none" } }),
        targets: panel.queries.map(({ expr, legend }, index) => ({
          refId: String.fromCharCode(65 + index),
          datasource: { type: "prometheus", uid: datasourceUid },
          expr,
          legendFormat: legend,
          instant: panel.kind === "stat",
          range: panel.kind === "timeseries",
        })),
      })),
    ];
  });
}
