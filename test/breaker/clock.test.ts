import assert from "node:assert/strict";
import { test } from "node:test";
import { COOLDOWN_MS, onEveryCell } from "./support.ts";

const HOUR_MS = 3_600_000;

onEveryCell((setUp) => {
  test("a clock that is set back does not shorten the cooldown and lengthens it by no more than its own length", async () => {
    const { breaker, clock, fail, rejected, succeed } = setUp({ failureThreshold: 1 });
    await fail();
    clock.advance(COOLDOWN_MS - 1_000);
    clock.advance(-HOUR_MS);
    assert.equal(breaker.state, "open");
    assert.equal(breaker.timeUntilRecoveryMs, COOLDOWN_MS);
    assert.equal((await rejected()).retryAfterMs, COOLDOWN_MS);
    assert.equal(breaker.record.lastOpenedAtMs, clock.nowMs);
    clock.advance(COOLDOWN_MS - 1);
    assert.equal((await rejected()).retryAfterMs, 1);
    clock.advance(1);
    assert.equal(breaker.state, "half_open");
    await succeed();
    assert.equal(breaker.state, "closed");
  });

  test("the cooldown after a clock that was set back is counted from the first call, not anew with each", async () => {
    const { breaker, clock, fail, rejected } = setUp({ failureThreshold: 1 });
    await fail();
    clock.advance(-HOUR_MS);
    for (let look = 0; look < 6; look++) {
      assert.equal((await rejected()).retryAfterMs, COOLDOWN_MS - look * 10_000);
      clock.advance(10_000);
    }
    assert.equal(breaker.state, "half_open");
  });

  test("a caller that looks before it enters is not held for ever by a clock that was set back", async () => {
    const { breaker, clock, fail } = setUp({ failureThreshold: 1 });
    await fail();
    clock.advance(-HOUR_MS);
    const call = async () => {
      breaker.check();
      return await breaker.execute(() => "done");
    };
    await assert.rejects(call(), { state: "open", retryAfterMs: COOLDOWN_MS });
    clock.advance(COOLDOWN_MS - 1);
    await assert.rejects(call(), { state: "open", retryAfterMs: 1 });
    clock.advance(1);
    assert.equal(await call(), "done");
  });

  test("a clock that is set back within the cooldown changes it by as much only", async () => {
    const { breaker, clock, fail } = setUp({ failureThreshold: 1 });
    await fail();
    clock.advance(30_000);
    clock.advance(-10_000);
    assert.equal(breaker.timeUntilRecoveryMs, COOLDOWN_MS - 20_000);
  });

  test("a clock that is set back neither ends the lease of a probe nor lengthens it beyond its own length", async () => {
    const { breaker, clock, fail, rejected } = setUp({ failureThreshold: 1, probeLeaseMs: 30_000 });
    await fail();
    clock.advance(COOLDOWN_MS);
    await breaker.enter();
    clock.advance(-HOUR_MS);
    assert.equal((await rejected()).retryAfterMs, 30_000);
    clock.advance(29_999);
    assert.equal((await rejected()).retryAfterMs, 1);
    clock.advance(1);
    const second = await breaker.enter();
    await second.succeed();
    assert.equal(breaker.state, "closed");
  });

  test("the outcome of a probe counts though the clock was set back while it ran", async () => {
    const { breaker, clock, fail, transitions } = setUp({ failureThreshold: 1 });
    await fail();
    clock.advance(COOLDOWN_MS);
    const probe = await breaker.enter();
    clock.advance(-HOUR_MS);
    await probe.succeed();
    assert.equal(breaker.state, "closed");
    assert.equal(transitions.at(-1)?.outageMs, 0);
  });

  test("a clock that is set back does not break the row of failures", async () => {
    const { breaker, clock, fail } = setUp({ failureThreshold: 2, failureWindowMs: 1_000 });
    await fail();
    clock.advance(-HOUR_MS);
    await fail();
    assert.equal(breaker.state, "open");
  });

  test("a clock that is set forward ends the cooldown, and still only one caller probes", async () => {
    const { breaker, clock, fail, rejected } = setUp({ failureThreshold: 1 });
    await fail();
    clock.advance(365 * 24 * HOUR_MS);
    assert.equal(breaker.state, "half_open");
    assert.equal(breaker.timeUntilRecoveryMs, 0);
    const probe = await breaker.enter();
    await rejected();
    await probe.fail();
    assert.equal(breaker.timeUntilRecoveryMs, 2 * COOLDOWN_MS);
  });
});
