import { type BreakerRecord, NEW_RECORD, type Transition } from "./state.ts";

/** What a change makes of a record; the same record again means that nothing is written. */
export interface Change<T> {
  readonly record: BreakerRecord;
  /** Written in the same transaction as the record. */
  readonly transition?: Transition | undefined;
  readonly result: T;
}

/** A value, or the promise of one: a store in memory or on this machine answers at once, one across a network does not. */
export type MaybePromise<T> = T | Promise<T>;

/** The port to stored state: where one breaker's record is kept. */
export interface BreakerCell {
  /** Time by the clock that stored times are compared on, in ms since the Unix epoch. */
  now(): number;
  /** Latest record that is known without waiting. */
  peek(): BreakerRecord;
  /**
   * Applies `change` to the current record and stores what it makes of it, in one transaction. Where others were
   * faster, `change` runs again on what they left, so it must have no effect of its own.
   */
  update<T>(change: (record: BreakerRecord, nowMs: number) => Change<T>): MaybePromise<Change<T>>;
}

/** State that lives as long as the process. */
export class MemoryCell implements BreakerCell {
  readonly now: () => number;
  #record: BreakerRecord;

  constructor(now: () => number = () => Date.now(), record: BreakerRecord = NEW_RECORD) {
    this.now = now;
    this.#record = record;
  }

  peek(): BreakerRecord {
    return this.#record;
  }

  update<T>(change: (record: BreakerRecord, nowMs: number) => Change<T>): Change<T> {
    const made = change(this.#record, this.now());
    this.#record = made.record;
    return made;
  }
}

/** Goes on at once where there is nothing to wait for: a breaker on a local store has no hidden ticks. */
export function afterwards<T, R>(value: MaybePromise<T>, next: (value: T) => R): R | Promise<Awaited<R>> {
  return value instanceof Promise ? (value.then(next) as Promise<Awaited<R>>) : next(value);
}
