import type { Message } from "./protobuf.ts";

/** The three signals, by the last part of their OTLP/HTTP path. */
export type Signal = "traces" | "metrics" | "logs";

// Field numbers are those of opentelemetry-proto 1.x; fields that nothing here reads are left out.
const ANY_VALUE: Message = {
  1: ["stringValue", "string"],
  2: ["boolValue", "bool"],
  3: ["intValue", "int64"],
  4: ["doubleValue", "double"],
  7: ["bytesValue", "bytes"],
};
const KEY_VALUE: Message = { 1: ["key", "string"], 2: ["value", ANY_VALUE] };
ANY_VALUE[5] = ["arrayValue", { 1: ["values", [ANY_VALUE]] }];
ANY_VALUE[6] = ["kvlistValue", { 1: ["values", [KEY_VALUE]] }];

const RESOURCE: Message = { 1: ["attributes", [KEY_VALUE]] };
const SCOPE: Message = { 1: ["name", "string"], 2: ["version", "string"], 3: ["attributes", [KEY_VALUE]] };

const SPAN: Message = {
  1: ["traceId", "hex"],
  2: ["spanId", "hex"],
  4: ["parentSpanId", "hex"],
  5: ["name", "string"],
  6: ["kind", "int32"],
  7: ["startTimeUnixNano", "fixed64"],
  8: ["endTimeUnixNano", "fixed64"],
  9: ["attributes", [KEY_VALUE]],
  11: ["events", [{ 1: ["timeUnixNano", "fixed64"], 2: ["name", "string"], 3: ["attributes", [KEY_VALUE]] }]],
  13: ["links", [{ 1: ["traceId", "hex"], 2: ["spanId", "hex"], 4: ["attributes", [KEY_VALUE]] }]],
  15: ["status", { 2: ["message", "string"], 3: ["code", "int32"] }],
};

const NUMBER_POINT: Message = {
  2: ["startTimeUnixNano", "fixed64"],
  3: ["timeUnixNano", "fixed64"],
  4: ["asDouble", "double"],
  6: ["asInt", "sfixed64"],
  7: ["attributes", [KEY_VALUE]],
};
const HISTOGRAM_POINT: Message = {
  2: ["startTimeUnixNano", "fixed64"],
  3: ["timeUnixNano", "fixed64"],
  4: ["count", "fixed64"],
  5: ["sum", "double"],
  6: ["bucketCounts", ["fixed64"]],
  7: ["explicitBounds", ["double"]],
  9: ["attributes", [KEY_VALUE]],
  11: ["min", "double"],
  12: ["max", "double"],
};
const TEMPORALITY = ["aggregationTemporality", "int32"] as const;
const METRIC: Message = {
  1: ["name", "string"],
  2: ["description", "string"],
  3: ["unit", "string"],
  5: ["gauge", { 1: ["dataPoints", [NUMBER_POINT]] }],
  7: ["sum", { 1: ["dataPoints", [NUMBER_POINT]], 2: TEMPORALITY, 3: ["isMonotonic", "bool"] }],
  9: ["histogram", { 1: ["dataPoints", [HISTOGRAM_POINT]], 2: TEMPORALITY }],
};

const LOG_RECORD: Message = {
  1: ["timeUnixNano", "fixed64"],
  2: ["severityNumber", "int32"],
  3: ["severityText", "string"],
  5: ["body", ANY_VALUE],
  6: ["attributes", [KEY_VALUE]],
  9: ["traceId", "hex"],
  10: ["spanId", "hex"],
  11: ["observedTimeUnixNano", "fixed64"],
  12: ["eventName", "string"],
};

/** The export request of every signal. */
export const EXPORT_REQUEST: Readonly<Record<Signal, Message>> = {
  traces: exportRequest("resourceSpans", "scopeSpans", "spans", SPAN),
  metrics: exportRequest("resourceMetrics", "scopeMetrics", "metrics", METRIC),
  logs: exportRequest("resourceLogs", "scopeLogs", "logRecords", LOG_RECORD),
};

function exportRequest(byResource: string, byScope: string, items: string, item: Message): Message {
  const ofScope: Message = { 1: ["scope", SCOPE], 2: [items, [item]] };
  return { 1: [byResource, [{ 1: ["resource", RESOURCE], 2: [byScope, [ofScope]] }]] };
}
