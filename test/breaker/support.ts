import assert from "node:assert/strict";
import { describe } from "node:test";
import { type BreakerCell, MemoryCell } from "../../src/breaker/cell.ts";
import { CircuitBreaker } from "../../src/breaker/circuit-breaker.ts";
import type { CircuitBreakerOptions } from "../../src/breaker/options.ts";
import type { CallOutcome, Transition } from "../../src/breaker/state.ts";
import { CircuitBreakerOpenError } from "../../src/errors.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { AsyncCell } from "./async-cell.ts";

export const COOLDOWN_MS = 60_000;

export type SetUp = (options?: Partial<CircuitBreakerOptions>) => Bench;

/** A breaker on a fake clock, with all that it reports. */
export interface Bench {
  readonly breaker: CircuitBreaker;
  readonly clock: FakeClock;
  readonly transitions: Transition[];
  readonly outcomes: CallOutcome[];
  /** Transitions as `from > to: reason`. */
  readonly story: () => string[];
  readonly succeed: () => Promise<string>;
  readonly fail: (times?: number) => Promise<void>;
  readonly cancel: () => Promise<void>;
  /** The error of a call that must be rejected without being made. */
  readonly rejected: () => Promise<CircuitBreakerOpenError>;
}

export class Outage extends Error {
  override readonly name = "Outage";
}

function setUpWith(makeCell: (now: () => number) => BreakerCell): SetUp {
  return (options = {}) => {
    const clock = new FakeClock();
    const breaker = new CircuitBreaker({ name: "alpaca.trading", cell: makeCell(clock.now), ...options });
    return { clock, ...benchOf(breaker) };
  };
}

/** What a test does with a breaker and hears of it. */
export function benchOf(breaker: CircuitBreaker): Omit<Bench, "clock"> {
  const transitions: Transition[] = [];
  const outcomes: CallOutcome[] = [];
  breaker.onTransition((transition) => transitions.push(transition));
  breaker.onOutcome((outcome) => outcomes.push(outcome));
  return {
    breaker,
    transitions,
    outcomes,
    story: () => transitions.map(({ from, to, reason }) => `${from} > ${to}: ${reason}`),
    succeed: () => breaker.execute(() => "done"),
    fail: async (times = 1) => {
      for (let call = 0; call < times; call++) {
        const outage = new Outage("down");
        await assert.rejects(
          breaker.execute(() => Promise.reject(outage)),
          (error) => error === outage,
        );
      }
    },
    cancel: async () => {
      const controller = new AbortController();
      const stopped = new Error("stopped");
      const call = breaker.execute(
        ({ signal }) => {
          controller.abort(stopped);
          return Promise.reject(signal.reason);
        },
        { signal: controller.signal },
      );
      await assert.rejects(call, (error) => error === stopped);
    },
    rejected: async () => {
      let runs = 0;
      const error = await breaker
        .execute(() => runs++)
        .then(
          () => assert.fail("the call was admitted"),
          (error: unknown) => error,
        );
      assert.ok(error instanceof CircuitBreakerOpenError, String(error));
      assert.equal(runs, 0);
      return error;
    },
  };
}

/** Runs the same tests on a store that answers at once and on one that answers later. */
export function onEveryCell(define: (setUp: SetUp) => void): void {
  describe("with a store that answers at once", () => define(setUpWith((now) => new MemoryCell(now))));
  describe("with a store that answers later", () => define(setUpWith((now) => new AsyncCell(now))));
}

/** A promise that the test settles. */
export function gate<T = void>(): PromiseWithResolvers<T> {
  return Promise.withResolvers<T>();
}
