import { renderScript } from "./script";
import { renderYaml } from "./yaml";

/** Identifier by which dashboards refer to the datasource. */
export const datasourceUid = "prometheus";

/** Folder in the container that the dashboard provider reads. */
export const dashboardFolder = "/etc/grafana/provisioning/dashboards/torrust";

/** Identifier of the datasource that shows and silences alerts. */
export const alertmanagerUid = "alertmanager";

/** Renders the provisioned datasources (https://grafana.com/docs/grafana/latest/administration/provisioning/). */
export function renderDatasources({
  prometheusUrl,
  scrapeInterval,
  alertmanagerUrl,
}: {
  prometheusUrl: string;
  /** Seconds. */
  scrapeInterval: number;
  /** Absent: there is no Alertmanager. */
  alertmanagerUrl?: string;
}): string {
  return renderYaml({
    apiVersion: 1,
    datasources: [
      {
        name: "Prometheus",
        uid: datasourceUid,
        type: "prometheus",
        access: "proxy",
        url: prometheusUrl,
        isDefault: true,
        editable: false,
        jsonData: { httpMethod: "POST", timeInterval: `${scrapeInterval}s` },
      },
      ...(alertmanagerUrl
        ? [
            {
              name: "Alertmanager",
              uid: alertmanagerUid,
              type: "alertmanager",
              access: "proxy",
              url: alertmanagerUrl,
              editable: false,
              jsonData: { implementation: "prometheus" },
            },
          ]
        : []),
    ],
  });
}

/** Renders the provider that loads the dashboards from files and keeps people from editing what the next start resets. */
export function renderDashboardProviders(): string {
  return renderYaml({
    apiVersion: 1,
    providers: [
      {
        name: "torrust",
        type: "file",
        folder: "Torrust Tracker",
        disableDeletion: true,
        allowUiUpdates: false,
        updateIntervalSeconds: 60,
        options: { path: dashboardFolder },
      },
    ],
  });
}

/**
 * Grafana's settings as environment variables, none of them secret (https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/).
 *
 * @param publicUrl    where people open it, e.g. `https://grafana.example.org:3443`
 * @param passwordFile file with the administrator's password, which Grafana itself reads at its first start only
 */
export function grafanaEnvironment({
  publicUrl,
  passwordFile,
}: {
  publicUrl: string;
  passwordFile: string;
}): Record<string, string> {
  const { hostname, origin } = new URL(publicUrl);
  return {
    GF_SERVER_ROOT_URL: `${origin}/`,
    GF_SERVER_DOMAIN: hostname,
    // Any host name reaches Grafana through a TCP listener; only its own may stay.
    GF_SERVER_ENFORCE_DOMAIN: "true",
    GF_LIVE_ALLOWED_ORIGINS: origin,
    GF_SECURITY_ADMIN_USER: "admin",
    GF_SECURITY_ADMIN_PASSWORD__FILE: passwordFile,
    GF_SECURITY_COOKIE_SECURE: "true",
    GF_SECURITY_COOKIE_SAMESITE: "strict",
    GF_SECURITY_DISABLE_GRAVATAR: "true",
    GF_USERS_ALLOW_SIGN_UP: "false",
    GF_AUTH_ANONYMOUS_HIDE_VERSION: "true",
    GF_ANALYTICS_REPORTING_ENABLED: "false",
    GF_ANALYTICS_CHECK_FOR_UPDATES: "false",
    GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES: "false",
    GF_PLUGINS_PREINSTALL_DISABLED: "true",
  };
}

/**
 * Renders `grafana-start.sh`, which starts Grafana.
 *
 * @param passwordFile file with the administrator's password
 */
export function renderGrafanaStart(source: string, passwordFile: string): string {
  return renderScript(source, { password_file: passwordFile });
}
