import { INSTRUMENTS, type Instrument, type InstrumentName } from "../../src/instruments.ts";

/** Name under which Prometheus knows a metric, by the default translation of the collector's Prometheus exporter. */
export function prometheusName(name: InstrumentName): string {
  const { kind, unit }: Instrument = INSTRUMENTS[name];
  // A unit in braces is a note and leaves no trace; breakwater uses no other unit than seconds.
  const suffixes = [...(unit === "s" ? ["seconds"] : []), ...(kind === "counter" ? ["total"] : [])];
  return [name.replaceAll(".", "_"), ...suffixes].join("_");
}

/** Every series name of a metric: a histogram has three. */
export function seriesNames(name: InstrumentName): string[] {
  const base = prometheusName(name);
  return INSTRUMENTS[name].kind === "histogram" ? ["bucket", "sum", "count"].map((part) => `${base}_${part}`) : [base];
}

/** Name of the label for an attribute. */
export function prometheusLabel(attribute: string): string {
  return attribute.replaceAll(".", "_");
}
