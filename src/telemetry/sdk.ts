import { hostname } from "node:os";
import { metrics, trace } from "@opentelemetry/api";
import { setGlobalErrorHandler } from "@opentelemetry/core";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  RandomIdGenerator,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { TelemetryConfig } from "../config/config.ts";
import { SCOPE_NAME, TOOLKIT_VERSION } from "../instruments.ts";
import { Delivery, type Undelivered } from "./delivery.ts";
import { openExporter } from "./exporters.ts";
import type { SignalSink } from "./recorder.ts";
import { PresetIds, type RootSpan, SdkSink } from "./sink.ts";

export type { Undelivered } from "./delivery.ts";

/** A running OpenTelemetry SDK. */
export interface TelemetrySession {
  readonly sink: SignalSink;
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
}): Promise<TelemetrySession> {
  const { config, root, breakersAreMachineLocal = true } = options;
  // What an exporter has to say is counted by `delivery`, and said once.
  setGlobalErrorHandler(() => {});
  const delivery = new Delivery();
  const [spanExporter, metricExporter, logExporter] = await Promise.all([
    openExporter("traces", config, delivery),
    openExporter("metrics", config, delivery),
    openExporter("logs", config, delivery),
  ]);
  const resource = resourceFromAttributes(resourceAttributes(config));
  const ids = new PresetIds(new RandomIdGenerator());
  const tracers = new TracerProvider({
    resource,
    idGenerator: ids,
    sampler: samplerOf(config.sampler),
    spanProcessors: spanExporter ? [new BatchSpanProcessor({ exporter: spanExporter })] : [],
  });
  const meters = new MeterProvider({
    resource,
    readers: metricExporter ? [new PeriodicExportingMetricReader({ exporter: metricExporter })] : [],
  });
  const loggers = new LoggerProvider({
    resource,
    processors: logExporter ? [new BatchLogRecordProcessor({ exporter: logExporter })] : [],
  });
  trace.setGlobalTracerProvider(tracers);
  metrics.setGlobalMeterProvider(meters);
  const sink = new SdkSink(
    {
      tracer: tracers.getTracer(SCOPE_NAME, TOOLKIT_VERSION),
      // Without a version: a new one would be a new stream of every metric.
      meter: meters.getMeter(SCOPE_NAME),
      logger: loggers.getLogger(SCOPE_NAME, TOOLKIT_VERSION),
      ids,
      hostName: config.resourceAttributes["host.name"] ?? hostname(),
      breakersAreMachineLocal,
    },
    root,
  );
  const flush = async () => {
    await Promise.allSettled([tracers.forceFlush(), meters.forceFlush(), loggers.forceFlush()]);
  };
  return {
    sink,
    flush,
    end: async (deadlineMs) => {
      const timeout = Promise.withResolvers<void>();
      const timer = setTimeout(timeout.resolve, deadlineMs);
      await Promise.race([flush(), timeout.promise]);
      clearTimeout(timer);
      return delivery.undelivered();
    },
  };
}

/** One resource for all signals, with no version, no process and no argument in it: streams must outlive a run. */
function resourceAttributes({ serviceName, resourceAttributes }: TelemetryConfig): Record<string, string> {
  const { "host.name": _, ...given } = resourceAttributes;
  return { "service.namespace": "breakwater", ...given, "service.name": serviceName };
}

function samplerOf({ name, ratio }: TelemetryConfig["sampler"]): Sampler {
  const base = name.replace("parentbased_", "");
  const root =
    base === "always_on"
      ? new AlwaysOnSampler()
      : base === "always_off"
        ? new AlwaysOffSampler()
        : new TraceIdRatioBasedSampler(ratio);
  return name === base ? root : new ParentBasedSampler({ root });
}
