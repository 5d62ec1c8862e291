import { parseConfig } from "../../src/config/parse.ts";
import type { SpanRecord } from "../../src/telemetry/recorder.ts";
import { type RootSpan, startSession, type TelemetrySession } from "../../src/telemetry/sdk.ts";

export const ROOT: RootSpan = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  parentSpanId: null,
  name: "script under-test",
  startMs: 1_795_000_000_000,
};

/** A session for the given variables, which the exporters and the sampler read from the environment themselves. */
export async function openSession(
  env: Readonly<Record<string, string>>,
  options: { root?: RootSpan; breakersAreMachineLocal?: boolean } = {},
): Promise<TelemetrySession> {
  for (const name of Object.keys(process.env)) if (name.startsWith("OTEL_")) delete process.env[name];
  Object.assign(process.env, env);
  const { config } = parseConfig(env);
  return startSession({ config: config.telemetry, root: ROOT, ...options });
}

/** A child of the root that took 20 ms, unless told otherwise. */
export function spanRecord(changes: Partial<SpanRecord> = {}): SpanRecord {
  return {
    traceId: ROOT.traceId,
    spanId: "00f067aa0ba902b7",
    parentSpanId: ROOT.spanId,
    name: "GET /v2/clock",
    kind: "client",
    startMs: ROOT.startMs + 10,
    endMs: ROOT.startMs + 30,
    attributes: {},
    links: [],
    errorType: null,
    ...changes,
  };
}

/** The record that ends the root. */
export function rootRecord(root: RootSpan = ROOT): SpanRecord {
  return spanRecord({
    ...root,
    kind: "internal",
    endMs: root.startMs + 50,
    attributes: { "script.name": "under-test" },
  });
}

/** One item of every signal. */
export function recordOneOfEach({ sink }: TelemetrySession): void {
  sink.span(rootRecord());
  sink.measure({ name: "script.runs", value: 1, attributes: {} });
  recordEvent({ sink }, "circuit_breaker.opened");
}

export function recordEvent({ sink }: Pick<TelemetrySession, "sink">, eventName: string): void {
  const { traceId, spanId, startMs } = ROOT;
  sink.log({
    eventName,
    severity: "warn",
    body: "it opened",
    timeMs: startMs,
    attributes: {},
    span: { traceId, spanId },
  });
}
