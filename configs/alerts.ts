import { renderYaml } from "./yaml";

/** One thing that can go wrong. */
export interface Alert {
  /** CamelCase, e.g. `TrackerDown`. */
  readonly name: string;
  /** PromQL; every series that it yields is a fault. */
  readonly expr: string;
  /** `critical`: people are cut off, or will be within days. `warning`: it can wait until morning. */
  readonly severity: "critical" | "warning";
  /** One line with labels as `{{ $labels.x }}`. */
  readonly summary: string;
  /** What it means for people. */
  readonly description: string;
  /** Seconds that it has to last. */
  readonly atLeast?: number;
}

/** Renders the alerting rules (https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/). */
export function renderAlertRules(alerts: readonly Alert[]): string {
  return renderYaml({
    groups: [
      {
        name: "alerts",
        rules: alerts.map(({ name, expr, severity, summary, description, atLeast = 120 }) => ({
          alert: name,
          expr,
          for: `${atLeast}s`,
          labels: { severity },
          annotations: { summary, description },
        })),
      },
    ],
  });
}
