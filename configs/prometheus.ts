import { httpsModule, overIpv6, plainModule, verifyingModule } from "./blackbox";
import { trackerModule } from "./json-exporter";
import { renderYaml } from "./yaml";

/** How the tracker's numbers are read. */
export type TrackerScrape =
  | {
      /** Tracker 3.0.0: JSON only, token in the query only. */
      readonly kind: "json";
      /** `host:port` of the JSON exporter. */
      readonly exporter: string;
      readonly token: string;
    }
  | {
      /** Builds with a Prometheus format, which accept a Bearer token. */
      readonly kind: "native";
      readonly tokenFile: string;
    };

/** A public endpoint that is probed through the proxy, from inside, under its real name. */
export interface ProbedEndpoint {
  /** What it is, e.g. `api`. */
  readonly service: string;
  readonly domain: string;
  /** Its public URL, of which the label `instance` of its metrics is made. */
  readonly publicUrl: string;
  /** URL that the probe fetches: the proxy's port, and whatever leads to the proxy inside the network. */
  readonly probeUrl: string;
  /** It has no TLS. */
  readonly plain?: boolean;
  /** It is probed over IPv6. */
  readonly ipv6?: boolean;
}

/** A UDP tracker that is probed from inside. */
export interface ProbedUdpTracker {
  /** Its announce URL, the label `instance` of its metrics. */
  readonly announceUrl: string;
  /** `host:port` inside the network. */
  readonly address: string;
}

/** What is read with no more ado, e.g. an exporter's `/metrics`. */
export interface ScrapeJob {
  /** Label `job` of its metrics. */
  readonly name: string;
  /** `host:port` */
  readonly targets: readonly string[];
  /** @default /metrics */
  readonly path?: string;
  /** The target need not be there: it is one while this name leads to that address as well. Prometheus has the name too. */
  readonly sought?: { readonly name: string; readonly address: string };
}

export interface PrometheusModel {
  /** Seconds. */
  readonly scrapeInterval: number;
  /** `host:port` of the tracker's API. */
  readonly trackerApi: string;
  readonly tracker: TrackerScrape;
  /** `host:port` of the blackbox exporter. */
  readonly blackbox: string;
  readonly endpoints: readonly ProbedEndpoint[];
  /** Certificates are such as anybody can verify. */
  readonly verifiable: boolean;
  /** `host:port` of the probe for UDP trackers. */
  readonly udpProbe: string;
  readonly udpTrackers: readonly ProbedUdpTracker[];
  readonly jobs: readonly ScrapeJob[];
  /** `host:port` of Alertmanager; absent: alerts go nowhere. */
  readonly alertmanager?: string;
  readonly ruleFiles: readonly string[];
}

/** Renders prometheus.yml (https://prometheus.io/docs/prometheus/latest/configuration/configuration/). */
export function renderPrometheusConfig(model: PrometheusModel): string {
  return renderYaml({
    global: { scrape_interval: `${model.scrapeInterval}s`, evaluation_interval: `${model.scrapeInterval}s` },
    ...(model.ruleFiles.length > 0 && { rule_files: [...model.ruleFiles] }),
    ...(model.alertmanager && {
      alerting: { alertmanagers: [{ static_configs: [{ targets: [model.alertmanager] }] }] },
    }),
    scrape_configs: [
      { job_name: "prometheus", static_configs: [{ targets: ["localhost:9090"] }] },
      trackerJob(model),
      ...(model.endpoints.length > 0 ? endpointsJobs(model) : []),
      ...(model.udpTrackers.length > 0 ? [udpTrackersJob(model)] : []),
      ...model.jobs.map(plainJob),
    ],
  });
}

function plainJob({ name, targets, path, sought }: ScrapeJob) {
  const job = { job_name: name, ...(path && { metrics_path: path }) };
  if (!sought) return { ...job, static_configs: [{ targets: [...targets] }] };
  const [target = ""] = targets;
  const port = Number(target.split(":")[1]);
  return {
    ...job,
    dns_sd_configs: [{ names: [sought.name], type: "A", port, refresh_interval: "10s" }],
    relabel_configs: [
      {
        source_labels: ["__address__"],
        regex: `${sought.address}:${port}`.replaceAll(".", "\\."),
        action: "keep",
      },
      { target_label: "instance", replacement: target },
    ],
  };
}

function trackerJob({ tracker, trackerApi, scrapeInterval }: PrometheusModel) {
  const job = {
    job_name: "tracker",
    // It counts by going through all torrents, which takes seconds where there are millions.
    scrape_timeout: `${scrapeInterval}s`,
  };
  switch (tracker.kind) {
    case "json":
      return {
        ...job,
        metrics_path: "/probe",
        params: {
          module: [trackerModule],
          target: [`http://${trackerApi}/api/v1/stats?token=${encodeURIComponent(tracker.token)}`],
        },
        static_configs: [{ targets: [tracker.exporter], labels: { instance: trackerApi } }],
      };
    case "native":
      return {
        ...job,
        metrics_path: "/api/v1/metrics",
        params: { format: ["prometheus"] },
        authorization: { credentials_file: tracker.tokenFile },
        static_configs: [{ targets: [trackerApi] }],
      };
  }
}

function endpointsJobs(model: PrometheusModel) {
  const endpoints = { job_name: "endpoints", ...blackboxProbes(model, model.endpoints, httpsModule) };
  return [endpoints, ...(model.verifiable ? [certificatesJob(model)] : [])];
}

/** The same with the certificates verified: a probe that fails here alone fails by its certificate. */
function certificatesJob(model: PrometheusModel) {
  const interval = Math.max(60, model.scrapeInterval);
  return {
    job_name: "certificates",
    // Each one is a TLS handshake more, of which Pingoo makes one at a time.
    scrape_interval: `${interval}s`,
    ...blackboxProbes(
      model,
      model.endpoints.filter(({ plain }) => !plain),
      verifyingModule,
    ),
  };
}

function blackboxProbes(
  { blackbox }: PrometheusModel,
  endpoints: readonly ProbedEndpoint[],
  tlsModule: string,
) {
  return {
    metrics_path: "/probe",
    static_configs: endpoints.map(({ service, domain, publicUrl, probeUrl, plain, ipv6 }) => {
      const module = plain ? plainModule : tlsModule;
      return {
        targets: [probeUrl],
        labels: {
          service,
          // Whoever reads an alert sees which way is closed.
          instance: ipv6 ? `${publicUrl} (IPv6)` : publicUrl,
          __param_hostname: domain,
          __param_module: ipv6 ? overIpv6(module) : module,
        },
      };
    }),
    relabel_configs: targetOf(blackbox),
  };
}

function udpTrackersJob({ udpTrackers, udpProbe }: PrometheusModel) {
  return {
    job_name: "udp-trackers",
    metrics_path: "/probe",
    static_configs: udpTrackers.map(({ announceUrl, address }) => ({
      targets: [address],
      labels: { service: "udp-tracker", instance: announceUrl },
    })),
    relabel_configs: targetOf(udpProbe),
  };
}

/** An exporter is asked about the target, instead of the target itself. */
function targetOf(exporter: string) {
  return [
    { source_labels: ["__address__"], target_label: "__param_target" },
    { target_label: "__address__", replacement: exporter },
  ];
}

/**
 * Renders recording rules that give the native metrics of newer trackers the names that the JSON exporter gives to those
 * of 3.0.0, so that dashboards and alerts know one vocabulary. They group by the client's address family: the family of
 * the listener's address is always `inet6` where it listens on `[::]`.
 */
export function renderTrackerRules(): string {
  return renderYaml({
    groups: [
      {
        name: "tracker",
        rules: [
          { record: "torrust_tracker_torrents", expr: "sum(swarm_coordination_registry_torrents_total)" },
          {
            record: "torrust_tracker_peers",
            expr: 'sum by (role) (label_replace(swarm_coordination_registry_peer_connections_total, "role", "$1", "peer_role", "(.*)"))',
          },
          {
            record: "torrust_tracker_downloads_total",
            expr: "sum(tracker_core_persistent_torrents_downloads_total)",
          },
          requestsRule("http"),
          requestsRule("udp"),
        ],
      },
    ],
  });
}

function requestsRule(protocol: "http" | "udp") {
  const metric = `${protocol}_tracker_core_requests_received_total`;
  return {
    record: "torrust_tracker_requests_total",
    labels: { protocol },
    expr: `sum by (request_kind, ip_family) (label_replace(${metric}, "ip_family", "$1", "client_address_ip_family", "(.*)"))`,
  };
}
