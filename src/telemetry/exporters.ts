import { subscribe } from "node:diagnostics_channel";
import type { ClientRequest, IncomingMessage } from "node:http";
import type { ExportResult } from "@opentelemetry/core";
import type { LogRecordExporter } from "@opentelemetry/sdk-logs";
import type { PushMetricExporter, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import type { SignalName, TelemetryConfig } from "../config/config.ts";
import type { Acknowledgements } from "./acknowledgements.ts";
import { type Delivery, exportSizeOf } from "./delivery.ts";

/** Too short for a retry to fit in: the first one comes after 0.8 s. */
const ONE_TRY_MS = 700;

type Of<S extends SignalName> = S extends "traces"
  ? SpanExporter
  : S extends "metrics"
    ? PushMetricExporter
    : LogRecordExporter;

/** The exporter of a signal for the protocol that is configured, watched by `delivery`; null when it is switched off. */
export async function openExporter<S extends SignalName>(
  signal: S,
  config: TelemetryConfig,
  delivery: Delivery,
  acknowledgements: Acknowledgements,
): Promise<Of<S> | null> {
  const { enabled, protocol, endpoint } = config.signals[signal];
  if (!enabled) return null;
  const timeoutMillis = exportTimeoutOf(signal, config);
  const options = { timeoutMillis, temporality: config.temporality, ...(endpoint !== null && { url: endpoint }) };
  // A header that a protocol cannot carry fails here: one signal's trouble, which is counted as any other is.
  const exporter = (await LOADERS[signal][protocol](options).catch(() => new NoExporter())) as Of<S>;
  return watch(signal, exporter, { delivery, acknowledgements, timeoutMs: timeoutMillis });
}

/** Bound of one export in ms. A default endpoint that nobody named is tried once. */
export function exportTimeoutOf(signal: SignalName, { signals, exportTimeoutMs }: TelemetryConfig): number {
  return signals[signal].endpoint === null ? Math.min(ONE_TRY_MS, exportTimeoutMs) : exportTimeoutMs;
}

const DEFAULT_HOST = "localhost:4318";

/** Tells `delivery` the status of every answer over HTTP, which the exporters keep to themselves when they may retry. */
export function watchAnswers(config: TelemetryConfig, delivery: Delivery): void {
  const places = new Map<string, SignalName>();
  for (const signal of Object.keys(config.signals) as SignalName[]) {
    const { endpoint } = config.signals[signal];
    const { host, pathname, search } = new URL(endpoint ?? `http://${DEFAULT_HOST}/v1/${signal}`);
    places.set(`${host}${pathname}${search}`, signal);
  }
  subscribe("http.client.response.finish", (message) => {
    const { request, response } = message as { request: ClientRequest; response: IncomingMessage };
    const signal = places.get(`${request.getHeader("host")}${request.path}`);
    if (signal !== undefined) delivery.answered(signal, response.statusCode ?? 0);
  });
}

/** Stands in for an exporter that cannot be made. The error is kept from everybody: it may quote a header's value. */
class NoExporter {
  export(_items: unknown, done: (result: ExportResult) => void): void {
    done({ code: 1 });
  }

  async forceFlush(): Promise<void> {}

  async shutdown(): Promise<void> {}
}

type Options = { timeoutMillis: number; url?: string; temporality: TelemetryConfig["temporality"] };
type Loader = (options: Options) => Promise<SpanExporter | PushMetricExporter | LogRecordExporter>;

// Only the protocol in use is loaded: gRPC alone takes longer than all the rest.
const LOADERS: Record<SignalName, Record<TelemetryConfig["signals"][SignalName]["protocol"], Loader>> = {
  traces: {
    "http/protobuf": async (options) =>
      new (await import("@opentelemetry/exporter-trace-otlp-proto")).OTLPTraceExporter(options),
    "http/json": async (options) =>
      new (await import("@opentelemetry/exporter-trace-otlp-http")).OTLPTraceExporter(options),
    grpc: async (options) => new (await import("@opentelemetry/exporter-trace-otlp-grpc")).OTLPTraceExporter(options),
  },
  metrics: {
    "http/protobuf": async (options) =>
      new (await import("@opentelemetry/exporter-metrics-otlp-proto")).OTLPMetricExporter(
        await withTemporality(options),
      ),
    "http/json": async (options) =>
      new (await import("@opentelemetry/exporter-metrics-otlp-http")).OTLPMetricExporter(
        await withTemporality(options),
      ),
    grpc: async (options) =>
      new (await import("@opentelemetry/exporter-metrics-otlp-grpc")).OTLPMetricExporter(
        await withTemporality(options),
      ),
  },
  logs: {
    "http/protobuf": async (options) =>
      new (await import("@opentelemetry/exporter-logs-otlp-proto")).OTLPLogExporter(options),
    "http/json": async (options) =>
      new (await import("@opentelemetry/exporter-logs-otlp-http")).OTLPLogExporter(options),
    grpc: async (options) => new (await import("@opentelemetry/exporter-logs-otlp-grpc")).OTLPLogExporter(options),
  },
};

async function withTemporality({ temporality, ...options }: Options) {
  const { AggregationTemporalityPreference } = await import("@opentelemetry/exporter-metrics-otlp-http");
  const preference = {
    delta: AggregationTemporalityPreference.DELTA,
    cumulative: AggregationTemporalityPreference.CUMULATIVE,
    lowmemory: AggregationTemporalityPreference.LOWMEMORY,
  }[temporality];
  return { ...options, temporalityPreference: preference };
}

function watch<S extends SignalName>(
  signal: S,
  exporter: Of<S>,
  {
    delivery,
    acknowledgements,
    timeoutMs,
  }: { delivery: Delivery; acknowledgements: Acknowledgements; timeoutMs: number },
): Of<S> {
  const send = exporter.export.bind(exporter) as (batch: unknown, done: (result: ExportResult) => void) => void;
  return new Proxy(exporter, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (property !== "export") return typeof value === "function" ? value.bind(target) : value;
      return (items: ResourceMetrics & unknown[], done: (result: ExportResult) => void) => {
        const settle = delivery.begin(signal, exportSizeOf(items), timeoutMs);
        const acknowledge = acknowledgements.begin(signal, items);
        const finish = (result: ExportResult) => {
          settle(result);
          if (result.code === 0) acknowledge();
          done(result);
        };
        try {
          send(items, finish);
        } catch (error) {
          finish({ code: 1, error: error as Error });
        }
      };
    },
  });
}
