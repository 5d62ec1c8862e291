import type { Attempt } from "../alpaca/attempt.ts";
import type { CircuitBreaker } from "../breaker/circuit-breaker.ts";
import type { SpanReference } from "../breaker/state.ts";
import type { ConfigWarning, TelemetryConfig } from "../config/config.ts";
import { ATTRIBUTE, CONFIG_WARNING_EVENT } from "../instruments.ts";
import type { Outbox, Store } from "../store/store.ts";
import { newSpanId, newTraceId, Recorder } from "../telemetry/recorder.ts";
import type { TelemetrySession, Undelivered } from "../telemetry/sdk.ts";
import { countCalls, recordAttempt, recordState, recordTransition } from "../telemetry/signals.ts";

import type { Replay } from "./replay.ts";

export type ScriptOutcome = "success" | "failure" | "skipped" | "interrupted";

/** Bound of the last delivery, in ms; with the loading of the SDK it stays within 1.6 s. */
const FLUSH_MS = 1_200;

/** What one run of a script leaves behind: it is recorded from the start, and delivered as soon as the SDK is there. */
export class ScriptTelemetry {
  readonly #script: string;
  readonly #startMs: number;
  #config: TelemetryConfig;
  readonly #recorder = new Recorder();
  readonly #root: SpanReference;
  readonly #parent: (SpanReference & { readonly sampled: boolean }) | null;
  #kept: { readonly outbox: Outbox; readonly onError: (error: unknown) => void } | null = null;
  #replay: Replay | null = null;
  #hasChanges = false;
  #isFleet = false;
  #session: Promise<TelemetrySession | null> | null = null;

  constructor(script: string, startMs: number, config: TelemetryConfig, traceparent: string | undefined) {
    this.#script = script;
    this.#startMs = startMs;
    this.#config = config;
    this.#parent = parseTraceparent(traceparent);
    this.#root = { traceId: this.#parent?.traceId ?? newTraceId(), spanId: newSpanId() };
  }

  /** The run's own span, which all others are below. */
  get root(): SpanReference {
    return this.#root;
  }

  /** Keeps state changes in the store's outbox until they have arrived, and sends what earlier runs left there. */
  keep(store: Store, onError: (error: unknown) => void): void {
    this.#kept = { outbox: store.outbox, onError };
    this.#isFleet = store.scope === "fleet";
  }

  /** Counts something that went wrong with the store. */
  storeError(): void {
    this.#recorder.measure({ name: "circuit_breaker.store.errors", value: 1, attributes: NONE });
  }

  /** Counts state changes that the outbox gave up. */
  dropped(count: number): void {
    this.#recorder.measure({ name: "telemetry.outbox.dropped", value: count, attributes: NONE });
  }

  /** Sends nothing of this run. */
  disable(): void {
    this.#config = { ...this.#config, disabled: true };
  }

  /** Records what is known at the start: whether Alpaca is on, and what is odd about the configuration. */
  start(alpaca: { enabled: boolean; environment: string }, warnings: readonly ConfigWarning[]): void {
    const script = { [ATTRIBUTE.scriptName]: this.#script };
    this.#recorder.measure({
      name: "alpaca.enabled",
      value: alpaca.enabled ? 1 : 0,
      attributes: { ...script, [ATTRIBUTE.alpacaEnvironment]: alpaca.environment },
    });
    this.#recorder.measure({ name: "config.warnings", value: warnings.length, attributes: script });
    for (const { variable, message } of warnings) {
      this.#recorder.log({
        eventName: CONFIG_WARNING_EVENT,
        severity: "warn",
        body: `${variable}: ${message}`,
        timeMs: this.#startMs,
        attributes: { ...script, [ATTRIBUTE.warningVariable]: variable },
        span: this.#root,
      });
    }
  }

  /** Reports what the breaker is and does from now on. A state change leaves at once. */
  watch(breaker: CircuitBreaker): void {
    recordState(this.#recorder, breaker);
    countCalls(this.#recorder, breaker);
    breaker.onTransition((transition) => {
      this.#hasChanges = true;
      recordTransition(this.#recorder, transition, this.#root.spanId);
      recordState(this.#recorder, breaker);
      void this.#session?.then((session) => session?.flush());
    });
  }

  newSpan(): SpanReference {
    return { traceId: this.#root.traceId, spanId: newSpanId() };
  }

  attempt(attempt: Attempt): void {
    recordAttempt(this.#recorder, attempt, this.#root);
  }

  budget(breaker: { name: string; serverAddress: string | null }, remaining: number): void {
    const address = breaker.serverAddress === null ? {} : { [ATTRIBUTE.serverAddress]: breaker.serverAddress };
    const attributes = { [ATTRIBUTE.breakerName]: breaker.name, ...address };
    this.#recorder.measure({ name: "alpaca.budget.remaining", value: remaining, attributes });
  }

  /** Loads the OpenTelemetry SDK and sends what there is. Call it while a request is in flight: it is heavy. */
  load(): void {
    if (this.#config.disabled) return;
    this.#session ??= this.#open();
  }

  /** Ends the run and delivers the rest, within 1.2 s of the SDK's being there. Says what did not arrive. */
  async end(outcome: ScriptOutcome, exitCode: number): Promise<readonly Undelivered[]> {
    const endMs = Date.now();
    const script = { [ATTRIBUTE.scriptName]: this.#script };
    const finished = { ...script, [ATTRIBUTE.scriptOutcome]: outcome };
    if (exitCode === 0 && outcome === "success") {
      this.#recorder.measure({ name: "script.last_success", value: endMs / 1_000, attributes: script });
    }
    this.#recorder.measure({ name: "script.runs", value: 1, attributes: finished });
    this.#recorder.measure({ name: "script.duration", value: (endMs - this.#startMs) / 1_000, attributes: finished });
    this.#recorder.measure({ name: "script.exit_code", value: exitCode, attributes: script });
    this.#recorder.span({
      ...this.#root,
      name: `script ${this.#script}`,
      kind: "internal",
      parentSpanId: this.#parent?.spanId ?? null,
      startMs: this.#startMs,
      endMs,
      attributes: { ...finished, [ATTRIBUTE.scriptExitCode]: exitCode },
      links: [],
      errorType: outcome === "failure" ? String(exitCode) : null,
    });
    this.load();
    const session = await this.#session;
    if (!session) return [];
    const leftMs = await this.#reportOutbox(session);
    const undelivered = await session.end(leftMs);
    await this.#replay?.settled();
    return undelivered;
  }

  /** The size of the outbox is known once the collector has answered; returns how much time that has left. */
  async #reportOutbox(session: TelemetrySession): Promise<number> {
    const replay = this.#replay;
    if (!replay) return FLUSH_MS;
    const startMs = performance.now();
    if (this.#hasChanges || replay.hasReplayed) {
      const timeout = Promise.withResolvers<void>();
      const timer = setTimeout(timeout.resolve, FLUSH_MS / 2);
      await Promise.race([session.flush().then(() => replay.settled()), timeout.promise]);
      clearTimeout(timer);
    }
    const size = await replay.size();
    if (size !== null) this.#recorder.measure({ name: "telemetry.outbox.size", value: size, attributes: NONE });
    return Math.max(0, FLUSH_MS - (performance.now() - startMs));
  }

  async #open(): Promise<TelemetrySession | null> {
    try {
      const { startSession } = await import("../telemetry/sdk.ts");
      const replay = this.#kept && new (await import("./replay.ts")).Replay(this.#kept.outbox, this.#kept.onError);
      this.#replay = replay;
      const session = await startSession({
        config: this.#config,
        root: {
          ...this.#root,
          parentSpanId: this.#parent?.spanId ?? null,
          parentSampled: this.#parent?.sampled ?? true,
          name: `script ${this.#script}`,
          startMs: this.#startMs,
        },
        breakersAreMachineLocal: !this.#isFleet,
        onAcknowledged: (signal, eventIds) => replay?.acknowledge(signal, eventIds),
      });
      this.#recorder.attach(session.sink);
      await replay?.start(session.sink);
      void session.flush();
      return session;
    } catch {
      // A script's job does not depend on its telemetry.
      return null;
    }
  }
}

/** Format: https://www.w3.org/TR/trace-context/#traceparent-header */
function parseTraceparent(text: string | undefined): (SpanReference & { sampled: boolean }) | null {
  const match = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(text?.trim() ?? "");
  const [, traceId, spanId, flags = ""] = match ?? [];
  if (!traceId || !spanId || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

const NONE = {};
