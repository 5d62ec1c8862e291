import {
  GraphDrawStyle,
  ReduceDataOptionsBuilder,
  StackingConfigBuilder,
  StackingMode,
} from "@grafana/grafana-foundation-sdk/common";
import {
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  MappingType,
  QueryVariableBuilder,
  type Threshold,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TimelineBuilder } from "@grafana/grafana-foundation-sdk/statetimeline";
import { PanelBuilder as GraphBuilder } from "@grafana/grafana-foundation-sdk/timeseries";

/** Prometheus as chosen at the top of the dashboard. */
const SOURCE = { type: "prometheus", uid: "$datasource" };

/** Tag of every dashboard of the toolkit: they link to each other by it. */
export const TAG = "breakwater";

/** Query with the legend of its series; `instant` asks for the last value only. */
export function query(expr: string, legend = "", { instant = false } = {}): DataqueryBuilder {
  const builder = new DataqueryBuilder().datasource(SOURCE).expr(expr).legendFormat(legend);
  return instant ? builder.instant() : builder.range();
}

/** Values from which on a colour holds; the first one holds below all others. */
export type Colours = readonly [first: string, ...rest: [from: number, colour: string][]];

function thresholds([first, ...rest]: Colours): ThresholdsConfigBuilder {
  const steps: Threshold[] = [{ value: null, color: first }, ...rest.map(([value, color]) => ({ value, color }))];
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps);
}

/** Grafana tells the answers of one panel apart by the letters of its queries. */
function named(targets: readonly DataqueryBuilder[]): DataqueryBuilder[] {
  return targets.map((target, index) => target.refId(String.fromCharCode("A".charCodeAt(0) + index)));
}

/** Few numbers, large. */
export function stat(
  title: string,
  description: string,
  colours: Colours,
  ...targets: DataqueryBuilder[]
): StatBuilder {
  return new StatBuilder()
    .title(title)
    .description(description)
    .datasource(SOURCE)
    .targets(named(targets))
    .thresholds(thresholds(colours))
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(["lastNotNull"]))
    .height(5)
    .span(6);
}

/** Lines over time. */
export function graph(title: string, description: string, unit: string, ...targets: DataqueryBuilder[]): GraphBuilder {
  return new GraphBuilder()
    .title(title)
    .description(description)
    .datasource(SOURCE)
    .targets(named(targets))
    .unit(unit)
    .min(0)
    .interval("1m")
    .height(8)
    .span(12);
}

/** Stacked bars over time, for counts of events. */
export function bars(title: string, description: string, ...targets: DataqueryBuilder[]): GraphBuilder {
  return graph(title, description, "short", ...targets)
    .drawStyle(GraphDrawStyle.Bars)
    .fillOpacity(80)
    .decimals(0)
    .stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group("A"));
}

/** States over time, one line a series; `states` are their names and colours by number. */
export function timeline(
  title: string,
  description: string,
  states: Readonly<Record<number, readonly [text: string, color: string]>>,
  ...targets: DataqueryBuilder[]
): TimelineBuilder {
  const options = Object.fromEntries(Object.entries(states).map(([code, [text, color]]) => [code, { text, color }]));
  return new TimelineBuilder()
    .title(title)
    .description(description)
    .datasource(SOURCE)
    .targets(named(targets))
    .mappings([{ type: MappingType.ValueToText, options }])
    .interval("1m")
    .height(8)
    .span(24);
}

/** Drop-down of a label's values, all of them by default; a series without the label is in "all". */
export function choice(name: string, label: string, metric: string): QueryVariableBuilder {
  return new QueryVariableBuilder(name)
    .datasource(SOURCE)
    .query(`label_values(${metric}, ${label})`)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .includeAll(true)
    .allValue(".*")
    .multi(false)
    .current({ text: "All", value: "$__all" });
}

/** Dashboard with what all of them have: the data source, links to the others, six hours, a refresh every 30 s. */
export function dashboard(uid: string, title: string, description: string): DashboardBuilder {
  return new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .time({ from: "now-6h", to: "now" })
    .refresh("30s")
    .timezone("browser")
    .tooltip(DashboardCursorSync.Crosshair)
    .link(new DashboardLinkBuilder("breakwater").type(DashboardLinkType.Dashboards).tags([TAG]).keepTime(true))
    .withVariable(new DatasourceVariableBuilder("datasource").label("Data source").type("prometheus"));
}
