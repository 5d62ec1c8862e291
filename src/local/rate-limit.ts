/** Length of the window that a limit is for. */
const WINDOW_MS = 60_000;

/** What is left of the current minute. */
export interface RateLimitState {
  readonly limit: number;
  readonly remaining: number;
  /** Whole seconds since 1970 at which the next window may start, rounded up. */
  readonly resetSeconds: number;
}

/** So many requests within 60 s of the first one; the next window starts with the first request after that. */
export class RateLimit {
  readonly #limit: number;
  readonly #now: () => number;
  #windowEndMs = 0;
  #used = 0;

  constructor(limit: number, now: () => number) {
    this.#limit = limit;
    this.#now = now;
  }

  /** Takes a place in the window; false when there is none, and then nothing is taken. */
  take(): boolean {
    const nowMs = this.#now();
    if (nowMs >= this.#windowEndMs) {
      this.#windowEndMs = nowMs + WINDOW_MS;
      this.#used = 0;
    }
    if (this.#used >= this.#limit) return false;
    this.#used += 1;
    return true;
  }

  get state(): RateLimitState {
    const nowMs = this.#now();
    const over = nowMs >= this.#windowEndMs;
    return {
      limit: this.#limit,
      remaining: over ? this.#limit : this.#limit - this.#used,
      resetSeconds: Math.ceil((over ? nowMs + WINDOW_MS : this.#windowEndMs) / 1000),
    };
  }
}
