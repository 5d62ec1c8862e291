import assert from "node:assert/strict";
import { test } from "node:test";
import { CircuitBreaker } from "../../src/breaker/circuit-breaker.ts";
import {
  AlpacaDisabledError,
  AlpacaError,
  type AlpacaErrorKind,
  AlpacaNetworkError,
  AlpacaThrottledError,
  AlpacaTimeoutError,
  CircuitBreakerOpenError,
} from "../../src/errors.ts";
import { COOLDOWN_MS, Outage, onEveryCell } from "./support.ts";

onEveryCell((setUp) => {
  test("a call hands back what the function returns, now or later", async () => {
    const { breaker, outcomes } = setUp();
    assert.equal(await breaker.execute(() => 1), 1);
    assert.equal(await breaker.execute(async () => 2), 2);
    assert.equal(await breaker.execute(() => undefined), undefined);
    assert.deepEqual(outcomes, ["success", "success", "success"]);
  });

  test("a call throws what the function throws, now or later, and both count as a failure", async () => {
    const { breaker, outcomes } = setUp();
    const now = () => {
      throw new Outage("now");
    };
    await assert.rejects(breaker.execute(now), { message: "now" });
    await assert.rejects(
      breaker.execute(() => Promise.reject(new Outage("later"))),
      { message: "later" },
    );
    await assert.rejects(
      breaker.execute(() => Promise.reject(undefined)),
      (error) => error === undefined,
    );
    assert.deepEqual(outcomes, ["failure", "failure", "failure"]);
  });

  test("the function receives the caller's signal, or one that never aborts", async () => {
    const { breaker } = setUp();
    const { signal } = new AbortController();
    assert.equal(await breaker.execute((context) => context.signal, { signal }), signal);
    const own = await breaker.execute((context) => context.signal);
    assert.ok(own instanceof AbortSignal);
    assert.equal(own.aborted, false);
  });

  test("a call that was cancelled beforehand does not run and is not counted", async () => {
    const { breaker, clock, fail, outcomes } = setUp({ failureThreshold: 1 });
    const reason = new Error("stopped");
    const cancelled = { signal: AbortSignal.abort(reason) };
    const mustNotRun = () => assert.fail("the call ran");
    await assert.rejects(breaker.execute(mustNotRun, cancelled), (error) => error === reason);
    await assert.rejects(breaker.enter(cancelled), (error) => error === reason);
    await fail();
    clock.advance(COOLDOWN_MS);
    await assert.rejects(breaker.execute(mustNotRun, cancelled), (error) => error === reason);
    assert.equal(breaker.record.automatic.state, "open");
    assert.deepEqual(outcomes, ["failure"]);
  });

  test("a call that is cancelled while it waits for admission does not run, and gives the probe back", async () => {
    const { breaker, clock, fail, succeed } = setUp({ failureThreshold: 1 });
    await fail();
    clock.advance(COOLDOWN_MS);
    const controller = new AbortController();
    const reason = new Error("stopped");
    const call = breaker.execute(() => assert.fail("the call ran"), { signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(call, (error) => error === reason);
    assert.equal(breaker.timeUntilRecoveryMs, 0);
    await succeed();
    assert.equal(breaker.state, "closed");
  });

  test("a call that fails after it was cancelled is no failure, whatever it throws", async () => {
    const { breaker, outcomes } = setUp({ failureThreshold: 1 });
    const controller = new AbortController();
    const call = breaker.execute(
      () => {
        controller.abort();
        throw new Outage("socket hang up");
      },
      { signal: controller.signal },
    );
    await assert.rejects(call, { message: "socket hang up" });
    assert.equal(breaker.state, "closed");
    assert.deepEqual(outcomes, ["ignored"]);
  });

  test("an AbortError of a signal that the breaker does not know is a cancelled call", async () => {
    const { breaker, outcomes } = setUp({ failureThreshold: 1 });
    await assert.rejects(breaker.execute(() => Promise.reject(new DOMException("stopped", "AbortError"))));
    assert.deepEqual(outcomes, ["ignored"]);
  });

  test("a timeout is a failure, though a signal brings it", async () => {
    const { breaker, outcomes } = setUp();
    await assert.rejects(breaker.execute(() => Promise.reject(new DOMException("too slow", "TimeoutError"))));
    await assert.rejects(breaker.execute(() => Promise.reject(new AlpacaTimeoutError("GET /v2/clock", 10))));
    assert.deepEqual(outcomes, ["failure", "failure"]);
  });

  test("a rejection of another circuit says nothing of this one", async () => {
    const { breaker, outcomes } = setUp({ failureThreshold: 1 });
    const rejection = new CircuitBreakerOpenError({
      breaker: "alpaca.data",
      state: "open",
      retryAfterMs: 1,
      openedAtMs: 0,
    });
    await assert.rejects(breaker.execute(() => Promise.reject(rejection)));
    assert.deepEqual(outcomes, ["ignored"]);
  });

  test("what Alpaca's client throws counts as it was judged: an outage, a throttle, or the caller's own mistake", async () => {
    const details = { method: "GET", urlTemplate: "/v2/clock", status: 400, message: "no" };
    const ofKind = (kind: AlpacaErrorKind) => new AlpacaError({ ...details, kind });
    for (const [error, outcome] of [
      [ofKind("unavailable"), "failure"],
      [new AlpacaNetworkError("no answer"), "failure"],
      [ofKind("throttled"), "ignored"],
      [new AlpacaThrottledError("GET /v2/clock", 1, "the budget is used up"), "ignored"],
      [ofKind("credentials"), "success"],
      [ofKind("rejected"), "success"],
      [ofKind("redirect"), "success"],
      [new AlpacaDisabledError("switched off"), "success"],
    ] as const) {
      const { breaker, outcomes } = setUp();
      await assert.rejects(breaker.execute(() => Promise.reject(error)));
      assert.deepEqual(outcomes, [outcome], error.message);
    }
  });

  test("a classification of one's own decides what an error means", async () => {
    const { breaker, outcomes } = setUp({
      failureThreshold: 1,
      classifyError: (error) => (error as { meaning: "success" | "failure" | "ignored" }).meaning,
    });
    for (const meaning of ["success", "ignored", "failure"] as const) {
      await assert.rejects(breaker.execute(() => Promise.reject({ meaning })));
    }
    assert.deepEqual(outcomes, ["success", "ignored", "failure"]);
    assert.equal(breaker.state, "open");
  });

  test("a rejection names what the caller was about to do", async () => {
    const { breaker, fail } = setUp({ failureThreshold: 1 });
    await fail();
    await assert.rejects(breaker.enter({ call: "GET /v2/clock" }), {
      message: 'Cannot call GET /v2/clock: circuit "alpaca.trading" is open for another 60000 ms',
    });
  });

  test("a look admits what a call would be admitted for, and takes no probe", async () => {
    const { breaker, clock, fail, succeed, outcomes } = setUp({ failureThreshold: 1 });
    breaker.check();
    await fail();
    assert.throws(() => breaker.check({ call: "GET /v2/clock" }), {
      name: "CircuitBreakerOpenError",
      retryAfterMs: COOLDOWN_MS,
      message: /^Cannot call GET \/v2\/clock: /,
    });
    clock.advance(COOLDOWN_MS);
    breaker.check();
    assert.equal(breaker.record.automatic.state, "open");
    const probe = await breaker.enter();
    assert.throws(() => breaker.check(), { state: "half_open" });
    await probe.ignore();
    breaker.check();
    await succeed();
    breaker.check();
    await breaker.isolate("maintenance");
    assert.throws(() => breaker.check(), { state: "isolated", retryAfterMs: null });
    assert.deepEqual(outcomes, ["failure", "rejected", "rejected", "ignored", "success", "rejected"]);
  });

  test("failures and successes seen elsewhere count like those of calls", async () => {
    const { breaker, rejected, outcomes } = setUp({ failureThreshold: 2 });
    const cause = new Error("down");
    await breaker.recordFailure(cause);
    await breaker.recordSuccess();
    await breaker.recordFailure(cause);
    assert.equal(breaker.state, "closed");
    await breaker.recordFailure(cause);
    assert.equal(breaker.state, "open");
    assert.equal((await rejected()).cause, cause);
    assert.deepEqual(outcomes, ["failure", "success", "failure", "failure", "rejected"]);
  });

  test("a success seen in a half-open circuit is that of a probe", async () => {
    const { breaker, clock, fail, story } = setUp({ failureThreshold: 1 });
    await fail();
    clock.advance(COOLDOWN_MS);
    await breaker.recordSuccess();
    assert.equal(breaker.state, "closed");
    assert.deepEqual(story().slice(1), ["open > half_open: cooldown_elapsed", "half_open > closed: probe_succeeded"]);
  });

  test("a failure seen in a half-open circuit is that of a probe", async () => {
    const { breaker, clock, fail, story } = setUp({ failureThreshold: 1 });
    await fail();
    clock.advance(COOLDOWN_MS);
    await breaker.recordFailure();
    assert.equal(breaker.timeUntilRecoveryMs, 2 * COOLDOWN_MS);
    assert.deepEqual(story().slice(1), ["open > half_open: cooldown_elapsed", "half_open > open: probe_failed"]);
  });

  test("what is seen of an open circuit, an isolated one, or one that another is probing changes nothing", async () => {
    const { breaker, clock, fail, story } = setUp({ failureThreshold: 1 });
    const see = async () => {
      await breaker.recordSuccess();
      await breaker.recordFailure();
    };
    await fail();
    await see();
    clock.advance(COOLDOWN_MS);
    const probe = await breaker.enter();
    await see();
    assert.equal(breaker.record.automatic.state, "half_open");
    await probe.succeed();
    await breaker.isolate("maintenance");
    await see();
    assert.equal(story().length, 4);
  });

  test("a permit settles as it is told", async () => {
    const { breaker, outcomes } = setUp({ failureThreshold: 1 });
    await (await breaker.enter()).succeed();
    await (await breaker.enter()).ignore();
    assert.equal(breaker.state, "closed");
    await (await breaker.enter()).fail(new Outage("down"));
    assert.equal(breaker.state, "open");
    assert.deepEqual(outcomes, ["success", "ignored", "failure"]);
  });

  test("a permit that is settled twice counts the first time only", async () => {
    const { breaker, outcomes } = setUp({ failureThreshold: 1 });
    const good = await breaker.enter();
    await good.succeed();
    await good.fail();
    await good.ignore();
    assert.equal(breaker.state, "closed");
    const bad = await breaker.enter();
    await Promise.all([bad.fail(), bad.succeed(), bad.fail()]);
    assert.equal(breaker.state, "open");
    assert.deepEqual(outcomes, ["success", "failure"]);
  });

  test("leaving the block of a settled permit adds nothing", async () => {
    const { breaker, outcomes } = setUp({ failureThreshold: 1 });
    {
      await using permit = await breaker.enter();
      permit.succeed();
    }
    assert.deepEqual(outcomes, ["success"]);
    assert.equal(breaker.state, "closed");
  });

  test("leaving the block without having settled is a failure", async () => {
    const { breaker, outcomes } = setUp({ failureThreshold: 1 });
    {
      await using _permit = await breaker.enter();
    }
    assert.deepEqual(outcomes, ["failure"]);
    assert.equal(breaker.state, "open");
  });

  test("an error that leaves the block reaches the caller as it is, and is a failure", async () => {
    const { breaker, outcomes } = setUp({ failureThreshold: 1 });
    const outage = new Outage("down");
    const work = async () => {
      await using _permit = await breaker.enter();
      throw outage;
    };
    await assert.rejects(work, (error) => error === outage);
    assert.deepEqual(outcomes, ["failure"]);
    assert.equal(breaker.state, "open");
  });

  test("leaving the block because the call was cancelled is neither", async () => {
    const { breaker, clock, fail, outcomes } = setUp({ failureThreshold: 1 });
    await fail();
    clock.advance(COOLDOWN_MS);
    const controller = new AbortController();
    const work = async () => {
      await using _permit = await breaker.enter({ signal: controller.signal });
      controller.abort();
      controller.signal.throwIfAborted();
    };
    await assert.rejects(work, { name: "AbortError" });
    assert.deepEqual(outcomes, ["failure", "ignored"]);
    assert.equal(breaker.state, "half_open");
    assert.equal(breaker.timeUntilRecoveryMs, 0);
  });

  test("listeners that throw, now or later, break no call and keep nothing from the others", async () => {
    const { breaker, clock, transitions, outcomes } = setUp({ failureThreshold: 1 });
    const late = new CircuitBreaker({ name: "late" });
    for (const one of [breaker, late]) {
      one.onTransition(() => {
        throw new Error("a listener threw");
      });
      one.onTransition(() => Promise.reject(new Error("a listener rejected")));
      one.onOutcome(() => {
        throw new Error("a listener threw");
      });
      one.onOutcome(() => Promise.reject(new Error("a listener rejected")));
    }
    const heard: string[] = [];
    breaker.onTransition(({ to }) => heard.push(to));
    breaker.onOutcome((outcome) => heard.push(outcome));
    const outage = new Outage("down");
    await assert.rejects(
      breaker.execute(() => Promise.reject(outage)),
      (error) => error === outage,
    );
    await assert.rejects(
      breaker.execute(() => assert.fail("the call ran")),
      CircuitBreakerOpenError,
    );
    clock.advance(COOLDOWN_MS);
    assert.equal(await breaker.execute(() => "done"), "done");
    await breaker.isolate("maintenance");
    await breaker.release();
    assert.deepEqual(heard, ["failure", "open", "rejected", "half_open", "success", "closed", "isolated", "closed"]);
    assert.equal(transitions.length, 5);
    assert.equal(outcomes.length, 3);
  });

  test("a listener that was removed hears no more, and removing it twice does no harm", async () => {
    const { breaker, fail } = setUp({ failureThreshold: 2 });
    let heard = 0;
    const stop = breaker.onOutcome(() => heard++);
    await fail();
    stop();
    stop();
    await fail();
    assert.equal(heard, 1);
  });

  test("a listener sees the state that it is told of", async () => {
    const { breaker, clock, fail, succeed } = setUp({ failureThreshold: 1 });
    const seen: string[] = [];
    breaker.onTransition(({ to }) => seen.push(`${to} ${breaker.state}`));
    await fail();
    clock.advance(COOLDOWN_MS);
    await succeed();
    assert.deepEqual(seen, ["open open", "half_open half_open", "closed closed"]);
  });
});

test("a store that answers at once has settled a call before its permit returns", async () => {
  const breaker = new CircuitBreaker({ name: "local", failureThreshold: 1 });
  const permit = await breaker.enter();
  void permit.fail();
  assert.equal(breaker.state, "open");
});

test("failures seen elsewhere are counted at once where the store answers at once", () => {
  const breaker = new CircuitBreaker({ name: "local", failureThreshold: 2 });
  void breaker.recordFailure();
  void breaker.recordFailure();
  assert.equal(breaker.state, "open");
});
