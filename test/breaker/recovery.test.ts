import assert from "node:assert/strict";
import { test } from "node:test";
import { cooldownMs } from "../../src/breaker/strategy.ts";
import { COOLDOWN_MS, gate, onEveryCell } from "./support.ts";

const OPENED = "closed > open: failure_threshold";
const PROBING = "open > half_open: cooldown_elapsed";
const CLOSED = "half_open > closed: probe_succeeded";
const REOPENED = "half_open > open: probe_failed";
const ONCE = { failureThreshold: 1 };

test("the cooldown doubles with every failed probe up to the cap", () => {
  const cooldowns = [1, 2, 3, 4, 5, 6, 1_000_000].map((attempt) => cooldownMs(attempt, 60_000, 900_000));
  assert.deepEqual(cooldowns, [60_000, 120_000, 240_000, 480_000, 900_000, 900_000, 900_000]);
});

onEveryCell((setUp) => {
  test("an open circuit rejects until its cooldown is over, and says how long that is", async () => {
    const { breaker, clock, fail, rejected, outcomes } = setUp(ONCE);
    await fail();
    const openedAt = new Date(clock.nowMs);
    assert.equal(breaker.timeUntilRecoveryMs, COOLDOWN_MS);
    clock.advance(COOLDOWN_MS - 1);
    assert.equal(breaker.state, "open");
    const error = await rejected();
    assert.equal(error.state, "open");
    assert.equal(error.retryAfterMs, 1);
    assert.deepEqual(error.openedAt, openedAt);
    assert.equal(error.message, 'Cannot call: circuit "alpaca.trading" is open for another 1 ms');
    assert.deepEqual(outcomes, ["failure", "rejected"]);
  });

  test("an open circuit whose cooldown is over reads half-open, and reports that once, with the first call", async () => {
    const { breaker, clock, fail, succeed, story } = setUp(ONCE);
    await fail();
    clock.advance(COOLDOWN_MS);
    for (let look = 0; look < 3; look++) assert.equal(breaker.state, "half_open");
    assert.equal(breaker.isOpen, false);
    assert.equal(breaker.timeUntilRecoveryMs, 0);
    assert.deepEqual(story(), [OPENED]);
    await succeed();
    assert.deepEqual(story(), [OPENED, PROBING, CLOSED]);
    assert.equal(breaker.state, "closed");
  });

  test("the change to half-open is reported before the probe runs", async () => {
    const { breaker, clock, fail, story } = setUp(ONCE);
    await fail();
    clock.advance(COOLDOWN_MS);
    await breaker.execute(() => assert.deepEqual(story(), [OPENED, PROBING]));
  });

  test("generations grow by one with every transition, and each transition has an id of its own", async () => {
    const { clock, fail, succeed, transitions } = setUp(ONCE);
    await fail();
    clock.advance(COOLDOWN_MS);
    await fail();
    clock.advance(2 * COOLDOWN_MS);
    await succeed();
    assert.deepEqual(
      transitions.map(({ generation }) => generation),
      [1, 2, 3, 4, 5],
    );
    assert.equal(new Set(transitions.map(({ eventId }) => eventId)).size, 5);
  });

  test("every failed probe doubles the cooldown up to the cap, and a recovery starts it anew", async () => {
    const { breaker, clock, fail, succeed } = setUp({ ...ONCE, recoveryTimeoutMs: 1_000, maxRecoveryTimeoutMs: 5_000 });
    const cooldowns: (number | null)[] = [];
    for (let opening = 0; opening < 5; opening++) {
      await fail();
      cooldowns.push(breaker.timeUntilRecoveryMs);
      clock.advance(breaker.timeUntilRecoveryMs ?? assert.fail());
    }
    assert.deepEqual(cooldowns, [1_000, 2_000, 4_000, 5_000, 5_000]);
    await succeed();
    await fail();
    assert.equal(breaker.timeUntilRecoveryMs, 1_000);
  });

  test("a probe that fails opens the circuit again at its first failure, whatever the threshold", async () => {
    const { breaker, clock, fail, story } = setUp({ failureThreshold: 3 });
    await fail(3);
    clock.advance(COOLDOWN_MS);
    await fail();
    assert.equal(breaker.state, "open");
    assert.deepEqual(story(), [OPENED, PROBING, REOPENED]);
  });

  test("a circuit that closed again counts failures from none", async () => {
    const { breaker, clock, fail, succeed } = setUp({ failureThreshold: 3 });
    await fail(3);
    clock.advance(COOLDOWN_MS);
    await succeed();
    await fail(2);
    assert.equal(breaker.state, "closed");
  });

  test("the transition that closes the circuit tells how long the outage was, from its first opening", async () => {
    const { clock, fail, succeed, transitions } = setUp(ONCE);
    await fail();
    clock.advance(COOLDOWN_MS);
    await fail();
    clock.advance(2 * COOLDOWN_MS + 5_000);
    await succeed();
    assert.deepEqual(
      transitions.map(({ outageMs }) => outageMs),
      [null, null, null, null, 3 * COOLDOWN_MS + 5_000],
    );
  });

  test("two probes asked for must both succeed, one after the other", async () => {
    const { breaker, clock, fail, succeed, story } = setUp({ ...ONCE, halfOpenProbes: 2 });
    await fail();
    clock.advance(COOLDOWN_MS);
    await succeed();
    assert.equal(breaker.state, "half_open");
    assert.equal(breaker.timeUntilRecoveryMs, 0);
    await succeed();
    assert.equal(breaker.state, "closed");
    assert.deepEqual(story(), [OPENED, PROBING, CLOSED]);
  });

  test("a second probe that fails opens the circuit again, and the successes start anew", async () => {
    const { breaker, clock, fail, succeed, story } = setUp({ ...ONCE, halfOpenProbes: 2 });
    await fail();
    clock.advance(COOLDOWN_MS);
    await succeed();
    await fail();
    assert.deepEqual(story(), [OPENED, PROBING, REOPENED]);
    assert.equal(breaker.timeUntilRecoveryMs, 2 * COOLDOWN_MS);
    clock.advance(2 * COOLDOWN_MS);
    await succeed();
    assert.equal(breaker.state, "half_open");
  });

  test("a second probe is not admitted beside the first", async () => {
    const { breaker, clock, fail, rejected } = setUp({ ...ONCE, halfOpenProbes: 2 });
    await fail();
    clock.advance(COOLDOWN_MS);
    await using _probe = await breaker.enter();
    assert.equal((await rejected()).state, "half_open");
  });

  test("callers beyond the probe are rejected with the rest of its lease", async () => {
    const { breaker, clock, fail, rejected } = setUp({ ...ONCE, probeLeaseMs: 30_000 });
    await fail();
    const openedAt = new Date(clock.nowMs);
    clock.advance(COOLDOWN_MS);
    const probe = await breaker.enter();
    clock.advance(10_000);
    assert.equal(breaker.timeUntilRecoveryMs, 20_000);
    const error = await rejected();
    assert.equal(error.state, "half_open");
    assert.equal(error.retryAfterMs, 20_000);
    assert.deepEqual(error.openedAt, openedAt);
    assert.equal(
      error.message,
      'Cannot call: circuit "alpaca.trading" is half-open and another caller has the probe, for at most 20000 ms',
    );
    await probe.succeed();
    assert.equal(breaker.state, "closed");
  });

  test("of a hundred callers at the end of the cooldown exactly one runs", async () => {
    const { breaker, clock, fail, story, outcomes } = setUp(ONCE);
    await fail();
    clock.advance(COOLDOWN_MS);
    const end = gate();
    let runs = 0;
    let rejections = 0;
    const calls = Array.from({ length: 100 }, () =>
      breaker
        .execute(() => {
          runs++;
          return end.promise;
        })
        .catch((error: { state: string }) => {
          assert.equal(error.state, "half_open");
          if (++rejections === 99) end.resolve();
        }),
    );
    await Promise.all(calls);
    assert.equal(runs, 1);
    assert.equal(rejections, 99);
    assert.deepEqual(story(), [OPENED, PROBING, CLOSED]);
    assert.equal(outcomes.filter((outcome) => outcome === "rejected").length, 99);
  });

  test("a probe whose lease lapses is given to the next caller, and its own end no longer counts", async () => {
    for (const late of ["succeed", "fail", "ignore"] as const) {
      const { breaker, clock, fail, rejected, story } = setUp({ ...ONCE, probeLeaseMs: 30_000 });
      await fail();
      clock.advance(COOLDOWN_MS);
      const first = await breaker.enter();
      clock.advance(29_999);
      await rejected();
      clock.advance(1);
      const second = await breaker.enter();
      await first[late]();
      assert.deepEqual(story(), [OPENED, PROBING]);
      assert.equal((await rejected()).retryAfterMs, 30_000);
      await second.succeed();
      assert.deepEqual(story(), [OPENED, PROBING, CLOSED]);
    }
  });

  test("a call that hangs as the probe does not block the circuit for longer than the lease", async () => {
    const { breaker, clock, fail, succeed } = setUp({ ...ONCE, probeLeaseMs: 30_000 });
    await fail();
    clock.advance(COOLDOWN_MS);
    const hung = gate();
    const started = gate();
    const call = breaker.execute(() => {
      started.resolve();
      return hung.promise;
    });
    await started.promise;
    clock.advance(30_000);
    assert.equal(await succeed(), "done");
    assert.equal(breaker.state, "closed");
    hung.resolve();
    await call;
  });

  test("a cancelled probe neither closes nor opens the circuit, and the next caller probes", async () => {
    const { breaker, clock, fail, cancel, succeed, story, outcomes } = setUp(ONCE);
    await fail();
    clock.advance(COOLDOWN_MS);
    await cancel();
    assert.equal(breaker.state, "half_open");
    assert.equal(breaker.timeUntilRecoveryMs, 0);
    assert.deepEqual(story(), [OPENED, PROBING]);
    await cancel();
    await succeed();
    assert.deepEqual(story(), [OPENED, PROBING, CLOSED]);
    assert.deepEqual(outcomes, ["failure", "ignored", "ignored", "success"]);
  });

  test("a cancelled probe does not lengthen the cooldown of a probe that fails after it", async () => {
    const { breaker, clock, fail, cancel } = setUp(ONCE);
    await fail();
    clock.advance(COOLDOWN_MS);
    await cancel();
    await fail();
    assert.equal(breaker.timeUntilRecoveryMs, 2 * COOLDOWN_MS);
  });

  test("a cancelled second probe keeps the success of the first", async () => {
    const { breaker, clock, fail, cancel, succeed } = setUp({ ...ONCE, halfOpenProbes: 2 });
    await fail();
    clock.advance(COOLDOWN_MS);
    await succeed();
    await cancel();
    await succeed();
    assert.equal(breaker.state, "closed");
  });

  test("a late outcome of an older generation is ignored in every later state", async () => {
    for (const late of ["succeed", "fail", "ignore"] as const) {
      const { breaker, clock, fail, succeed, story } = setUp(ONCE);
      const permits = await Promise.all([breaker.enter(), breaker.enter(), breaker.enter()]);
      await fail();
      await permits[0]?.[late]();
      assert.equal(breaker.state, "open");
      assert.equal(breaker.timeUntilRecoveryMs, COOLDOWN_MS);
      clock.advance(COOLDOWN_MS);
      const probe = await breaker.enter();
      await permits[1]?.[late]();
      assert.equal(breaker.record.automatic.state, "half_open");
      assert.equal(breaker.timeUntilRecoveryMs, 30_000);
      await probe.succeed();
      await permits[2]?.[late]();
      await succeed();
      assert.deepEqual(story(), [OPENED, PROBING, CLOSED]);
    }
  });

  test("a late success does not end the row of failures of a later generation", async () => {
    const { breaker, clock, fail, succeed } = setUp({ failureThreshold: 2 });
    const late = await breaker.enter();
    await fail(2);
    clock.advance(COOLDOWN_MS);
    await succeed();
    await fail();
    await late.succeed();
    await fail();
    assert.equal(breaker.state, "open");
  });

  test("the rejection carries what opened the circuit as its cause", async () => {
    const { breaker, clock, rejected } = setUp(ONCE);
    const first = new Error("first");
    const second = new Error("second");
    await assert.rejects(breaker.execute(() => Promise.reject(first)));
    assert.equal((await rejected()).cause, first);
    clock.advance(COOLDOWN_MS);
    await assert.rejects(breaker.execute(() => Promise.reject(second)));
    assert.equal((await rejected()).cause, second);
  });

  test("a cooldown of nothing lets the next caller probe at once", async () => {
    const { breaker, fail, succeed } = setUp({ ...ONCE, recoveryTimeoutMs: 0, maxRecoveryTimeoutMs: 0 });
    await fail();
    assert.equal(breaker.state, "half_open");
    await succeed();
    assert.equal(breaker.state, "closed");
  });

  test("the time of the last opening is remembered after the circuit closed", async () => {
    const { breaker, clock, fail, succeed } = setUp(ONCE);
    assert.equal(breaker.record.lastOpenedAtMs, null);
    await fail();
    clock.advance(COOLDOWN_MS);
    await fail();
    const openedAtMs = clock.nowMs;
    clock.advance(2 * COOLDOWN_MS);
    await succeed();
    assert.equal(breaker.record.lastOpenedAtMs, openedAtMs);
  });

  test("a cooldown that was chosen does not change by being looked at", async () => {
    const { breaker, clock, fail, rejected } = setUp(ONCE);
    await fail();
    const record = breaker.record;
    for (let look = 0; look < 20; look++) {
      clock.advance(1_000);
      await rejected();
      assert.equal(breaker.timeUntilRecoveryMs, COOLDOWN_MS - (look + 1) * 1_000);
    }
    assert.equal(breaker.record, record);
  });
});
