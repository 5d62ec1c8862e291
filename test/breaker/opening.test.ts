import assert from "node:assert/strict";
import { test } from "node:test";
import { COOLDOWN_MS, gate, onEveryCell } from "./support.ts";

onEveryCell((setUp) => {
  test("a new circuit is closed and waits for nothing", () => {
    const { breaker } = setUp();
    assert.equal(breaker.state, "closed");
    assert.equal(breaker.isClosed, true);
    assert.equal(breaker.isOpen, false);
    assert.equal(breaker.timeUntilRecoveryMs, 0);
  });

  test("five consecutive failures open the circuit, four do not", async () => {
    const { breaker, fail, story } = setUp();
    await fail(4);
    assert.equal(breaker.state, "closed");
    assert.deepEqual(story(), []);
    await fail();
    assert.equal(breaker.state, "open");
    assert.equal(breaker.isClosed, false);
    assert.equal(breaker.isOpen, true);
    assert.deepEqual(story(), ["closed > open: failure_threshold"]);
  });

  test("a threshold of one opens the circuit at the first failure", async () => {
    const { breaker, fail } = setUp({ failureThreshold: 1 });
    await fail();
    assert.equal(breaker.state, "open");
  });

  test("a success between failures starts the count again", async () => {
    const { breaker, fail, succeed } = setUp({ failureThreshold: 3 });
    await fail(2);
    await succeed();
    await fail(2);
    assert.equal(breaker.state, "closed");
    await fail();
    assert.equal(breaker.state, "open");
  });

  test("a cancelled call neither adds to the failures nor ends their row", async () => {
    const { breaker, fail, cancel, outcomes } = setUp({ failureThreshold: 2 });
    await fail();
    await cancel();
    assert.equal(breaker.state, "closed");
    await fail();
    assert.equal(breaker.state, "open");
    assert.deepEqual(outcomes, ["failure", "ignored", "failure"]);
  });

  test("cancelled calls alone never open the circuit", async () => {
    const { breaker, cancel } = setUp({ failureThreshold: 1 });
    for (let call = 0; call < 10; call++) await cancel();
    assert.equal(breaker.state, "closed");
  });

  test("a failure counts as consecutive until the failure window is over, and not after", async () => {
    for (const [gapMs, state] of [
      [7_200_000, "open"],
      [7_200_001, "closed"],
    ] as const) {
      const { breaker, clock, fail } = setUp({ failureThreshold: 2 });
      await fail();
      clock.advance(gapMs);
      await fail();
      assert.equal(breaker.state, state);
    }
  });

  test("failures that are each within the window of the one before add up over a longer time", async () => {
    const { breaker, clock, fail } = setUp({ failureThreshold: 3, failureWindowMs: 1_000 });
    for (let call = 0; call < 3; call++) {
      await fail();
      clock.advance(900);
    }
    assert.equal(breaker.state, "open");
  });

  test("healthy calls write nothing to the store", async () => {
    const { breaker, succeed, cancel } = setUp();
    const before = breaker.record;
    for (let call = 0; call < 5; call++) await succeed();
    await cancel();
    assert.equal(breaker.record, before);
  });

  test("a transition tells the breaker, its host, the time, the generation, the cause and the call", async () => {
    const { breaker, clock, transitions } = setUp({ failureThreshold: 1, serverAddress: "paper-api.alpaca.markets" });
    const cause = new Error("down");
    const span = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" };
    await assert.rejects(breaker.execute(() => Promise.reject(cause), { span }));
    assert.equal(transitions.length, 1);
    const [{ eventId, ...rest } = assert.fail()] = transitions;
    assert.match(eventId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.deepEqual(rest, {
      breaker: "alpaca.trading",
      from: "closed",
      to: "open",
      reason: "failure_threshold",
      at: new Date(clock.nowMs),
      generation: 1,
      cause,
      serverAddress: "paper-api.alpaca.markets",
      operator: null,
      outageMs: null,
      call: span,
      span: null,
    });
  });

  test("a transition carries the span that was named for it, each one its own", async () => {
    const spans = ["b7ad6b7169203331", "00f067aa0ba902b7", "53995c3f42cd8ad8"].map((spanId) => ({
      traceId: "0af7651916cd43dd8448eb211c80319c",
      spanId,
    }));
    let named = 0;
    const newSpan = () => spans[named++] ?? assert.fail();
    const { clock, fail, succeed, transitions } = setUp({ failureThreshold: 2, newSpan });
    await fail(2);
    clock.advance(COOLDOWN_MS);
    await succeed();
    assert.deepEqual(
      transitions.map(({ span }) => span),
      spans,
    );
  });

  test("failures that end after the circuit has opened change nothing", async () => {
    const { breaker, clock, story } = setUp({ failureThreshold: 2 });
    const permits = await Promise.all(Array.from({ length: 6 }, () => breaker.enter()));
    for (const permit of permits) {
      await permit.fail();
      clock.advance(1_000);
    }
    assert.deepEqual(story(), ["closed > open: failure_threshold"]);
    assert.equal(breaker.timeUntilRecoveryMs, COOLDOWN_MS - 5_000);
  });

  test("a hundred failures at once open the circuit once", async () => {
    const { breaker, story, outcomes } = setUp();
    const down = gate<never>();
    const calls = Array.from({ length: 100 }, () => breaker.execute(() => down.promise));
    down.reject(new Error("down"));
    await Promise.allSettled(calls);
    assert.deepEqual(story(), ["closed > open: failure_threshold"]);
    assert.equal(outcomes.length, 100);
  });

  const WINDOW = { failureRatio: 0.5, windowMs: 60_000, minimumCalls: 4 };

  test("with a ratio the circuit opens at that share of failures, not below it", async () => {
    const { breaker, fail, succeed, story } = setUp(WINDOW);
    for (let call = 0; call < 3; call++) await succeed();
    await fail(2);
    assert.equal(breaker.state, "closed");
    await fail();
    assert.equal(breaker.state, "open");
    assert.deepEqual(story(), ["closed > open: failure_ratio"]);
  });

  test("with a ratio the circuit stays closed until there were enough calls", async () => {
    const { breaker, fail } = setUp(WINDOW);
    await fail(3);
    assert.equal(breaker.state, "closed");
    await fail();
    assert.equal(breaker.state, "open");
  });

  test("with a ratio cancelled calls are no calls", async () => {
    const { breaker, fail, cancel } = setUp(WINDOW);
    await cancel();
    await fail(3);
    assert.equal(breaker.state, "closed");
  });

  test("with a ratio consecutive failures do not matter", async () => {
    const { breaker, fail, succeed } = setUp({ ...WINDOW, failureThreshold: 2 });
    for (let call = 0; call < 10; call++) await succeed();
    await fail(9);
    assert.equal(breaker.state, "closed");
    await fail();
    assert.equal(breaker.state, "open");
  });

  test("a share that floating point cannot multiply exactly is still reached", async () => {
    const { breaker, fail, succeed } = setUp({ ...WINDOW, failureRatio: 0.07 });
    for (let call = 0; call < 93; call++) await succeed();
    await fail(6);
    assert.equal(breaker.state, "closed");
    await fail();
    assert.equal(breaker.state, "open");
  });

  test("failures an hour old do not count in the window", async () => {
    const { breaker, clock, fail } = setUp(WINDOW);
    await fail(3);
    clock.advance(3_600_000);
    await fail(3);
    assert.equal(breaker.state, "closed");
    await fail();
    assert.equal(breaker.state, "open");
  });

  test("successes an hour old do not hold the circuit closed", async () => {
    const { breaker, clock, fail, succeed } = setUp(WINDOW);
    for (let call = 0; call < 100; call++) await succeed();
    clock.advance(3_600_000);
    await fail(4);
    assert.equal(breaker.state, "open");
  });

  test("a failure leaves the window exactly when its time is over", async () => {
    for (const [gapMs, state] of [
      [59_999, "open"],
      [60_000, "closed"],
    ] as const) {
      const { breaker, clock, fail } = setUp(WINDOW);
      await fail(3);
      clock.advance(gapMs);
      await fail();
      assert.equal(breaker.state, state);
    }
  });

  test("failures of several parts of the window are counted together", async () => {
    const { breaker, clock, fail } = setUp(WINDOW);
    for (let call = 0; call < 4; call++) {
      assert.equal(breaker.state, "closed");
      await fail();
      clock.advance(14_000);
    }
    assert.equal(breaker.state, "open");
  });

  test("a window that closed again has forgotten the outage", async () => {
    const { breaker, clock, fail, succeed } = setUp({ ...WINDOW, recoveryTimeoutMs: 1_000 });
    await fail(4);
    clock.advance(1_000);
    await succeed();
    assert.equal(breaker.state, "closed");
    await fail(3);
    assert.equal(breaker.state, "closed");
    await fail();
    assert.equal(breaker.state, "open");
  });

  test("a late failure of an earlier generation does not enter the window", async () => {
    const { breaker, clock, fail, succeed } = setUp({ ...WINDOW, recoveryTimeoutMs: 1_000 });
    const late = await Promise.all([breaker.enter(), breaker.enter(), breaker.enter()]);
    await fail(4);
    clock.advance(1_000);
    await succeed();
    for (const permit of late) await permit.fail();
    await fail();
    assert.equal(breaker.state, "closed");
  });

  test("a late success of an earlier generation does not enter the window", async () => {
    const { breaker, clock, fail, succeed } = setUp({ ...WINDOW, recoveryTimeoutMs: 1_000 });
    const late = await Promise.all(Array.from({ length: 10 }, () => breaker.enter()));
    await fail(4);
    clock.advance(1_000);
    await succeed();
    for (const permit of late) await permit.succeed();
    await fail(4);
    assert.equal(breaker.state, "open");
  });

  test("a reset empties the window, of a closed circuit too", async () => {
    const { breaker, fail } = setUp(WINDOW);
    await fail(3);
    await breaker.reset();
    await fail(3);
    assert.equal(breaker.state, "closed");
  });

  test("a clock that was set back takes what lies ahead of it out of the window", async () => {
    const { breaker, clock, fail } = setUp(WINDOW);
    await fail(3);
    clock.advance(-3_600_000);
    await fail(3);
    assert.equal(breaker.state, "closed");
    await fail();
    assert.equal(breaker.state, "open");
  });
});
