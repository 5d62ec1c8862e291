import type { MaybePromise } from "./cell.ts";

/** How an admitted call ended. */
export type Settlement = { kind: "success" } | { kind: "ignored" } | { kind: "failure"; cause: unknown };

/**
 * The right to make one call. Settle it once; what comes later does nothing. Leaving an `await using` block without
 * having settled it is a failure, whether by an error or by forgetting, unless the call was cancelled.
 */
export class Permit implements AsyncDisposable {
  readonly #settle: (settlement: Settlement) => MaybePromise<void>;
  readonly #signal: AbortSignal | undefined;
  #stored: MaybePromise<void> | null = null;

  constructor(settle: (settlement: Settlement) => MaybePromise<void>, signal?: AbortSignal) {
    this.#settle = settle;
    this.#signal = signal;
  }

  /** The call did what it should. */
  succeed(): MaybePromise<void> {
    return this.#once({ kind: "success" });
  }

  /** The dependency failed. */
  fail(cause?: unknown): MaybePromise<void> {
    return this.#once({ kind: "failure", cause });
  }

  /** The call says nothing of the dependency's health: it was cancelled or throttled. A probe is given back. */
  ignore(): MaybePromise<void> {
    return this.#once({ kind: "ignored" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#once(this.#signal?.aborted ? { kind: "ignored" } : { kind: "failure", cause: undefined });
  }

  #once(settlement: Settlement): MaybePromise<void> {
    this.#stored ??= this.#settle(settlement) ?? SETTLED;
    return this.#stored;
  }
}

const SETTLED = Promise.resolve();
