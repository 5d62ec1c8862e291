import { setTimeout as sleep } from "node:timers/promises";
import type { AlpacaClient } from "../alpaca/client.ts";
import type { CircuitBreaker } from "../breaker/circuit-breaker.ts";
import type { CircuitState, Transition, TransitionReason } from "../breaker/state.ts";
import { AlpacaError, CircuitBreakerOpenError } from "../errors.ts";
import { type DrillCall, type DrillEntry, describeChange, seconds } from "./drill-timeline.ts";
import type { Simulator } from "./simulator.ts";

/** What a drill needs; the breaker opens after three failures, and has no other callers. */
export interface Drill {
  readonly simulator: Simulator;
  /** Makes one request a call, on the breaker. */
  readonly client: AlpacaClient;
  readonly breaker: CircuitBreaker;
  readonly signal: AbortSignal;
  /** Hears of everything as it happens. */
  readonly onEntry: (entry: DrillEntry) => void;
}

/** How a drill went. */
export interface DrillCourse {
  readonly timeline: readonly DrillEntry[];
  readonly transitions: readonly Transition[];
  /** What did not go as scripted. */
  readonly deviations: readonly string[];
}

/** The changes of state that a drill leads to, in their order. */
export const SCRIPTED: readonly { from: CircuitState; to: CircuitState; reason: TransitionReason }[] = [
  { from: "closed", to: "open", reason: "failure_threshold" },
  { from: "open", to: "half_open", reason: "cooldown_elapsed" },
  { from: "half_open", to: "open", reason: "probe_failed" },
  { from: "open", to: "half_open", reason: "cooldown_elapsed" },
  { from: "half_open", to: "closed", reason: "probe_succeeded" },
];

/** Failures in a row after which the drill's circuit opens. */
export const DRILL_FAILURES = 3;

/** Slow enough to be read, fast enough to be watched to its end. */
const PACE_MS = 300;
const UNKNOWN_ORDER = "00000000-0000-4000-8000-000000000000";

/** Plays an outage of the simulator's trading host, from its first failure to the recovery. */
export async function playOutage(drill: Drill): Promise<DrillCourse> {
  const { simulator, client, breaker, signal } = drill;
  const stage = new Stage(drill);
  const account = () => stage.call("GET /v2/account", () => client.getAccount(), "answered");
  const clock = (expected: DrillCall["result"], note?: string) =>
    stage.call("GET /v2/clock", () => client.getClock(), expected, note);
  const pause = (ms = PACE_MS) => sleep(ms, undefined, { signal });
  const cooldown = async () => {
    // A timer may fire a millisecond early.
    while (breaker.state === "open") await pause((breaker.timeUntilRecoveryMs ?? 0) + 1);
  };
  try {
    stage.phase("All is well", "the circuit is closed, and every call goes through");
    await account();
    await pause();
    await clock("answered");
    await pause();
    const order = () => client.getOrder(UNKNOWN_ORDER);
    await stage.call("GET /v2/orders/{order_id}", order, "answered", "our mistake, not an outage");
    await pause();

    stage.phase("Alpaca goes down", "three failures in a row open the circuit");
    const recover = simulator.fault({ kind: "status", status: 503 }, { host: "trading" });
    for (let failure = 1; failure <= DRILL_FAILURES; failure++) {
      if (failure > 1) await pause();
      await clock("failed", `failure ${failure} of ${DRILL_FAILURES}`);
    }

    stage.phase("Nobody waits for it", "calls are rejected at once, and no request is made");
    await clock("rejected");
    await pause();
    await clock("rejected");
    await cooldown();

    stage.phase("One call may test it", "the probe fails: open again, for twice as long");
    await clock("failed", "probe failed");
    await clock("rejected");
    await pause(2 * PACE_MS);

    stage.phase("Alpaca is back", "the next probe finds out, and closes the circuit");
    recover();
    await clock("rejected", "too early");
    await cooldown();
    await clock("answered", "probe succeeded");
    await pause();
    await account();
  } finally {
    stage.end();
  }
  return stage.course();
}

/** Keeps the timeline, and what differs from the script. */
class Stage {
  readonly #drill: Drill;
  readonly #startMs = performance.now();
  readonly #timeline: DrillEntry[] = [];
  readonly #transitions: Transition[] = [];
  readonly #deviations: string[] = [];
  readonly #stopListening: () => void;
  /** What a call has caused is told after the call itself. */
  #held: DrillEntry[] = [];

  constructor(drill: Drill) {
    this.#drill = drill;
    this.#stopListening = drill.breaker.onTransition((transition) => this.#heard(transition));
  }

  phase(title: string, explanation: string): void {
    this.#tell({ ...this.#moment(), kind: "phase", title, explanation });
  }

  async call(call: string, make: () => Promise<unknown>, expected: DrillCall["result"], note = ""): Promise<void> {
    const requests = this.#drill.simulator.counts.trading;
    const error = await make().then(
      () => null,
      (reason: unknown) => reason ?? new Error("rejected with nothing"),
    );
    const outcome = outcomeOf(error);
    this.#drill.signal.throwIfAborted();
    const made = this.#drill.simulator.counts.trading - requests;
    const { retryAfterMs } = outcome;
    const wait = retryAfterMs === null ? "" : `next try in ${seconds(retryAfterMs)}`;
    const remark = [note, wait].filter(Boolean).join(", ");
    // Its end is seen a moment later than the change that it caused.
    const { at, elapsedMs } = this.#held[0] ?? this.#moment();
    this.#tell({ at, elapsedMs, kind: "call", call, ...outcome, note: remark });
    for (const entry of this.#held) this.#tell(entry);
    this.#held = [];
    if (outcome.result !== expected) {
      this.#deviations.push(`${call} was ${outcome.result}, expected ${expected}: ${String(error ?? "no error")}`);
    }
    const due = outcome.result === "rejected" ? 0 : 1;
    if (made !== due) this.#deviations.push(`${call} made ${made} requests, expected ${due}`);
  }

  end(): void {
    this.#stopListening();
  }

  course(): DrillCourse {
    const seen = this.#transitions.map(describeChange);
    const scripted = SCRIPTED.map(describeChange);
    if (seen.join() !== scripted.join()) {
      this.#deviations.push(`the circuit went ${seen.join(", ") || "nowhere"}, expected ${scripted.join(", ")}`);
    }
    return { timeline: this.#timeline, transitions: this.#transitions, deviations: this.#deviations };
  }

  #heard(transition: Transition): void {
    const { eventId, from, to, reason } = transition;
    this.#transitions.push(transition);
    const { automatic } = this.#drill.breaker.record;
    const cooldownMs = automatic.state === "open" ? automatic.cooldownMs : null;
    const entry = { ...this.#moment(), kind: "transition" as const, eventId, from, to, reason, cooldownMs };
    if (to === "half_open") this.#tell(entry);
    else this.#held.push(entry);
  }

  #moment(): { at: Date; elapsedMs: number } {
    return { at: new Date(), elapsedMs: Math.round(performance.now() - this.#startMs) };
  }

  #tell(entry: DrillEntry): void {
    this.#timeline.push(entry);
    this.#drill.onEntry(entry);
  }
}

function outcomeOf(error: unknown): Pick<DrillCall, "result" | "status" | "retryAfterMs"> {
  if (error === null) return { result: "answered", status: 200, retryAfterMs: null };
  if (error instanceof CircuitBreakerOpenError) {
    return { result: "rejected", status: null, retryAfterMs: error.retryAfterMs };
  }
  if (!(error instanceof AlpacaError)) return { result: "failed", status: null, retryAfterMs: null };
  const result = error.kind === "unavailable" ? "failed" : "answered";
  return { result, status: error.status, retryAfterMs: null };
}
