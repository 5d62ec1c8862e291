import type { Attempt } from "../alpaca/attempt.ts";
import { urlTemplate } from "../alpaca/route.ts";
import type { CircuitBreaker } from "../breaker/circuit-breaker.ts";
import type { CallOutcome, CircuitState, SpanReference, Transition } from "../breaker/state.ts";
import { ATTRIBUTE, BREAKER_EVENT, TRANSITION_SPAN } from "../instruments.ts";
import { type HistoryEntry, SIGNALS } from "../store/store.ts";
import { type Attributes, newSpanId, newTraceId, type SignalSink } from "./recorder.ts";

/** Records a request: its span, which the given one is the parent of, and its duration. */
export function recordAttempt(sink: SignalSink, attempt: Attempt, parent: SpanReference): void {
  const template = urlTemplate(attempt.url.pathname);
  const { port, hostname, protocol } = attempt.url;
  const attributes: Record<string, string | number> = {
    [ATTRIBUTE.requestMethod]: attempt.method,
    [ATTRIBUTE.serverAddress]: hostname,
    [ATTRIBUTE.serverPort]: port === "" ? (protocol === "http:" ? 80 : 443) : Number(port),
    [ATTRIBUTE.urlTemplate]: template,
  };
  if (attempt.status !== null) attributes[ATTRIBUTE.responseStatusCode] = attempt.status;
  if (attempt.errorType !== null) attributes[ATTRIBUTE.errorType] = attempt.errorType;
  const value = (attempt.endMs - attempt.startMs) / 1_000;
  sink.measure({ name: "http.client.request.duration", value, attributes });
  const { resendCount, requestId } = attempt;
  sink.span({
    name: `${attempt.method} ${template}`,
    kind: "client",
    traceId: parent.traceId,
    spanId: attempt.span?.spanId ?? newSpanId(),
    parentSpanId: parent.spanId,
    startMs: attempt.startMs,
    endMs: attempt.endMs,
    attributes: {
      ...attributes,
      ...(resendCount > 0 && { [ATTRIBUTE.resendCount]: resendCount }),
      ...(requestId !== null && { [ATTRIBUTE.requestId]: requestId }),
    },
    links: [],
    errorType: attempt.errorType,
  });
}

/** Attributes that name a breaker, in every signal. */
export function breakerAttributes(breaker: { name: string; serverAddress: string | null }): Attributes {
  const { name, serverAddress } = breaker;
  return {
    [ATTRIBUTE.breakerName]: name,
    ...(serverAddress !== null && { [ATTRIBUTE.serverAddress]: serverAddress }),
  };
}

/** Records a state change: a span that links to the call that caused it, a log event, and one more transition. */
export function recordTransition(sink: SignalSink, transition: Transition, parentSpanId: string | null): void {
  const span = transition.span ?? { traceId: newTraceId(), spanId: newSpanId() };
  const { breaker, outageMs, serverAddress } = transition;
  recordChange(sink, { ...transition, ...span, parentSpanId, undelivered: SIGNALS });
  if (outageMs === null) return;
  const attributes = breakerAttributes({ name: breaker, serverAddress });
  sink.measure({ name: "circuit_breaker.open.duration", value: outageMs / 1_000, attributes });
}

/** What is said of a state change in the signals that have not arrived yet. */
export type Change = Pick<
  HistoryEntry,
  | "eventId"
  | "breaker"
  | "serverAddress"
  | "from"
  | "to"
  | "reason"
  | "at"
  | "generation"
  | "call"
  | "parentSpanId"
  | "traceId"
  | "spanId"
  | "undelivered"
>;

/** Records a state change again, or for the first time: with its own ids and time, whenever it is sent. */
export function recordChange(sink: SignalSink, change: Change): void {
  const { from, to, reason, generation, eventId, call, parentSpanId } = change;
  const attributes = {
    ...breakerAttributes({ name: change.breaker, serverAddress: change.serverAddress }),
    [ATTRIBUTE.breakerFrom]: from,
    [ATTRIBUTE.breakerTo]: to,
    [ATTRIBUTE.breakerReason]: reason,
  };
  const identified = { ...attributes, [ATTRIBUTE.breakerGeneration]: generation, [ATTRIBUTE.breakerEventId]: eventId };
  const atMs = change.at.getTime();
  const span = { traceId: change.traceId ?? newTraceId(), spanId: change.spanId ?? newSpanId() };
  if (change.undelivered.includes("traces")) {
    sink.span({
      ...span,
      name: TRANSITION_SPAN,
      kind: "internal",
      parentSpanId,
      startMs: atMs,
      endMs: atMs,
      attributes: identified,
      links: call ? [call] : [],
      errorType: null,
    });
  }
  if (change.undelivered.includes("logs")) {
    sink.log({
      eventName: from === "isolated" ? BREAKER_EVENT.released : BREAKER_EVENT[to],
      severity: to === "open" || to === "isolated" ? "warn" : "info",
      body: `circuit "${change.breaker}" went from ${from} to ${to}: ${reason}`,
      timeMs: atMs,
      attributes: identified,
      span,
    });
  }
  if (change.undelivered.includes("metrics")) {
    sink.measure({ name: "circuit_breaker.transitions", value: 1, attributes, eventId });
  }
}

const STATES: readonly CircuitState[] = ["closed", "open", "half_open", "isolated"];

/** Records what the breaker is now: one point per state, and when it last opened if it ever did. */
export function recordState(sink: SignalSink, breaker: CircuitBreaker): void {
  const attributes = breakerAttributes(breaker);
  const current = breaker.state;
  for (const state of STATES) {
    const value = state === current ? 1 : 0;
    sink.measure({
      name: "circuit_breaker.state",
      value,
      attributes: { ...attributes, [ATTRIBUTE.breakerState]: state },
    });
  }
  const { lastOpenedAtMs } = breaker.record;
  if (lastOpenedAtMs !== null)
    // A time in the future, by a clock that was set back, would hold an alert until then.
    sink.measure({
      name: "circuit_breaker.last_opened",
      value: Math.min(lastOpenedAtMs, Date.now()) / 1_000,
      attributes,
    });
}

/** Counts the breaker's calls by their outcome from now on. */
export function countCalls(sink: SignalSink, breaker: CircuitBreaker): void {
  const of = (outcome: CallOutcome) => ({ ...breakerAttributes(breaker), [ATTRIBUTE.breakerOutcome]: outcome });
  const attributes = {
    success: of("success"),
    failure: of("failure"),
    rejected: of("rejected"),
    ignored: of("ignored"),
  };
  breaker.onOutcome((outcome) =>
    sink.measure({ name: "circuit_breaker.calls", value: 1, attributes: attributes[outcome] }),
  );
}
