import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace";
import type { SpanReference } from "../breaker/state.ts";
import type { TelemetryConfig } from "../config/config.ts";

/** Ids for a span that was given them when it began, before the SDK was there. */
export class PresetIds {
  #preset: SpanReference | null = null;
  readonly #random: { generateTraceId(): string; generateSpanId(): string };

  constructor(random: { generateTraceId(): string; generateSpanId(): string }) {
    this.#random = random;
  }

  /** Whether a span with given ids is being started. */
  get isPreset(): boolean {
    return this.#preset !== null;
  }

  /** Runs `start`, and the span that it starts gets these ids. */
  during<T>(ids: SpanReference, start: () => T): T {
    this.#preset = ids;
    try {
      return start();
    } finally {
      this.#preset = null;
    }
  }

  // The SDK asks for the span id first, so that neither may use the preset up.
  generateTraceId(): string {
    return this.#preset?.traceId ?? this.#random.generateTraceId();
  }

  generateSpanId(): string {
    return this.#preset?.spanId ?? this.#random.generateSpanId();
  }
}

/** The configured sampler, except for spans of other runs: these were sampled when they were kept. */
export class RunSampler implements Sampler {
  readonly #traceId: string;
  readonly #ids: PresetIds;
  readonly #sampler: Sampler;

  constructor(traceId: string, ids: PresetIds, sampler: TelemetryConfig["sampler"]) {
    this.#traceId = traceId;
    this.#ids = ids;
    this.#sampler = samplerOf(sampler);
  }

  shouldSample(...span: Parameters<Sampler["shouldSample"]>): ReturnType<Sampler["shouldSample"]> {
    const [, traceId] = span;
    if (this.#ids.isPreset && traceId !== this.#traceId) return { decision: SamplingDecision.RECORD_AND_SAMPLED };
    return this.#sampler.shouldSample(...span);
  }

  toString(): string {
    return `RunSampler{${this.#sampler}}`;
  }
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
