import type { BreakerCell, MaybePromise } from "../breaker/cell.ts";
import type { BreakerRecord, CircuitState, TransitionReason } from "../breaker/state.ts";
import type { SignalName } from "../config/config.ts";
import type { RequestBudget } from "./budget.ts";

/** What a breaker's stored state is known by: paper and live are different dependencies. */
export interface BreakerKey {
  readonly name: string;
  /** Host name, with its port where there is one. */
  readonly host: string;
}

export interface StoredBreaker extends BreakerKey {
  readonly record: BreakerRecord;
}

/** Signals that a state change has to arrive in. */
export const SIGNALS: readonly SignalName[] = ["traces", "metrics", "logs"];

/** A state change as it is remembered. */
export interface HistoryEntry {
  readonly eventId: string;
  readonly breaker: string;
  readonly host: string;
  readonly from: CircuitState;
  readonly to: CircuitState;
  readonly reason: TransitionReason;
  readonly at: Date;
  readonly generation: number;
  /** Kind of failure, such as `HTTP 503`, or null. */
  readonly cause: string | null;
  readonly operator: { readonly by: string; readonly reason: string } | null;
  readonly outageMs: number | null;
  readonly serverAddress: string | null;
  /** Script that made the change, and the run of it. */
  readonly script: string;
  readonly run: string;
  readonly traceId: string | null;
  readonly spanId: string | null;
  readonly parentSpanId: string | null;
  readonly call: { readonly traceId: string; readonly spanId: string } | null;
  /** Signals that no collector has acknowledged yet. */
  readonly undelivered: readonly SignalName[];
}

/** State changes that no collector has acknowledged yet. */
export interface Outbox {
  /**
   * Takes up to `most` changes that other runs left behind, oldest first, for this run to send. Nobody else gets them
   * until a lease is over, so that a run that dies on the way loses nothing.
   */
  claim(most: number): MaybePromise<readonly HistoryEntry[]>;
  /** Notes that changes have arrived in one signal. */
  acknowledge(signal: SignalName, eventIds: readonly string[]): MaybePromise<void>;
  size(): MaybePromise<number>;
  /** Gives up what is too old or too much, and says how many those were. */
  prune(): MaybePromise<number>;
}

/** Something that is wrong with the store; the run goes on without it. */
export interface StoreProblem {
  readonly kind: "corrupt" | "unreachable" | "newer";
  /** What happened, and where the bad copy is. */
  readonly message: string;
}

/** Who opens a store, and what it is to tell. */
export interface StoreContext {
  readonly script: string;
  readonly run: string;
  /** Span that state changes of this run belong under, or null. */
  readonly parentSpanId: string | null;
  /** Signals that are exported; a change is delivered when it has arrived in all of them. */
  readonly signals: readonly SignalName[];
  readonly onProblem: (problem: StoreProblem) => void;
  /** Clock in ms since the Unix epoch; Date.now. */
  readonly now?: () => number;
}

/** Where breaker state outlives the process. */
export interface Store {
  /** Who shares it: all scripts of this machine, or of a fleet. */
  readonly scope: "machine" | "fleet";
  /** Clock that all its times are by, in ms since the Unix epoch: this machine's, or the database server's. */
  readonly now: () => number;
  cell(key: BreakerKey): BreakerCell;
  /** @param account what tells accounts apart, and is no key itself. */
  budget(host: string, account: string, limit: number): RequestBudget;
  breakers(): MaybePromise<readonly StoredBreaker[]>;
  /** State changes, oldest first. */
  history(query: { readonly name?: string; readonly sinceMs?: number }): MaybePromise<readonly HistoryEntry[]>;
  readonly outbox: Outbox;
  close(): MaybePromise<void>;
}

/** How long a run has state changes to itself, in ms: long enough to deliver them, short enough if it dies. */
export const CLAIM_MS = 30_000;

/** What history and outbox keep. */
export const OUTBOX_LIMITS = { entries: 10_000, ageMs: 30 * 86_400_000 } as const;

/** The store was written by a newer toolkit, which may mean other things by it. */
export class NewerSchemaError extends Error {
  override readonly name = "NewerSchemaError";
}
