import assert from "node:assert/strict";
import { test } from "node:test";
import { CircuitBreaker } from "../../src/breaker/circuit-breaker.ts";
import { type CircuitBreakerOptions, withDefaults } from "../../src/breaker/options.ts";
import { CircuitState } from "../../src/breaker/state.ts";

const make = (options: Record<string, unknown>) => new CircuitBreaker(options as unknown as CircuitBreakerOptions);

test("everything but the name has a default", () => {
  assert.deepEqual(withDefaults({ name: "alpaca.trading" }), {
    failureThreshold: 5,
    failureWindowMs: 7_200_000,
    failureRatio: null,
    windowMs: 60_000,
    minimumCalls: 20,
    recoveryTimeoutMs: 60_000,
    maxRecoveryTimeoutMs: 900_000,
    halfOpenProbes: 1,
    probeLeaseMs: 30_000,
  });
});

test("a breaker without a name is a TypeError that says what a name looks like", () => {
  for (const name of ["", undefined, 7, null]) {
    assert.throws(() => make({ name }), {
      name: "TypeError",
      message: "Cannot make a circuit breaker without a name, such as alpaca.trading",
    });
  }
});

test("a count must be a whole number from 1", () => {
  for (const key of ["failureThreshold", "minimumCalls", "halfOpenProbes"]) {
    for (const value of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "5"]) {
      assert.throws(() => make({ name: "a", [key]: value }), {
        name: "RangeError",
        message: `Cannot make circuit breaker "a": ${key} is ${value}, expected a whole number from 1`,
      });
    }
    make({ name: "a", [key]: 1 });
  }
});

test("a cooldown must be a number of milliseconds from 0", () => {
  for (const key of ["recoveryTimeoutMs", "maxRecoveryTimeoutMs"]) {
    for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY, "60"]) {
      assert.throws(() => make({ name: "a", [key]: value }), {
        name: "RangeError",
        message: `Cannot make circuit breaker "a": ${key} is ${value}, expected ms from 0`,
      });
    }
    make({ name: "a", [key]: 0 });
  }
});

test("a window or a lease of no length, in which nothing could ever count, is a RangeError", () => {
  for (const key of ["failureWindowMs", "windowMs", "probeLeaseMs"]) {
    for (const value of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, "60"]) {
      assert.throws(() => make({ name: "a", [key]: value }), {
        name: "RangeError",
        message: `Cannot make circuit breaker "a": ${key} is ${value}, expected ms above 0`,
      });
    }
    make({ name: "a", [key]: 1 });
  }
});

test("a failure ratio must lie above 0 and below 1", () => {
  for (const failureRatio of [0, 1, -0.5, 1.5, Number.NaN]) {
    assert.throws(() => make({ name: "a", failureRatio }), {
      name: "RangeError",
      message: `Cannot make circuit breaker "a": failureRatio is ${failureRatio}, expected a number above 0 and below 1`,
    });
  }
  make({ name: "a", failureRatio: 0.000_001 });
  make({ name: "a", failureRatio: null });
});

test("the cap of the cooldown is never below the first cooldown", () => {
  assert.equal(withDefaults({ name: "a", recoveryTimeoutMs: 1_000_000 }).maxRecoveryTimeoutMs, 1_000_000);
  assert.equal(withDefaults({ name: "a", recoveryTimeoutMs: 5, maxRecoveryTimeoutMs: 1 }).maxRecoveryTimeoutMs, 5);
});

test("a breaker knows its name and the host that it guards", () => {
  const breaker = make({ name: "alpaca.data", serverAddress: "data.alpaca.markets" });
  assert.deepEqual([breaker.name, breaker.serverAddress], ["alpaca.data", "data.alpaca.markets"]);
  assert.equal(make({ name: "alpaca.data" }).serverAddress, null);
});

test("without a clock of its own a breaker goes by the computer's", async () => {
  const breaker = make({ name: "a", failureThreshold: 1 });
  const before = Date.now();
  await breaker.recordFailure();
  const openedAtMs = breaker.record.lastOpenedAtMs ?? assert.fail();
  assert.ok(openedAtMs >= before && openedAtMs <= Date.now());
});

test("the states are those of the vocabulary", () => {
  assert.deepEqual(CircuitState, { CLOSED: "closed", OPEN: "open", HALF_OPEN: "half_open", ISOLATED: "isolated" });
});
