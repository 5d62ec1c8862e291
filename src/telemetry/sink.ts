import {
  type Context,
  type Counter,
  type Gauge,
  type Histogram,
  type Logger,
  type Meter,
  type Attributes as OtelAttributes,
  ROOT_CONTEXT,
  SeverityNumber,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { SpanReference } from "../breaker/state.ts";
import { ATTRIBUTE, INSTRUMENTS, type Instrument, type InstrumentName } from "../instruments.ts";
import type { Acknowledgements } from "./acknowledgements.ts";
import type { LogRecord, Measurement, SignalSink, SpanRecord } from "./recorder.ts";
import type { PresetIds } from "./sampling.ts";

/** What an SdkSink hands signals to. */
export interface SdkSinkTargets {
  readonly tracer: Tracer;
  readonly meter: Meter;
  readonly logger: Logger;
  readonly ids: PresetIds;
  readonly acknowledgements: Acknowledgements;
  readonly hostName: string;
  /** Whether breaker facts are this machine's: they then carry its name, as all other facts do. */
  readonly breakersAreMachineLocal: boolean;
}

/** The script's own span, which begins before all others and ends after them. */
export interface RootSpan extends SpanReference {
  readonly name: string;
  readonly startMs: number;
  /** Span of another process that this run belongs to, or null. */
  readonly parentSpanId: string | null;
  /** Whether that other process samples its trace; true by default. */
  readonly parentSampled?: boolean;
}

/** Hands recorded signals to the OpenTelemetry SDK, with the ids and the times that they had. */
export class SdkSink implements SignalSink {
  readonly #to: SdkSinkTargets;
  readonly #root: Span;
  readonly #rootIds: SpanReference;
  /** Context in which the root span is the active one. */
  readonly rootContext: Context;
  readonly #instruments = new Map<InstrumentName, (value: number, attributes: OtelAttributes) => void>();

  constructor(targets: SdkSinkTargets, root: RootSpan) {
    this.#to = targets;
    this.#rootIds = root;
    // First of all: whether the trace is sampled is decided once, for it and all below it.
    const parent =
      root.parentSpanId === null
        ? ROOT_CONTEXT
        : trace.setSpanContext(
            ROOT_CONTEXT,
            spanContextOf(
              root.traceId,
              root.parentSpanId,
              root.parentSampled === false ? TraceFlags.NONE : TraceFlags.SAMPLED,
            ),
          );
    this.#root = targets.ids.during(root, () =>
      targets.tracer.startSpan(root.name, { startTime: root.startMs }, parent),
    );
    this.rootContext = trace.setSpan(ROOT_CONTEXT, this.#root);
  }

  span(span: SpanRecord): void {
    if (span.spanId === this.#rootIds.spanId) {
      this.#root.setAttributes(span.attributes);
      if (span.errorType !== null) this.#root.setStatus({ code: SpanStatusCode.ERROR });
      this.#root.end(span.endMs);
      return;
    }
    const options = {
      kind: span.kind === "client" ? SpanKind.CLIENT : SpanKind.INTERNAL,
      startTime: span.startMs,
      attributes: span.attributes,
      links: span.links.map((link) => ({ context: this.#spanContextOf(link.traceId, link.spanId) })),
    };
    const started = this.#to.ids.during(span, () =>
      this.#to.tracer.startSpan(span.name, options, this.#contextOf(span.traceId, span.parentSpanId)),
    );
    if (span.errorType !== null) started.setStatus({ code: SpanStatusCode.ERROR });
    started.end(span.endMs);
    const eventId = span.attributes[ATTRIBUTE.breakerEventId];
    // What the sampler leaves out has nowhere to arrive.
    if (typeof eventId === "string" && !(started.spanContext().traceFlags & TraceFlags.SAMPLED)) {
      this.#to.acknowledgements.unsampled(eventId);
    }
  }

  measure({ name, value, attributes, eventId }: Measurement): void {
    if (eventId !== undefined) this.#to.acknowledgements.counted(eventId);
    const { scope } = INSTRUMENTS[name];
    const isLocal = scope === "machine" || this.#to.breakersAreMachineLocal;
    this.#instrument(name)(value, isLocal ? { ...attributes, [ATTRIBUTE.hostName]: this.#to.hostName } : attributes);
  }

  log({ eventName, severity, body, timeMs, attributes, span }: LogRecord): void {
    this.#to.logger.emit({
      eventName,
      severityNumber: severity === "warn" ? SeverityNumber.WARN : SeverityNumber.INFO,
      severityText: severity.toUpperCase(),
      body,
      timestamp: timeMs,
      attributes: { ...attributes },
      context: span ? this.#contextOf(span.traceId, span.spanId) : ROOT_CONTEXT,
    });
  }

  #contextOf(traceId: string, spanId: string | null): Context {
    if (spanId === null) return ROOT_CONTEXT;
    if (spanId === this.#rootIds.spanId) return this.rootContext;
    return trace.setSpanContext(ROOT_CONTEXT, this.#spanContextOf(traceId, spanId));
  }

  /** Spans of this run are sampled as its root is; those of other runs were sampled, or nothing would know them. */
  #spanContextOf(traceId: string, spanId: string): SpanContext {
    const own = traceId === this.#rootIds.traceId;
    return spanContextOf(traceId, spanId, own ? this.#root.spanContext().traceFlags : TraceFlags.SAMPLED);
  }

  #instrument(name: InstrumentName): (value: number, attributes: OtelAttributes) => void {
    const known = this.#instruments.get(name);
    if (known) return known;
    const { kind, unit, description, boundaries }: Instrument = INSTRUMENTS[name];
    const options = { unit, description, ...(boundaries && { advice: { explicitBucketBoundaries: [...boundaries] } }) };
    const record = recorderOf(this.#to.meter, name, kind, options);
    this.#instruments.set(name, record);
    return record;
  }
}

function recorderOf(meter: Meter, name: string, kind: Instrument["kind"], options: object) {
  if (kind === "counter") {
    const counter: Counter = meter.createCounter(name, options);
    return (value: number, attributes: OtelAttributes) => counter.add(value, attributes);
  }
  const instrument: Gauge | Histogram =
    kind === "gauge" ? meter.createGauge(name, options) : meter.createHistogram(name, options);
  return (value: number, attributes: OtelAttributes) => instrument.record(value, attributes);
}

function spanContextOf(traceId: string, spanId: string, traceFlags: TraceFlags): SpanContext {
  return { traceId, spanId, traceFlags, isRemote: true };
}
