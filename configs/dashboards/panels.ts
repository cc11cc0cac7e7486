import {
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  ReduceDataOptionsBuilder,
  SortOrder,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import {
  DashboardBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type Threshold,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as SeriesBuilder } from "@grafana/grafana-foundation-sdk/timeseries";
import { PercentUnit, Short } from "@grafana/grafana-foundation-sdk/units";

import { datasourceUid } from "../grafana";

/** A dashboard's file name, without folder, and its content. */
export interface Dashboard {
  readonly file: string;
  readonly json: string;
}

/** Panels side by side under a title. */
export interface Row {
  readonly title: string;
  readonly panels: readonly (StatBuilder | SeriesBuilder)[];
}

/** One line of a panel. */
export interface Query {
  /** PromQL */
  readonly expr: string;
  /** Legend; `{{label}}` is replaced by the label's value. */
  readonly legend: string;
}

const datasource = { type: "prometheus", uid: datasourceUid };
const gridWidth = 24;
const panelHeight = 8;

/** Renders a dashboard as Grafana's JSON model, in the schema version of the library. */
export function dashboard(file: string, uid: string, title: string, rows: readonly Row[]): Dashboard {
  const builder = new DashboardBuilder(title)
    .uid(uid)
    .tags(["torrust"])
    .readonly()
    .refresh("30s")
    .time({ from: "now-6h", to: "now" });
  // Given here, because links to a panel hold it.
  let id = 0;
  for (const { title, panels } of rows) {
    builder.withRow(new RowBuilder(title).id(++id));
    const edge = (index: number) => Math.floor((index * gridWidth) / panels.length);
    panels.forEach((panel, index) => {
      // Whole columns, also where they cannot be equally many.
      const width = edge(index + 1) - edge(index);
      builder.withPanel(panel.id(++id).height(panelHeight).span(width));
    });
  }
  return { file, json: `${JSON.stringify(builder.build(), null, 2)}\n` };
}

/**
 * The current value, or one for each series, uncoloured.
 *
 * @param unit one of Grafana's
 */
export function stat(
  title: string,
  description: string,
  unit: string,
  expr: string,
  legend = title,
): StatBuilder {
  return (
    new StatBuilder()
      .title(title)
      .description(description)
      .datasource(datasource)
      .unit(unit)
      // Grafana would colour by its own thresholds: red from 80 on, whatever the unit.
      .colorMode(BigValueColorMode.None)
      // There is one value, of which no graph can be drawn.
      .graphMode(BigValueGraphMode.None)
      .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]))
      .withTarget(query({ expr, legend }, 0).instant())
  );
}

/** Stat that is coloured by its value: the first step's colour holds below the second one's value, and so on. */
export function judged(
  panel: StatBuilder,
  below: string,
  ...steps: readonly (readonly [from: number, colour: string])[]
): StatBuilder {
  const thresholds: Threshold[] = [
    { value: null, color: below },
    ...steps.map(([value, color]) => ({ value, color })),
  ];
  return panel
    .colorMode(BigValueColorMode.Value)
    .thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(thresholds));
}

/** A stat that shows labels instead of a number, which is always 1. */
export function info(title: string, description: string, expr: string, legend: string): StatBuilder {
  return stat(title, description, Short, expr, legend).textMode(BigValueTextMode.Name);
}

/**
 * Lines over time.
 *
 * @param unit one of Grafana's
 */
export function series(
  title: string,
  description: string,
  unit: string,
  queries: readonly Query[],
): SeriesBuilder {
  return new SeriesBuilder()
    .title(title)
    .description(description)
    .datasource(datasource)
    .unit(unit)
    .legend(new VizLegendOptionsBuilder().showLegend(true).calcs([]))
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .targets(queries.map((each, index) => query(each, index).range()));
}

/** Lines between 0 and 100 %. */
export function shares(title: string, description: string, queries: readonly Query[]): SeriesBuilder {
  return series(title, description, PercentUnit, queries).min(0).max(1);
}

/** Lines that are 1 or 0: it works or it does not. */
export function states(title: string, description: string, queries: readonly Query[]): SeriesBuilder {
  return series(title, description, Short, queries).min(0).max(1).decimals(0);
}

function query({ expr, legend }: Query, index: number): DataqueryBuilder {
  return new DataqueryBuilder()
    .refId(String.fromCharCode(65 + index))
    .datasource(datasource)
    .expr(expr)
    .legendFormat(legend);
}
