/** States of a circuit, in the vocabulary of cockatiel; `isolated` is an operator's hold. */
export const CircuitState = {
  CLOSED: "closed",
  OPEN: "open",
  HALF_OPEN: "half_open",
  ISOLATED: "isolated",
} as const;
export type CircuitState = (typeof CircuitState)[keyof typeof CircuitState];

/** Why a circuit changed its state. */
export type TransitionReason =
  | "failure_threshold"
  | "failure_ratio"
  | "cooldown_elapsed"
  | "probe_succeeded"
  | "probe_failed"
  | "operator";

/** What a call meant to the breaker; `ignored` is neither good nor bad: a throttle, or cancelled by its caller. */
export type CallOutcome = "success" | "failure" | "rejected" | "ignored";

/** A span by its ids, as hexadecimal. */
export interface SpanReference {
  readonly traceId: string;
  readonly spanId: string;
}

/** The right to make the one call that tests a half-open circuit; it lapses, so that a dead caller blocks nobody. */
export interface Probe {
  readonly id: string;
  readonly grantedAtMs: number;
  readonly leaseMs: number;
}

interface Outage {
  /** When the current cooldown began. */
  readonly openedAtMs: number;
  /** Chosen once, when the circuit opened. */
  readonly cooldownMs: number;
  /** 1 for the first opening of an outage; each failed probe adds one. */
  readonly attempt: number;
  /** When the circuit was last closed. */
  readonly outageStartedAtMs: number;
  /** Kind of failure that opened it, such as `HTTP 503`; never an error's own words. */
  readonly cause: string | null;
}

/** What the breaker itself decides on; an operator's hold lies over it. */
export type AutomaticState =
  | { readonly state: "closed"; readonly failures: number; readonly lastFailureAtMs: number | null }
  | ({ readonly state: "open" } & Outage)
  | ({ readonly state: "half_open"; readonly successes: number; readonly probe: Probe | null } & Outage);

/** An operator's decision that no call may pass. */
export interface Hold {
  readonly reason: string;
  readonly by: string;
  readonly atMs: number;
}

/** All that is remembered of a breaker. `generation` grows with every change of state, so that late outcomes show. */
export interface BreakerRecord {
  readonly generation: number;
  readonly lastOpenedAtMs: number | null;
  readonly automatic: AutomaticState;
  readonly hold: Hold | null;
}

/** A breaker that nothing is known of. */
export const NEW_RECORD: BreakerRecord = {
  generation: 0,
  lastOpenedAtMs: null,
  automatic: { state: "closed", failures: 0, lastFailureAtMs: null },
  hold: null,
};

/** A change of state, reported exactly once. */
export interface Transition {
  /** UUID; a copy of the same change carries the same one. */
  readonly eventId: string;
  /** Name of the breaker. */
  readonly breaker: string;
  readonly from: CircuitState;
  readonly to: CircuitState;
  readonly reason: TransitionReason;
  readonly at: Date;
  readonly generation: number;
  /** What the failing call threw or answered; undefined where no call was the cause. */
  readonly cause: unknown;
  /** Host that the breaker guards, or null. */
  readonly serverAddress: string | null;
  /** Who acted and why, when an operator did; for history and errors only. */
  readonly operator: { readonly by: string; readonly reason: string } | null;
  /** From the first opening until now, when the circuit closes. */
  readonly outageMs: number | null;
  /** The call that caused the change, if it is traced. */
  readonly call: SpanReference | null;
  /** The change's own span, if it is traced; a copy of the change carries the same one. */
  readonly span: SpanReference | null;
}

/** State that a caller meets at the given time: an open circuit whose cooldown is over reads half-open. */
export function stateAt(record: BreakerRecord, nowMs: number): CircuitState {
  if (record.hold) return "isolated";
  if (record.automatic.state === "open" && remainingMs(record, nowMs) === 0) return "half_open";
  return record.automatic.state;
}

/** Time until a call may be admitted, in ms; 0 when one may be now, null when an operator holds the circuit. */
export function remainingMs(record: BreakerRecord, nowMs: number): number | null {
  const { automatic, hold } = record;
  if (hold) return null;
  if (automatic.state === "open") return rest(automatic.openedAtMs, automatic.cooldownMs, nowMs);
  if (automatic.state === "half_open" && automatic.probe) {
    return rest(automatic.probe.grantedAtMs, automatic.probe.leaseMs, nowMs);
  }
  return 0;
}

// A clock that was set back must not lengthen a wait beyond the one that was chosen.
function rest(sinceMs: number, durationMs: number, nowMs: number): number {
  return Math.max(0, Math.min(sinceMs + durationMs - nowMs, durationMs));
}
