import { hostname } from "node:os";
import { type Context, context, diag, logs, metrics, trace } from "@opentelemetry/api";
import { getNumberFromEnv, setGlobalErrorHandler } from "@opentelemetry/core";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import { LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { RandomIdGenerator, TracerProvider } from "@opentelemetry/sdk-trace";
import type { TelemetryConfig } from "../config/config.ts";
import { SCOPE_NAME, TOOLKIT_VERSION } from "../instruments.ts";
import { Acknowledgements, type OnAcknowledged } from "./acknowledgements.ts";
import { ActiveContext } from "./active-context.ts";
import { Delivery, type Undelivered } from "./delivery.ts";
import { PARTIAL_SUCCESS_LEVEL, partialSuccessLogger } from "./diagnostics.ts";
import { queueLogs, queueSpans } from "./export-queue.ts";
import { exportTimeoutOf, openExporter, watchAnswers } from "./exporters.ts";
import type { SignalSink } from "./recorder.ts";
import { PresetIds, RunSampler } from "./sampling.ts";
import { type RootSpan, SdkSink } from "./sink.ts";

export type { Undelivered } from "./delivery.ts";
export type { RootSpan } from "./sink.ts";

/** A running OpenTelemetry SDK. */
export interface TelemetrySession {
  readonly sink: SignalSink;
  /** For `context.with`: spans that are started within are children of the run's root span. */
  readonly rootContext: Context;
  /** Exports all that there is. Never rejects; it may take as long as the collector does. */
  flush(): Promise<void>;
  /** Exports all that there is, within `deadlineMs`, and says what the collector did not acknowledge. Never rejects. */
  end(deadlineMs: number): Promise<readonly Undelivered[]>;
}

/** Starts the SDK for one run of a script, whose span is `root`. */
export async function startSession(options: {
  readonly config: TelemetryConfig;
  readonly root: RootSpan;
  /** True by default: breaker facts carry this machine's name. False where a fleet shares the breakers. */
  readonly breakersAreMachineLocal?: boolean;
  /** Hears of the state changes that a collector has taken. */
  readonly onAcknowledged?: OnAcknowledged;
}): Promise<TelemetrySession> {
  const { config, root, breakersAreMachineLocal = true } = options;
  const delivery = new Delivery();
  const acknowledgements = new Acknowledgements(
    options.onAcknowledged ?? (() => {}),
    config.temporality === "cumulative",
  );
  silence(delivery);
  watchAnswers(config, delivery);
  const resource = resourceFromAttributes(resourceAttributes(config));
  const ids = new PresetIds(new RandomIdGenerator());
  const providers = await openProviders({ config, delivery, acknowledgements, resource, root, ids });
  const { tracers, meters, loggers } = providers;
  context.setGlobalContextManager(new ActiveContext());
  trace.setGlobalTracerProvider(tracers);
  metrics.setGlobalMeterProvider(meters);
  logs.setGlobalLoggerProvider(loggers);
  const sink = new SdkSink(
    {
      tracer: tracers.getTracer(SCOPE_NAME, TOOLKIT_VERSION),
      // Without a version: a new one would be a new stream of every metric.
      meter: meters.getMeter(SCOPE_NAME),
      logger: loggers.getLogger(SCOPE_NAME, TOOLKIT_VERSION),
      ids,
      acknowledgements,
      hostName: hostName(config),
      breakersAreMachineLocal,
    },
    root,
  );
  const flush = async () => {
    await Promise.allSettled([tracers, meters, loggers].map(async (provider) => provider.forceFlush()));
  };
  return { sink, rootContext: sink.rootContext, flush, end: (deadlineMs) => endWithin(deadlineMs, flush, delivery) };
}

/** Name of this machine, as its metrics carry it: `host.name` of OTEL_RESOURCE_ATTRIBUTES, else the system's. */
export function hostName({ resourceAttributes }: Pick<TelemetryConfig, "resourceAttributes">): string {
  const given = resourceAttributes["host.name"];
  if (given !== undefined) return given;
  try {
    return hostname();
  } catch {
    // Deno asks for a permission, and telemetry is worth more than the name.
    return "unknown";
  }
}

async function openProviders(needs: {
  config: TelemetryConfig;
  delivery: Delivery;
  acknowledgements: Acknowledgements;
  resource: Resource;
  root: RootSpan;
  ids: PresetIds;
}) {
  const { config, delivery, acknowledgements, resource, root, ids } = needs;
  const [spanExporter, metricExporter, logExporter] = await Promise.all([
    openExporter("traces", config, delivery, acknowledgements),
    openExporter("metrics", config, delivery, acknowledgements),
    openExporter("logs", config, delivery, acknowledgements),
  ]);
  return {
    tracers: new TracerProvider({
      resource,
      idGenerator: ids,
      sampler: new RunSampler(root.traceId, ids, config.sampler),
      spanProcessors: spanExporter ? [queueSpans(spanExporter)] : [],
    }),
    meters: new MeterProvider({
      resource,
      readers: metricExporter
        ? [new PeriodicExportingMetricReader({ exporter: metricExporter, ...metricTimes(config) })]
        : [],
    }),
    loggers: new LoggerProvider({ resource, processors: logExporter ? [queueLogs(logExporter)] : [] }),
  };
}

const METRIC_INTERVAL_MS = 60_000;
/** More would make a timer fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** An export that does not end gives way to the next one when its time is up, or the last points would be kept back. */
function metricTimes(config: TelemetryConfig) {
  const exportTimeoutMillis = exportTimeoutOf("metrics", config);
  const wanted = getNumberFromEnv("OTEL_METRIC_EXPORT_INTERVAL") ?? METRIC_INTERVAL_MS;
  return {
    exportTimeoutMillis,
    exportIntervalMillis: Math.min(Math.max(wanted, exportTimeoutMillis), LONGEST_TIMER_MS),
  };
}

async function endWithin(deadlineMs: number, flush: () => Promise<void>, delivery: Delivery) {
  const startMs = performance.now();
  const timeout = Promise.withResolvers<void>();
  const timer = setTimeout(timeout.resolve, deadlineMs);
  await Promise.race([flush(), timeout.promise]);
  clearTimeout(timer);
  return delivery.undelivered(performance.now() - startMs);
}

/** What the SDK has to say is counted by `delivery`, and said once by whoever ends the session. */
function silence(delivery: Delivery): void {
  setGlobalErrorHandler(() => {});
  diag.setLogger(partialSuccessLogger(delivery), {
    logLevel: PARTIAL_SUCCESS_LEVEL,
    suppressOverrideMessage: true,
  });
}

/** One resource for all signals, with no version, no process and no argument in it: streams must outlive a run. */
function resourceAttributes({ serviceName, resourceAttributes }: TelemetryConfig): Record<string, string> {
  const { "host.name": _, ...given } = resourceAttributes;
  return { "service.namespace": "breakwater", ...given, "service.name": serviceName };
}
