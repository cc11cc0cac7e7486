/** One line of a panel. */
export interface Query {
  /** PromQL */
  readonly expr: string;
  /** Legend; `{{label}}` is replaced by the label's value. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  readonly description: string;
  readonly kind: "stat" | "timeseries";
  /** A unit of Grafana's: `short`, `reqps`, `s`, `percentunit`, `bytes`, `Bps`. */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** A stat shows the legend, where the labels are the news and the value is always 1. */
  readonly legendOnly?: boolean;
}

/** Panels side by side under a title. */
export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}
