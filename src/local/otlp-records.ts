/** Value of an attribute or a body; whole numbers that a double cannot hold stay strings. */
export type AttributeValue =
  | string
  | number
  | boolean
  | null
  | readonly AttributeValue[]
  | { readonly [key: string]: AttributeValue };

export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Who sent a record. */
export interface Origin {
  /** Attributes of the resource. */
  readonly resource: Attributes;
  readonly scope: { readonly name: string; readonly version: string };
}

export interface SpanRecord extends Origin {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | null;
  readonly kind: "unspecified" | "internal" | "server" | "client" | "producer" | "consumer";
  readonly startTimeNs: bigint;
  readonly endTimeNs: bigint;
  readonly attributes: Attributes;
  readonly events: readonly { name: string; timeNs: bigint; attributes: Attributes }[];
  readonly links: readonly { traceId: string; spanId: string; attributes: Attributes }[];
  readonly status: { readonly code: "unset" | "ok" | "error"; readonly message: string };
}

/** One data point of a metric; what its kind does not have is null. */
export interface MetricPoint extends Origin {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly kind: "gauge" | "sum" | "histogram";
  /** Null for a gauge. */
  readonly temporality: "unspecified" | "delta" | "cumulative" | null;
  /** Null for anything but a sum. */
  readonly isMonotonic: boolean | null;
  readonly startTimeNs: bigint;
  readonly timeNs: bigint;
  readonly attributes: Attributes;
  /** Of a gauge or a sum. */
  readonly value: number | null;
  /** These are of a histogram; there is one bucket more than bounds. */
  readonly count: number | null;
  readonly sum: number | null;
  readonly min: number | null;
  readonly max: number | null;
  readonly bounds: readonly number[] | null;
  readonly bucketCounts: readonly number[] | null;
}

export interface LogRecord extends Origin {
  /** Empty when the record is no event. */
  readonly eventName: string;
  readonly body: AttributeValue;
  readonly severityNumber: number;
  readonly severityText: string;
  readonly attributes: Attributes;
  readonly traceId: string | null;
  readonly spanId: string | null;
  /** When it happened; 0 when the sender did not say. */
  readonly timeNs: bigint;
  readonly observedTimeNs: bigint;
}

type Json = Readonly<Record<string, unknown>>;

const SPAN_KIND = ["unspecified", "internal", "server", "client", "producer", "consumer"] as const;
const STATUS_CODE = ["unset", "ok", "error"] as const;
const TEMPORALITY = ["unspecified", "delta", "cumulative"] as const;

/** Spans of an export request in OTLP's JSON form. */
export function spansOf(request: Json): SpanRecord[] {
  return itemsOf(request, "resourceSpans", "scopeSpans", "spans").map(({ item, origin }) => {
    const status = object(item.status);
    return {
      name: text(item.name),
      traceId: text(item.traceId),
      spanId: text(item.spanId),
      parentSpanId: text(item.parentSpanId) || null,
      kind: SPAN_KIND[number(item.kind)] ?? "unspecified",
      startTimeNs: nanoseconds(item.startTimeUnixNano),
      endTimeNs: nanoseconds(item.endTimeUnixNano),
      attributes: attributesOf(item.attributes),
      events: list(item.events).map((event) => ({
        name: text(event.name),
        timeNs: nanoseconds(event.timeUnixNano),
        attributes: attributesOf(event.attributes),
      })),
      links: list(item.links).map((link) => ({
        traceId: text(link.traceId),
        spanId: text(link.spanId),
        attributes: attributesOf(link.attributes),
      })),
      status: { code: STATUS_CODE[number(status.code)] ?? "unset", message: text(status.message) },
      ...origin,
    };
  });
}

/** Data points of an export request in OTLP's JSON form: gauges, sums and histograms with explicit bounds. */
export function metricPointsOf(request: Json): MetricPoint[] {
  return itemsOf(request, "resourceMetrics", "scopeMetrics", "metrics").flatMap(({ item, origin }) => {
    const kind = (["gauge", "sum", "histogram"] as const).find((one) => one in item);
    if (kind === undefined) return [];
    const data = object(item[kind]);
    return list(data.dataPoints).map((point) => ({
      name: text(item.name),
      description: text(item.description),
      unit: text(item.unit),
      kind,
      temporality: kind === "gauge" ? null : (TEMPORALITY[number(data.aggregationTemporality)] ?? "unspecified"),
      isMonotonic: kind === "sum" ? data.isMonotonic === true : null,
      startTimeNs: nanoseconds(point.startTimeUnixNano),
      timeNs: nanoseconds(point.timeUnixNano),
      attributes: attributesOf(point.attributes),
      value: kind === "histogram" ? null : number(point.asDouble ?? point.asInt),
      count: kind === "histogram" ? number(point.count) : null,
      sum: optionalNumber(point.sum),
      min: optionalNumber(point.min),
      max: optionalNumber(point.max),
      bounds: kind === "histogram" ? numbers(point.explicitBounds) : null,
      bucketCounts: kind === "histogram" ? numbers(point.bucketCounts) : null,
      ...origin,
    }));
  });
}

/** Log records of an export request in OTLP's JSON form. */
export function logsOf(request: Json): LogRecord[] {
  return itemsOf(request, "resourceLogs", "scopeLogs", "logRecords").map(({ item, origin }) => ({
    eventName: text(item.eventName),
    body: attributeValueOf(item.body),
    severityNumber: number(item.severityNumber),
    severityText: text(item.severityText),
    attributes: attributesOf(item.attributes),
    traceId: text(item.traceId) || null,
    spanId: text(item.spanId) || null,
    timeNs: nanoseconds(item.timeUnixNano),
    observedTimeNs: nanoseconds(item.observedTimeUnixNano),
    ...origin,
  }));
}

function itemsOf(request: Json, byResource: string, byScope: string, items: string): { item: Json; origin: Origin }[] {
  return list(request[byResource]).flatMap((ofResource) =>
    list(ofResource[byScope]).flatMap((ofScope) => {
      const scope = object(ofScope.scope);
      const origin = {
        resource: attributesOf(object(ofResource.resource).attributes),
        scope: { name: text(scope.name), version: text(scope.version) },
      };
      return list(ofScope[items]).map((item) => ({ item, origin }));
    }),
  );
}

function attributesOf(value: unknown): Attributes {
  return Object.fromEntries(list(value).map((pair) => [text(pair.key), attributeValueOf(pair.value)]));
}

function attributeValueOf(value: unknown): AttributeValue {
  const { stringValue, boolValue, intValue, doubleValue, arrayValue, kvlistValue, bytesValue } = object(value);
  if (stringValue !== undefined) return text(stringValue);
  if (boolValue !== undefined) return boolValue === true;
  if (intValue !== undefined) return Number.isSafeInteger(Number(intValue)) ? Number(intValue) : String(intValue);
  if (doubleValue !== undefined) return number(doubleValue);
  if (arrayValue !== undefined) return list(object(arrayValue).values).map(attributeValueOf);
  if (kvlistValue !== undefined) return attributesOf(object(kvlistValue).values);
  return bytesValue === undefined ? null : text(bytesValue);
}

function object(value: unknown): Json {
  if (value == null) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw mismatch("an object", value);
  return value as Json;
}

function list(value: unknown): Json[] {
  if (value == null) return [];
  if (!Array.isArray(value)) throw mismatch("a list", value);
  return value.map(object);
}

function numbers(value: unknown): number[] {
  if (value == null) return [];
  if (!Array.isArray(value)) throw mismatch("a list", value);
  return value.map(number);
}

function text(value: unknown): string {
  if (value == null) return "";
  if (typeof value !== "string") throw mismatch("a string", value);
  return value;
}

function number(value: unknown): number {
  if (value == null) return 0;
  const converted = typeof value === "string" || typeof value === "number" ? Number(value) : Number.NaN;
  if (Number.isNaN(converted) && value !== "NaN") throw mismatch("a number", value);
  return converted;
}

function optionalNumber(value: unknown): number | null {
  return value == null ? null : number(value);
}

function nanoseconds(value: unknown): bigint {
  if (value == null) return 0n;
  if (typeof value === "string" || typeof value === "number") return BigInt(value);
  throw mismatch("nanoseconds", value);
}

function mismatch(expected: string, value: unknown): TypeError {
  return new TypeError(`Cannot read OTLP: ${expected} is due, not ${typeof value}`);
}
