import type { Transition } from "../breaker/state.ts";
import { ATTRIBUTE, TRANSITION_SPAN } from "../instruments.ts";
import { describeChange } from "./drill-timeline.ts";
import type { Received } from "./otlp-receiver.ts";
import type { MetricPoint } from "./otlp-records.ts";

/** How often a state change arrived. */
export interface Sightings {
  readonly spans: number;
  readonly logs: number;
  /** What the counter says of changes from this state to that one for this reason, and how many there were. */
  readonly counted: number;
  readonly due: number;
}

/** Records of one name that arrived, and what they say together. */
export interface ExportedRow {
  readonly signal: "span" | "log" | "metric";
  readonly name: string;
  /** Spans, log records or data points. */
  readonly records: number;
  readonly says: string;
}

/** What a receiver holds of the given state changes, in their order. */
export function sightingsOf(received: Received, transitions: readonly Transition[]): Sightings[] {
  const { spans, logs } = received;
  const counter = received.points.filter(({ name }) => name === "circuit_breaker.transitions");
  return transitions.map((transition) => {
    const isThis = ({ attributes }: { attributes: Readonly<Record<string, unknown>> }) =>
      attributes[ATTRIBUTE.breakerEventId] === transition.eventId;
    const isAlike = ({ from, to, reason }: Transition) =>
      from === transition.from && to === transition.to && reason === transition.reason;
    const counts = counter.filter(
      ({ attributes }) =>
        attributes[ATTRIBUTE.breakerName] === transition.breaker &&
        attributes[ATTRIBUTE.breakerFrom] === transition.from &&
        attributes[ATTRIBUTE.breakerTo] === transition.to &&
        attributes[ATTRIBUTE.breakerReason] === transition.reason,
    );
    return {
      spans: spans.filter((span) => span.name === TRANSITION_SPAN && isThis(span)).length,
      logs: logs.filter((log) => log.eventName !== "" && isThis(log)).length,
      counted: sum(counts),
      due: transitions.filter(isAlike).length,
    };
  });
}

/** What differs from every state change having arrived exactly once in every signal, in words. */
export function missingOf(received: Received, transitions: readonly Transition[]): string[] {
  const missing = sightingsOf(received, transitions).flatMap(({ spans, logs, counted, due }, at) => {
    const transition = transitions[at] as Transition;
    const name = `${describeChange(transition)} (event ${transition.eventId})`;
    return [
      spans !== 1 && `the span of ${name} arrived ${spans} times, expected 1`,
      logs !== 1 && `the log event of ${name} arrived ${logs} times, expected 1`,
      counted !== due && `the counter says ${counted} of ${describeChange(transition)}, expected ${due}`,
    ].filter((text) => text !== false);
  });
  const known = new Set<unknown>(transitions.map(({ eventId }) => eventId));
  const strangers = [...received.spans, ...received.logs]
    .map(({ attributes }) => attributes[ATTRIBUTE.breakerEventId])
    .filter((eventId) => eventId !== undefined && !known.has(eventId));
  if (strangers.length > 0) missing.push(`${strangers.length} records of other state changes arrived, expected none`);
  return [...new Set(missing)];
}

/** All that a receiver holds, one row a name. */
export function exportedRows({ spans, logs, points }: Received): ExportedRow[] {
  return [
    ...rows(
      "span",
      spans,
      ({ name }) => name,
      ([span]) => (span?.kind === "client" ? "one a request" : ""),
    ),
    ...rows(
      "log",
      logs,
      ({ eventName }) => eventName,
      () => "",
    ),
    ...rows("metric", points, ({ name }) => name, describePoints),
  ];
}

function rows<T>(
  signal: ExportedRow["signal"],
  items: readonly T[],
  nameOf: (item: T) => string,
  say: (items: readonly T[]) => string,
): ExportedRow[] {
  const byName = Map.groupBy(items, nameOf);
  return [...byName].map(([name, group]) => ({ signal, name, records: group.length, says: say(group) }));
}

function describePoints(points: readonly MetricPoint[]): string {
  const [first] = points;
  if (first === undefined) return "";
  if (first.kind === "sum") return `${amount(sum(points), first.unit)} in all`;
  if (first.kind === "histogram") {
    const count = points.reduce((total, point) => total + (point.count ?? 0), 0);
    const mean = points.reduce((total, point) => total + (point.sum ?? 0), 0) / count;
    return `${amount(count, "{value}")}, mean ${mean.toPrecision(2)} ${first.unit}`;
  }
  const series = new Set(points.map(({ attributes }) => JSON.stringify(attributes))).size;
  if (series !== 1) return `${series} series`;
  const value = points.at(-1)?.value ?? 0;
  const isTime = first.unit === "s" && value > 1_000_000_000;
  return isTime ? `at ${new Date(value * 1_000).toISOString()}` : amount(value, first.unit);
}

/** Such as `5 transitions` for the unit `{transition}`. */
function amount(value: number, unit: string): string {
  const thing = /^\{(.+)\}$/.exec(unit)?.[1];
  return thing ? `${value} ${thing}${value === 1 ? "" : "s"}` : `${value} ${unit}`.trimEnd();
}

/** Of deltas: a drill's own receiver gets no others. */
function sum(points: readonly MetricPoint[]): number {
  return points.reduce((total, { value }) => total + (value ?? 0), 0);
}
