import type { SpanReference } from "../breaker/state.ts";
import { INSTRUMENTS, type InstrumentName } from "../instruments.ts";

export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** A finished span, with the ids that it was given when it began. */
export interface SpanRecord extends SpanReference {
  readonly name: string;
  readonly kind: "internal" | "client";
  /** Span id of the parent within the same trace; null for a root. */
  readonly parentSpanId: string | null;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly links: readonly SpanReference[];
  /** `error.type` of a failed operation, or null. */
  readonly errorType: string | null;
}

export interface Measurement {
  readonly name: InstrumentName;
  readonly value: number;
  readonly attributes: Attributes;
  /** The state change that it counts, if it counts one: what a collector took is known by it. */
  readonly eventId?: string;
}

export interface LogRecord {
  readonly eventName: string;
  readonly severity: "info" | "warn";
  readonly body: string;
  readonly timeMs: number;
  readonly attributes: Attributes;
  /** Span that it belongs to, or null. */
  readonly span: SpanReference | null;
}

/** Where signals go. Nothing here waits or throws. */
export interface SignalSink {
  span(span: SpanRecord): void;
  measure(measurement: Measurement): void;
  log(record: LogRecord): void;
}

/** Signals that wait for a sink; more than a short script makes, and a bound for one that never gets a sink. */
const MOST_WAITING = 20_000;

/**
 * Takes signals from the first moment on. The OpenTelemetry SDK is heavy and loads while the first request is in
 * flight: until it is attached, signals wait here, with the times at which they happened.
 */
export class Recorder implements SignalSink {
  #sink: SignalSink | null = null;
  #waiting: ((sink: SignalSink) => void)[] = [];
  /** Counts that wait, by the attributes they share: a million rejected calls are still one number. */
  #counts = new Map<Attributes, Measurement>();

  span(span: SpanRecord): void {
    this.#record((sink) => sink.span(span));
  }

  measure(measurement: Measurement): void {
    if (this.#sink === null && measurement.eventId === undefined && INSTRUMENTS[measurement.name].kind === "counter") {
      const { name, value, attributes } = measurement;
      const counted = this.#counts.get(attributes);
      if (counted === undefined || counted.name === name) {
        this.#counts.set(attributes, { name, attributes, value: value + (counted?.value ?? 0) });
        return;
      }
    }
    this.#record((sink) => sink.measure(measurement));
  }

  log(record: LogRecord): void {
    this.#record((sink) => sink.log(record));
  }

  /** Hands on all that waits, in its order, and everything after it at once. */
  attach(sink: SignalSink): void {
    this.#sink = sink;
    for (const hand of this.#waiting) hand(sink);
    for (const measurement of this.#counts.values()) sink.measure(measurement);
    this.#waiting = [];
    this.#counts.clear();
  }

  #record(hand: (sink: SignalSink) => void): void {
    if (this.#sink) hand(this.#sink);
    else if (this.#waiting.length < MOST_WAITING) this.#waiting.push(hand);
  }
}

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;

/** A new trace id, as 32 hexadecimal digits. */
export function newTraceId(): string {
  return randomHex(TRACE_ID_BYTES);
}

/** A new span id, as 16 hexadecimal digits. */
export function newSpanId(): string {
  return randomHex(SPAN_ID_BYTES);
}

function randomHex(bytes: number): string {
  let text = "";
  for (const byte of crypto.getRandomValues(new Uint8Array(bytes))) text += byte.toString(16).padStart(2, "0");
  return text;
}
