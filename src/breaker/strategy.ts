import type { CircuitState as CockatielState, IBreaker } from "cockatiel";
// By file: cockatiel's index loads 25 modules more, a tenth of a script's start-up under tsx.
import { ExponentialBackoff } from "cockatiel/dist/backoff/ExponentialBackoff.js";
import { noJitterGenerator } from "cockatiel/dist/backoff/ExponentialBackoffGenerators.js";
import { ConsecutiveBreaker } from "cockatiel/dist/breaker/ConsecutiveBreaker.js";

/** cockatiel's names for the states that a strategy hears of; the compiler compares them with its enum. */
export const COCKATIEL_CLOSED: CockatielState.Closed = 0;
export const COCKATIEL_HALF_OPEN: CockatielState.HalfOpen = 2;

/** Longest run of failed probes that still lengthens the cooldown: beyond it the cap has long been reached. */
const MAX_STEPS = 32;

/** Whether a failure opens the circuit, after `failures` earlier ones in a row; decided by cockatiel's ConsecutiveBreaker. */
export function countFailure(failures: number, threshold: number): { failures: number; opens: boolean } {
  const breaker = new ConsecutiveBreaker(threshold);
  breaker.state = failures;
  const opens = breaker.failure();
  return { failures: breaker.state as number, opens };
}

/**
 * Cooldown of the given opening of an outage: the first is `initialMs`, each later one twice as long, up to `maxMs`.
 * Without jitter: only one caller probes, so there is no herd to scatter, and an error can say when to come back.
 */
export function cooldownMs(attempt: number, initialMs: number, maxMs: number): number {
  const options = { generator: noJitterGenerator, initialDelay: initialMs, maxDelay: maxMs, exponent: 2 };
  let backoff = new ExponentialBackoff(options).next();
  for (let step = 1; step < Math.min(attempt, MAX_STEPS); step++) backoff = backoff.next(undefined);
  return backoff.duration;
}

interface Bucket {
  startedAtMs: number;
  successes: number;
  failures: number;
}

const BUCKETS = 10;

/**
 * Opens on a share of failures among the calls of the last `windowMs`, once there are `minimumCalls`. cockatiel's
 * SamplingBreaker forgets by calls, not by time: failures an hour old can still trip it.
 */
export class WindowBreaker implements IBreaker {
  readonly #failureRatio: number;
  readonly #windowMs: number;
  readonly #minimumCalls: number;
  readonly #now: () => number;
  #buckets: Bucket[] = [];

  constructor(options: { failureRatio: number; windowMs: number; minimumCalls: number; now: () => number }) {
    this.#failureRatio = options.failureRatio;
    this.#windowMs = options.windowMs;
    this.#minimumCalls = options.minimumCalls;
    this.#now = options.now;
  }

  get state(): unknown {
    return structuredClone(this.#buckets);
  }

  success(state: CockatielState): void {
    if (state === COCKATIEL_HALF_OPEN) this.#buckets = [];
    else this.#current().successes++;
  }

  failure(state: CockatielState): boolean {
    this.#current().failures++;
    if (state !== COCKATIEL_CLOSED) return true;
    let calls = 0;
    let failures = 0;
    for (const bucket of this.#recent()) {
      calls += bucket.successes + bucket.failures;
      failures += bucket.failures;
    }
    return calls >= this.#minimumCalls && failures / calls >= this.#failureRatio;
  }

  #current(): Bucket {
    const nowMs = this.#now();
    const last = this.#buckets.at(-1);
    if (last && nowMs >= last.startedAtMs && nowMs - last.startedAtMs < this.#windowMs / BUCKETS) return last;
    const bucket = { startedAtMs: nowMs, successes: 0, failures: 0 };
    this.#buckets = [...this.#recent(), bucket];
    return bucket;
  }

  #recent(): Bucket[] {
    const nowMs = this.#now();
    // A bucket ahead of the clock was filled before the clock was set back, and would never age.
    return this.#buckets.filter((old) => old.startedAtMs <= nowMs && nowMs - old.startedAtMs < this.#windowMs);
  }
}
