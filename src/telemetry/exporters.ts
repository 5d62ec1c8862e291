import type { ExportResult } from "@opentelemetry/core";
import type { LogRecordExporter } from "@opentelemetry/sdk-logs";
import type { PushMetricExporter, ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import type { SignalName, TelemetryConfig } from "../config/config.ts";
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
): Promise<Of<S> | null> {
  const { enabled, protocol, endpoint } = config.signals[signal];
  if (!enabled) return null;
  // A default endpoint that nobody named is tried once.
  const timeoutMillis = endpoint === null ? Math.min(ONE_TRY_MS, config.exportTimeoutMs) : config.exportTimeoutMs;
  const exporter = (await LOADERS[signal][protocol]({
    timeoutMillis,
    temporality: config.temporality,
    ...(endpoint !== null && { url: endpoint }),
  })) as Of<S>;
  return watch(signal, exporter, delivery);
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

function watch<S extends SignalName>(signal: S, exporter: Of<S>, delivery: Delivery): Of<S> {
  return new Proxy(exporter, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (property !== "export") return typeof value === "function" ? value.bind(target) : value;
      return (items: ResourceMetrics & unknown[], done: (result: ExportResult) => void) => {
        const settle = delivery.begin(signal, exportSizeOf(items));
        (target.export as (batch: unknown, done: (result: ExportResult) => void) => void)(items, (result) => {
          settle(result);
          done(result);
        });
      };
    },
  });
}
