import { NoUnit, Seconds, Short } from "@grafana/grafana-foundation-sdk/units";

import { dashboard, info, judged, series, shares, stat, type Dashboard, type Row } from "./panels";

/** Certificates, handshakes, and what Pingoo's guard sees and does. */
export function tlsDashboard(): Dashboard {
  return dashboard("tls.json", "torrust-tls", "TLS and certificates", [
    certificates(),
    issuers(),
    connections(),
    guard(),
  ]);
}

const timeLeft = 'probe_ssl_earliest_cert_expiry{job="endpoints"} - time()';

function certificates(): Row {
  return {
    title: "Certificates",
    panels: [
      // In seconds Grafana would choose the unit itself: weeks. The colours change where alerts fire by default.
      judged(
        stat(
          "Days left",
          "Until the certificate expires. Pingoo renews at 30 days.",
          NoUnit,
          `(${timeLeft}) / 86400`,
          "{{instance}}",
        ).decimals(0),
        "red",
        [7, "orange"],
        [21, "green"],
      ),
      series("Time until expiry", "Falls steadily and jumps up at each renewal.", Seconds, [
        { expr: timeLeft, legend: "{{instance}}" },
      ]),
    ],
  };
}

function issuers(): Row {
  return {
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
  };
}

function connections(): Row {
  return {
    title: "Connections",
    panels: [
      series("TLS handshake", "Duration of the handshake as the probe inside the host sees it.", Seconds, [
        { expr: 'probe_http_duration_seconds{job="endpoints",phase="tls"}', legend: "{{instance}}" },
      ]).min(0),
      shares("Failed probes", "Share of failed probes in the last ten minutes.", [
        { expr: '1 - avg_over_time(probe_success{job="endpoints"}[10m])', legend: "{{instance}}" },
      ]),
    ],
  };
}

function guard(): Row {
  const panel = (title: string, description: string, expr: string, legend: string) =>
    series(title, description, Short, [{ expr, legend }]).min(0);
  return {
    title: "Pingoo and its guard",
    panels: [
      panel(
        "Open connections",
        "Connections that Pingoo has accepted.",
        "sum by (listener) (pingoo_guard_connections)",
        "{{listener}}",
      ),
      panel(
        "Stalled connections cut off",
        "Per second: sent nothing, stalled in the handshake, or were too many of one client.",
        "sum by (reason, family) (rate(pingoo_guard_cuts_total[$__rate_interval]))",
        "{{reason}} {{family}}",
      ),
      panel(
        "Blocked listeners",
        "Listeners that have clients waiting and have accepted nobody for 10 seconds.",
        "sum by (listener) (pingoo_guard_listeners_blocked)",
        "{{listener}}",
      ),
      panel(
        "Restarts",
        "Restarts of Pingoo in the last hour.",
        "sum by (reason) (increase(pingoo_restarts_total[1h]))",
        "{{reason}}",
      ),
    ],
  };
}
