import type { MaybePromise } from "../breaker/cell.ts";

/** Span of the sliding window, and the longest wait for a place in it. */
export const WINDOW_MS = 60_000;

/** Longest pause that is taken seriously. */
export const LONGEST_PAUSE_MS = 900_000;

/** Why there is no place: Alpaca itself said so. */
export const THROTTLED = "Alpaca throttles this account";

/** A place in the budget, or the time until there is one when that is too long to wait. */
export type Reservation =
  | { readonly granted: true; readonly waitMs: number; giveBack(): MaybePromise<void> }
  | { readonly granted: false; readonly waitMs: number; readonly why: string };

/** No place within the longest wait, because Alpaca pauses the account or because the budget is used up. */
export function refused(waitMs: number, isPaused: boolean, limit: number): Reservation {
  const why = isPaused ? THROTTLED : `the budget of ${limit} requests a minute is used up`;
  return { granted: false, waitMs, why };
}

/** The port to a budget of requests: one for each host and account. */
export interface RequestBudget {
  /** Reserves the next free place, at most 60 s ahead. */
  reserve(): MaybePromise<Reservation>;
  /** No request starts within the next `durationMs`: Alpaca said so. */
  pause(durationMs: number): MaybePromise<void>;
  /** Time until the pause is over, in ms; 0 without one. A place that was reserved before it has to wait for it too. */
  pausedMs(): MaybePromise<number>;
  /** Requests that may still start now. */
  remaining(): MaybePromise<number>;
}

/** A budget of this process: never more than `limit` requests start within any 60 s. */
export class MemoryBudget implements RequestBudget {
  readonly #limit: number;
  readonly #clock: () => number;
  /** By how much the clock has been set back so far: `#now` stands still instead, and waits keep their length. */
  #setBackMs = 0;
  #latestMs = 0;
  /** Start times, past and promised, in order; those before `#first` are too old to matter. */
  #starts: number[] = [];
  #first = 0;
  #pausedUntilMs = 0;

  constructor(limit: number, now: () => number = () => Date.now()) {
    this.#limit = limit;
    this.#clock = now;
  }

  reserve(): Reservation {
    const nowMs = this.#now();
    this.#forget(nowMs);
    const blockingAt = this.#starts.length - this.#limit;
    const fullUntilMs = blockingAt >= this.#first ? (this.#starts[blockingAt] as number) + WINDOW_MS : 0;
    const freeAtMs = Math.max(nowMs, fullUntilMs, this.#pausedUntilMs);
    const waitMs = freeAtMs - nowMs;
    if (waitMs > WINDOW_MS) {
      return refused(waitMs, this.#pausedUntilMs === freeAtMs, this.#limit);
    }
    this.#insert(freeAtMs);
    return { granted: true, waitMs, giveBack: () => this.#remove(freeAtMs) };
  }

  pause(durationMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#now() + Math.min(durationMs, LONGEST_PAUSE_MS));
  }

  pausedMs(): number {
    return Math.max(0, this.#pausedUntilMs - this.#now());
  }

  remaining(): number {
    const nowMs = this.#now();
    this.#forget(nowMs);
    return this.#pausedUntilMs > nowMs ? 0 : Math.max(0, this.#limit - (this.#starts.length - this.#first));
  }

  #now(): number {
    const nowMs = this.#clock();
    this.#setBackMs = Math.max(this.#setBackMs, this.#latestMs - nowMs);
    this.#latestMs = nowMs + this.#setBackMs;
    return this.#latestMs;
  }

  #forget(nowMs: number): void {
    while (this.#first < this.#starts.length && (this.#starts[this.#first] as number) + WINDOW_MS <= nowMs)
      this.#first++;
    if (this.#first > 1_024 && this.#first * 2 > this.#starts.length) {
      this.#starts = this.#starts.slice(this.#first);
      this.#first = 0;
    }
  }

  #insert(startMs: number): void {
    let at = this.#starts.length;
    while (at > this.#first && (this.#starts[at - 1] as number) > startMs) at--;
    if (at === this.#starts.length) this.#starts.push(startMs);
    else this.#starts.splice(at, 0, startMs);
  }

  #remove(startMs: number): void {
    const at = this.#starts.lastIndexOf(startMs);
    if (at >= this.#first) this.#starts.splice(at, 1);
  }
}
