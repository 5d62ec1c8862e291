import { causeKind } from "./cause.ts";
import { type BreakerRecord, type CircuitState, remainingMs, type TransitionReason } from "./state.ts";
import { cooldownMs, countFailure } from "./strategy.ts";

/** When the circuit opens and how it recovers; see BreakerPolicy for the units and defaults. */
export interface MachinePolicy {
  readonly failureThreshold: number;
  readonly failureWindowMs: number;
  readonly recoveryTimeoutMs: number;
  readonly maxRecoveryTimeoutMs: number;
  readonly halfOpenProbes: number;
  readonly probeLeaseMs: number;
}

/** What an admitted call holds: the generation that it belongs to, and its probe when it tests a half-open circuit. */
export interface Ticket {
  readonly generation: number;
  readonly probeId: string | null;
}

/** How a call ended; `opens` is what a window has decided of a failure, if one is kept in place of the count. */
export type Outcome =
  | { readonly kind: "success" }
  | { readonly kind: "ignored" }
  | { readonly kind: "failure"; readonly cause: unknown; readonly opens: boolean | "by_count" };

/** A step of the machine: the record that follows and, where the state changed, how. */
export interface Step {
  readonly record: BreakerRecord;
  readonly changed?: { from: CircuitState; to: CircuitState; reason: TransitionReason; outageMs: number | null };
}

/** Puts times that lie in the future, by a clock that has been set back since, to now: a wait then begins anew. */
export function rebase(record: BreakerRecord, nowMs: number): BreakerRecord {
  const { lastOpenedAtMs } = record;
  const opened = lastOpenedAtMs !== null && lastOpenedAtMs > nowMs ? { ...record, lastOpenedAtMs: nowMs } : record;
  const { automatic } = opened;
  if (automatic.state === "closed" && automatic.lastFailureAtMs !== null && automatic.lastFailureAtMs > nowMs) {
    return { ...opened, automatic: { ...automatic, lastFailureAtMs: nowMs } };
  }
  if (automatic.state === "open" && automatic.openedAtMs > nowMs) {
    return { ...opened, automatic: { ...automatic, openedAtMs: nowMs } };
  }
  if (automatic.state === "half_open" && automatic.probe && automatic.probe.grantedAtMs > nowMs) {
    return { ...opened, automatic: { ...automatic, probe: { ...automatic.probe, grantedAtMs: nowMs } } };
  }
  return opened;
}

/** Takes the probe of an open circuit whose cooldown is over, or of a half-open one; null when it cannot be had now. */
export function takeProbe(record: BreakerRecord, nowMs: number, probeId: string, leaseMs: number): Step | null {
  const { automatic } = record;
  if (record.hold || automatic.state === "closed" || remainingMs(record, nowMs) !== 0) return null;
  const probe = { id: probeId, grantedAtMs: nowMs, leaseMs };
  if (automatic.state === "half_open") return { record: { ...record, automatic: { ...automatic, probe } } };
  return change(record, "cooldown_elapsed", { ...automatic, state: "half_open", successes: 0, probe });
}

/** What a finished call makes of the record. An outcome of an older generation, or of a probe that lapsed, is too late. */
export function settle(
  record: BreakerRecord,
  ticket: Ticket,
  outcome: Outcome,
  nowMs: number,
  policy: MachinePolicy,
): Step {
  const { automatic } = record;
  if (record.hold || record.generation !== ticket.generation) return { record };
  if (automatic.state === "closed") {
    if (outcome.kind === "ignored") return { record };
    if (outcome.kind === "success") {
      if (automatic.failures === 0) return { record };
      return { record: { ...record, automatic: { state: "closed", failures: 0, lastFailureAtMs: null } } };
    }
    if (outcome.opens !== "by_count") {
      return outcome.opens ? open(record, "failure_ratio", outcome.cause, nowMs, policy) : { record };
    }
    const isRecent = automatic.lastFailureAtMs === null || nowMs - automatic.lastFailureAtMs <= policy.failureWindowMs;
    const { failures, opens } = countFailure(isRecent ? automatic.failures : 0, policy.failureThreshold);
    if (opens) return open(record, "failure_threshold", outcome.cause, nowMs, policy);
    return { record: { ...record, automatic: { state: "closed", failures, lastFailureAtMs: nowMs } } };
  }
  if (automatic.state === "open" || automatic.probe === null || automatic.probe.id !== ticket.probeId)
    return { record };
  if (outcome.kind === "failure") return open(record, "probe_failed", outcome.cause, nowMs, policy);
  if (outcome.kind === "ignored") return { record: { ...record, automatic: { ...automatic, probe: null } } };
  const successes = automatic.successes + 1;
  if (successes < policy.halfOpenProbes) {
    return { record: { ...record, automatic: { ...automatic, successes, probe: null } } };
  }
  return close(record, "probe_succeeded", nowMs);
}

/** Closes the circuit and forgets its failures; an operator's hold stays. */
export function reset(record: BreakerRecord, nowMs: number): Step {
  const { automatic } = record;
  if (automatic.state !== "closed" && !record.hold) return close(record, "operator", nowMs);
  if (automatic.state === "closed" && automatic.failures === 0) return { record };
  const closed = { state: "closed", failures: 0, lastFailureAtMs: null } as const;
  return { record: { ...record, generation: record.generation + 1, automatic: closed } };
}

/** Holds the circuit: no call passes, and outcomes of calls under way no longer count. */
export function isolate(record: BreakerRecord, hold: { reason: string; by: string }, nowMs: number): Step {
  const held = { ...record, hold: { ...hold, atMs: record.hold?.atMs ?? nowMs } };
  if (record.hold) return { record: held };
  const { automatic } = record;
  const freed = automatic.state === "half_open" ? { ...automatic, probe: null } : automatic;
  return {
    record: { ...held, automatic: freed, generation: record.generation + 1 },
    changed: { from: automatic.state, to: "isolated", reason: "operator", outageMs: null },
  };
}

/** Ends the hold: what the breaker had decided by itself counts again. */
export function release(record: BreakerRecord): Step {
  if (!record.hold) return { record };
  return {
    record: { ...record, hold: null, generation: record.generation + 1 },
    changed: { from: "isolated", to: record.automatic.state, reason: "operator", outageMs: null },
  };
}

function open(
  record: BreakerRecord,
  reason: TransitionReason,
  cause: unknown,
  nowMs: number,
  policy: MachinePolicy,
): Step {
  const before = record.automatic;
  const attempt = before.state === "closed" ? 1 : before.attempt + 1;
  return change({ ...record, lastOpenedAtMs: nowMs }, reason, {
    state: "open",
    openedAtMs: nowMs,
    cooldownMs: cooldownMs(attempt, policy.recoveryTimeoutMs, policy.maxRecoveryTimeoutMs),
    attempt,
    outageStartedAtMs: before.state === "closed" ? nowMs : before.outageStartedAtMs,
    cause: causeKind(cause),
  });
}

function close(record: BreakerRecord, reason: TransitionReason, nowMs: number): Step {
  const before = record.automatic;
  const outageMs = before.state === "closed" ? null : Math.max(0, nowMs - before.outageStartedAtMs);
  return change(record, reason, { state: "closed", failures: 0, lastFailureAtMs: null }, outageMs);
}

function change(
  record: BreakerRecord,
  reason: TransitionReason,
  automatic: BreakerRecord["automatic"],
  outageMs: number | null = null,
): Step {
  return {
    record: { ...record, automatic, generation: record.generation + 1 },
    changed: { from: record.automatic.state, to: automatic.state, reason, outageMs },
  };
}
