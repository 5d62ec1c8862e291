import assert from "node:assert/strict";
import { test } from "node:test";
import { COOLDOWN_MS, onEveryCell } from "./support.ts";

onEveryCell((setUp) => {
  test("an isolated circuit rejects every call with the operator's reason and no time", async () => {
    const { breaker, clock, rejected, outcomes } = setUp();
    await breaker.isolate("maintenance of the account");
    const isolatedAt = new Date(clock.nowMs);
    clock.advance(24 * 3_600_000);
    assert.equal(breaker.state, "isolated");
    assert.equal(breaker.isClosed, false);
    assert.equal(breaker.isOpen, false);
    assert.equal(breaker.timeUntilRecoveryMs, null);
    const error = await rejected();
    assert.equal(error.state, "isolated");
    assert.equal(error.retryAfterMs, null);
    assert.deepEqual(error.openedAt, isolatedAt);
    assert.equal(error.cause, undefined);
    assert.equal(
      error.message,
      'Cannot call: circuit "alpaca.trading" is isolated by an operator: maintenance of the account; it stays so until it is released',
    );
    assert.deepEqual(outcomes, ["rejected"]);
  });

  test("a release ends the hold", async () => {
    const { breaker, succeed, story } = setUp();
    await breaker.isolate("maintenance");
    await breaker.release();
    assert.equal(breaker.state, "closed");
    await succeed();
    assert.deepEqual(story(), ["closed > isolated: operator", "isolated > closed: operator"]);
  });

  test("transitions of an operator tell who acted and why", async () => {
    const { breaker, transitions } = setUp();
    await breaker.isolate("maintenance", "ana");
    await breaker.release("ben");
    assert.deepEqual(
      transitions.map(({ operator, cause, generation }) => ({ operator, cause, generation })),
      [
        { operator: { by: "ana", reason: "maintenance" }, cause: undefined, generation: 1 },
        { operator: { by: "ben", reason: "released" }, cause: undefined, generation: 2 },
      ],
    );
  });

  test("isolating twice is one transition, and the later reason is in force since the first time", async () => {
    const { breaker, clock, rejected, story } = setUp();
    await breaker.isolate("first");
    const since = new Date(clock.nowMs);
    clock.advance(1_000);
    await breaker.isolate("second");
    const error = await rejected();
    assert.match(error.message, /: second;/);
    assert.deepEqual(error.openedAt, since);
    assert.deepEqual(story(), ["closed > isolated: operator"]);
  });

  test("releasing what nobody holds does nothing", async () => {
    const { breaker, story } = setUp();
    const { record } = breaker;
    await breaker.release();
    assert.deepEqual(story(), []);
    assert.equal(breaker.record, record);
  });

  test("a hold keeps the cooldown that runs beneath it", async () => {
    const { breaker, clock, fail, rejected, story } = setUp({ failureThreshold: 1 });
    await fail();
    clock.advance(20_000);
    await breaker.isolate("maintenance");
    assert.equal((await rejected()).cause, undefined);
    clock.advance(10_000);
    await breaker.release();
    assert.equal(breaker.state, "open");
    assert.equal(breaker.timeUntilRecoveryMs, COOLDOWN_MS - 30_000);
    assert.equal((await rejected()).retryAfterMs, COOLDOWN_MS - 30_000);
    assert.deepEqual(story(), [
      "closed > open: failure_threshold",
      "open > isolated: operator",
      "isolated > open: operator",
    ]);
  });

  test("a hold keeps the step of the cooldown and what opened the circuit", async () => {
    const { breaker, clock, fail, rejected } = setUp({ failureThreshold: 1 });
    await fail();
    const { cause } = await rejected();
    assert.ok(cause instanceof Error);
    await breaker.isolate("maintenance");
    await breaker.release();
    assert.equal((await rejected()).cause, cause);
    clock.advance(COOLDOWN_MS);
    await fail();
    assert.equal(breaker.timeUntilRecoveryMs, 2 * COOLDOWN_MS);
  });

  test("a hold keeps the failures that were counted before it", async () => {
    const { breaker, fail } = setUp({ failureThreshold: 2 });
    await fail();
    await breaker.isolate("maintenance");
    await breaker.release();
    await fail();
    assert.equal(breaker.state, "open");
  });

  test("calls under way when an operator takes hold no longer count", async () => {
    const { breaker, story } = setUp({ failureThreshold: 1 });
    const [during, after] = await Promise.all([breaker.enter(), breaker.enter()]);
    await breaker.isolate("maintenance");
    await during.fail();
    assert.equal(breaker.state, "isolated");
    await breaker.release();
    await after.fail();
    assert.equal(breaker.state, "closed");
    assert.deepEqual(story(), ["closed > isolated: operator", "isolated > closed: operator"]);
  });

  test("a hold takes the probe away, and after the release the next caller probes", async () => {
    const { breaker, clock, fail, succeed, story } = setUp({ failureThreshold: 1 });
    await fail();
    clock.advance(COOLDOWN_MS);
    const probe = await breaker.enter();
    await breaker.isolate("maintenance");
    await breaker.release();
    await probe.fail();
    assert.equal(breaker.state, "half_open");
    assert.equal(breaker.timeUntilRecoveryMs, 0);
    await succeed();
    assert.deepEqual(story().slice(2), [
      "half_open > isolated: operator",
      "isolated > half_open: operator",
      "half_open > closed: probe_succeeded",
    ]);
  });

  test("a reset closes an open circuit and forgets the outage", async () => {
    const { breaker, clock, fail, succeed, rejected, story, transitions } = setUp({ failureThreshold: 1 });
    await fail();
    clock.advance(10_000);
    await breaker.reset("ana");
    assert.equal(breaker.state, "closed");
    await succeed();
    assert.deepEqual(story(), ["closed > open: failure_threshold", "open > closed: operator"]);
    assert.deepEqual(transitions[1]?.operator, { by: "ana", reason: "reset" });
    assert.equal(transitions[1]?.outageMs, 10_000);
    await fail();
    assert.equal((await rejected()).retryAfterMs, COOLDOWN_MS);
  });

  test("a reset of a closed circuit forgets its failures, and those under way, without a transition", async () => {
    const { breaker, fail, story } = setUp({ failureThreshold: 2 });
    const late = await breaker.enter();
    await fail();
    await breaker.reset();
    await late.fail();
    await fail();
    assert.equal(breaker.state, "closed");
    assert.deepEqual(story(), []);
  });

  test("a reset of a circuit in order writes nothing", async () => {
    const { breaker } = setUp();
    const { record } = breaker;
    await breaker.reset();
    assert.equal(breaker.record, record);
  });

  test("a reset leaves an operator's hold, and the release then finds a closed circuit", async () => {
    const { breaker, fail, story } = setUp({ failureThreshold: 1 });
    await fail();
    await breaker.isolate("maintenance");
    await breaker.reset();
    assert.equal(breaker.state, "isolated");
    await breaker.release();
    assert.equal(breaker.state, "closed");
    assert.deepEqual(story().slice(1), ["open > isolated: operator", "isolated > closed: operator"]);
  });

  test("a probe under way when the circuit is reset no longer counts", async () => {
    const { breaker, clock, fail } = setUp({ failureThreshold: 1 });
    await fail();
    clock.advance(COOLDOWN_MS);
    const probe = await breaker.enter();
    await breaker.reset();
    await probe.fail();
    assert.equal(breaker.state, "closed");
  });
});
