import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { AggregationTemporality, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { INSTRUMENTS, type InstrumentName, SCOPE_NAME } from "../../src/instruments.ts";

/** One value of one metric. */
export interface Point {
  readonly name: InstrumentName;
  readonly value: number;
  readonly attributes?: Readonly<Record<string, string | number>>;
}

/** Stands in for one run of a script: it records with the names and units of the toolkit and delivers delta points. */
export class Sender {
  readonly #provider: MeterProvider;

  constructor(otlpUrl: string, resource: Readonly<Record<string, string>> = {}) {
    const exporter = new OTLPMetricExporter({
      url: `${otlpUrl}/v1/metrics`,
      temporalityPreference: AggregationTemporality.DELTA,
      timeoutMillis: 10_000,
    });
    this.#provider = new MeterProvider({
      resource: resourceFromAttributes({
        "service.name": "breakwater",
        "deployment.environment.name": "paper",
        ...resource,
      }),
      readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })],
    });
  }

  record(...points: readonly Point[]): this {
    const meter = this.#provider.getMeter(SCOPE_NAME);
    for (const { name, value, attributes = {} } of points) {
      const instrument = INSTRUMENTS[name];
      const { kind, unit, description } = instrument;
      if (kind === "counter") meter.createCounter(name, { unit, description }).add(value, attributes);
      else if (kind === "gauge") meter.createGauge(name, { unit, description }).record(value, attributes);
      else {
        const advice = { explicitBucketBoundaries: [...instrument.boundaries] };
        meter.createHistogram(name, { unit, description, advice }).record(value, attributes);
      }
    }
    return this;
  }

  /** Delivers what was recorded since the last delivery. */
  async flush(): Promise<void> {
    await this.#provider.forceFlush();
  }

  /** Delivers the rest, as at the end of a script. */
  async end(): Promise<void> {
    await this.#provider.shutdown();
  }
}

/** One run of a stand-in script from start to end. */
export async function send(otlpUrl: string, ...points: readonly Point[]): Promise<void> {
  await new Sender(otlpUrl).record(...points).end();
}
