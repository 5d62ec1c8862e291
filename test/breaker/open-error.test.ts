import assert from "node:assert/strict";
import { test } from "node:test";
import { BreakwaterError, CircuitBreakerOpenError, exitCodeOf } from "../../src/errors.ts";

const OPEN = { breaker: "alpaca.trading", state: "open", retryAfterMs: 12_000, openedAtMs: 1_000 } as const;

test("a rejection has a name, fields, a cause and an exit code of its own", () => {
  const cause = new Error("down");
  const error = new CircuitBreakerOpenError({ ...OPEN, call: "GET /v2/clock", cause });
  assert.ok(error instanceof BreakwaterError);
  assert.equal(error.name, "CircuitBreakerOpenError");
  assert.equal(error.breaker, "alpaca.trading");
  assert.equal(error.state, "open");
  assert.equal(error.retryAfterMs, 12_000);
  assert.deepEqual(error.openedAt, new Date(1_000));
  assert.equal(error.cause, cause);
  assert.equal(exitCodeOf(error), 69);
  assert.equal(error.message, 'Cannot call GET /v2/clock: circuit "alpaca.trading" is open for another 12000 ms');
});

test("a rejection without a known cause has none", () => {
  assert.equal(Object.hasOwn(new CircuitBreakerOpenError(OPEN), "cause"), false);
});

test("an isolated circuit without a reason says that none was given", () => {
  const error = new CircuitBreakerOpenError({ ...OPEN, state: "isolated", retryAfterMs: null });
  assert.match(error.message, /is isolated by an operator: no reason given; it stays so until it is released$/);
});

test("a rejection has no stack to pay for, and leaves the limit of other errors as it was", () => {
  const before = Error.stackTraceLimit;
  try {
    Error.stackTraceLimit = 7;
    const error = new CircuitBreakerOpenError(OPEN);
    assert.equal(Error.stackTraceLimit, 7);
    assert.doesNotMatch(error.stack ?? "", /\n\s+at /);
    assert.match(new Error("another").stack ?? "", /\n\s+at /);
  } finally {
    Error.stackTraceLimit = before;
  }
});
