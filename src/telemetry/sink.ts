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
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { SpanReference } from "../breaker/state.ts";
import { ATTRIBUTE, INSTRUMENTS, type Instrument, type InstrumentName } from "../instruments.ts";
import type { LogRecord, Measurement, SignalSink, SpanRecord } from "./recorder.ts";

/** Ids for the next span, in place of random ones: a span was given its ids when it began, before the SDK was there. */
export class PresetIds {
  #next: SpanReference | null = null;
  readonly #random: { generateTraceId(): string; generateSpanId(): string };

  constructor(random: { generateTraceId(): string; generateSpanId(): string }) {
    this.#random = random;
  }

  preset(ids: SpanReference): void {
    this.#next = ids;
  }

  generateTraceId(): string {
    return this.#next?.traceId ?? this.#random.generateTraceId();
  }

  generateSpanId(): string {
    const ids = this.#next;
    this.#next = null;
    return ids?.spanId ?? this.#random.generateSpanId();
  }
}

/** What an SdkSink hands signals to. */
export interface SdkSinkTargets {
  readonly tracer: Tracer;
  readonly meter: Meter;
  readonly logger: Logger;
  readonly ids: PresetIds;
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
}

/** Hands recorded signals to the OpenTelemetry SDK, with the ids and the times that they had. */
export class SdkSink implements SignalSink {
  readonly #to: SdkSinkTargets;
  readonly #root: Span;
  readonly #rootIds: SpanReference;
  readonly #instruments = new Map<InstrumentName, (value: number, attributes: OtelAttributes) => void>();

  constructor(targets: SdkSinkTargets, root: RootSpan) {
    this.#to = targets;
    this.#rootIds = root;
    // First of all: whether the trace is sampled is decided once, for it and all below it.
    targets.ids.preset(root);
    const parent = root.parentSpanId === null ? ROOT_CONTEXT : contextOf(root.traceId, root.parentSpanId);
    this.#root = targets.tracer.startSpan(root.name, { startTime: root.startMs }, parent);
  }

  span(span: SpanRecord): void {
    if (span.spanId === this.#rootIds.spanId) {
      this.#root.setAttributes(span.attributes);
      if (span.errorType !== null) this.#root.setStatus({ code: SpanStatusCode.ERROR });
      this.#root.end(span.endMs);
      return;
    }
    this.#to.ids.preset(span);
    const started = this.#to.tracer.startSpan(
      span.name,
      {
        kind: span.kind === "client" ? SpanKind.CLIENT : SpanKind.INTERNAL,
        startTime: span.startMs,
        attributes: span.attributes,
        links: span.links.map((link) => ({ context: { ...link, traceFlags: TraceFlags.SAMPLED } })),
      },
      this.#parentOf(span),
    );
    if (span.errorType !== null) started.setStatus({ code: SpanStatusCode.ERROR });
    started.end(span.endMs);
  }

  measure({ name, value, attributes }: Measurement): void {
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
      context: span ? contextOf(span.traceId, span.spanId) : ROOT_CONTEXT,
    });
  }

  #parentOf(span: SpanRecord): Context {
    if (span.parentSpanId === null) return ROOT_CONTEXT;
    if (span.parentSpanId === this.#rootIds.spanId) return trace.setSpan(ROOT_CONTEXT, this.#root);
    return contextOf(span.traceId, span.parentSpanId);
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

function contextOf(traceId: string, spanId: string): Context {
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true });
}
