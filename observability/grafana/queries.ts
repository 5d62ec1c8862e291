import { ATTRIBUTE, type InstrumentName } from "../../src/instruments.ts";
import { prometheusLabel, prometheusName } from "../prometheus/names.ts";

/** Labels of all series, by the key of the attribute in `src/instruments.ts`. */
export const LABEL = Object.fromEntries(
  Object.entries(ATTRIBUTE).map(([key, attribute]) => [key, prometheusLabel(attribute)]),
) as Record<keyof typeof ATTRIBUTE, string>;

/** What a dashboard narrows its series down to: the label and the dashboard's variable for it. */
export type Filter = Readonly<Record<string, string>>;

/** The resource attribute that the collector makes a label of. */
export const ENVIRONMENT: Filter = { deployment_environment_name: "environment" };
/** Filter of the dashboard for one breaker. */
export const ONE_BREAKER: Filter = { ...ENVIRONMENT, [LABEL.breakerName]: "breaker", [LABEL.serverAddress]: "server" };
/** Filter of the dashboard for scripts. */
export const SCRIPTS: Filter = { ...ENVIRONMENT, [LABEL.scriptName]: "script", [LABEL.hostName]: "host" };

/** Selector of a metric of the toolkit; `part` is the end of a histogram's series, `more` are further matchers. */
export function series(name: InstrumentName, filter: Filter, { part = "", more = "" } = {}): string {
  return select(prometheusName(name) + part, filter, more);
}

/** Selector of a series by its Prometheus name, that of a recording rule for example. */
export function select(name: string, filter: Filter, more = ""): string {
  const matchers = Object.entries(filter).map(([label, variable]) => `${label}=~"$${variable}"`);
  return `${name}{${[...matchers, ...(more === "" ? [] : [more])].join(", ")}}`;
}

/**
 * How much a counter grew within a window. `increase()` does not see the first value of a series, which is all that there
 * is of an event in a script of two seconds: a series that was not there before counts in full.
 */
export function growth(selector: string, window: string): string {
  const before = `offset ${window}`;
  return `((${selector} unless ${selector} ${before} and on () up{job="otelcol"} ${before}) or increase(${selector}[${window}]))`;
}

/** Quantile of a histogram by the given labels over the window. */
export function quantile(
  q: number,
  name: InstrumentName,
  filter: Filter,
  by: readonly string[],
  window: string,
): string {
  const buckets = growth(series(name, filter, { part: "_bucket" }), window);
  return `histogram_quantile(${q}, sum by (${["le", ...by].join(", ")}) (${buckets}))`;
}

/** State of a breaker as one number: 0 closed, 1 half-open, 2 open, 3 isolated. */
export function stateCode(filter: Filter): string {
  const codes = { half_open: 1, open: 2, isolated: 3, closed: 0 };
  const terms = Object.entries(codes).map(([state, code]) => {
    return `${series("circuit_breaker.state", filter, { more: `${LABEL.breakerState}="${state}"` })} * ${code}`;
  });
  return `sum without (${LABEL.breakerState}) (${terms.join(" or ")})`;
}
