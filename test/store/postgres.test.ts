import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CircuitBreakerOpenError } from "../../src/errors.ts";
import { poll } from "../support/poll.ts";
import { skipWithoutPostgres } from "../support/postgres.ts";
import { COOLDOWN_MS, KEY, newFleet, serverForTests } from "../support/postgres-stores.ts";

const WITHIN_A_SECOND = { timeoutMs: 1_000, everyMs: 5 };

describe("breakers of a fleet", { skip: skipWithoutPostgres() }, () => {
  const server = serverForTests();

  test("failures of two stores add up to one opening, which each knows of within a second", async (t) => {
    const fleet = await newFleet(t, await server());
    const [here, there] = [(await fleet.join()).breaker(), (await fleet.join()).breaker()];
    const reported: string[] = [];
    for (const breaker of [here, there]) breaker.onTransition(({ from, to }) => reported.push(`${from} > ${to}`));
    await here.recordFailure();
    await here.recordFailure();
    await there.recordFailure();
    await there.recordFailure();
    assert.deepEqual([here.state, there.state], ["closed", "closed"]);
    await there.recordFailure();
    assert.equal(there.state, "open");
    await poll("the other to know", () => here.state === "open", WITHIN_A_SECOND);
    assert.deepEqual(here.record, there.record);
    assert.deepEqual(reported, ["closed > open"]);
  });

  test("of two that fail at the same time the slower one adopts what the faster one has made of it", async (t) => {
    const fleet = await newFleet(t, await server());
    const members = await Promise.all(Array.from({ length: 4 }, () => fleet.join()));
    const breakers = members.map(({ breaker }) => breaker({ failureThreshold: 1 }));
    await Promise.all(breakers.map((breaker) => breaker.recordFailure()));
    for (const { record } of breakers) assert.deepEqual([record.automatic.state, record.generation], ["open", 1]);
    assert.equal((await members[0]?.store.history({}))?.length, 1);
    assert.deepEqual(
      members.flatMap(({ problems }) => problems),
      [],
    );
  });

  test("an open circuit is known at once by who comes later, with the same end of its cooldown", async (t) => {
    const fleet = await newFleet(t, await server());
    const first = await fleet.join();
    const before = first.breaker({ failureThreshold: 1 });
    await before.recordFailure(new Error("down"));
    await first.store.close();
    const later = (await fleet.join()).breaker();
    assert.equal(later.state, "open");
    assert.deepEqual(later.record, before.record);
    assert.ok((later.timeUntilRecoveryMs ?? 0) > COOLDOWN_MS - 5_000);
    assert.equal((await fleet.join()).breaker({}, { ...KEY, host: "api.alpaca.markets" }).state, "closed");
  });

  test("one of two stores has the probe, and the other is told how long to wait", async (t) => {
    const fleet = await newFleet(t, await server());
    const breakers = [(await fleet.join()).breaker({ failureThreshold: 1 }), (await fleet.join()).breaker()];
    await breakers[0]?.recordFailure();
    await fleet.advance(COOLDOWN_MS);
    assert.deepEqual(
      breakers.map(({ state }) => state),
      ["half_open", "half_open"],
    );
    const entered = await Promise.allSettled(breakers.map((breaker) => breaker.enter()));
    const permits = entered.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    const errors = entered.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    assert.equal(permits.length, 1);
    assert.ok(errors[0] instanceof CircuitBreakerOpenError);
    assert.equal(errors[0].state, "half_open");
    assert.ok((errors[0].retryAfterMs ?? 0) > 25_000);
    await permits[0]?.succeed();
    await poll("both to be closed", () => breakers.every(({ isClosed }) => isClosed), WITHIN_A_SECOND);
  });

  test("the probe of a process that died goes to another one, and what it says after all is too late", async (t) => {
    const fleet = await newFleet(t, await server());
    const [dying, other] = [(await fleet.join()).breaker({ failureThreshold: 1 }), (await fleet.join()).breaker()];
    await dying.recordFailure();
    await fleet.advance(COOLDOWN_MS);
    const lost = await dying.enter();
    await fleet.advance(30_000);
    const probe = await other.enter();
    await lost.succeed();
    assert.equal(dying.record.automatic.state, "half_open");
    await probe.fail(new Error("still down"));
    const { automatic } = other.record;
    assert.deepEqual([automatic.state, automatic.state === "open" && automatic.attempt], ["open", 2]);
  });

  test("an outcome from before the circuit opened changes nothing, and no row is locked during a call", async (t) => {
    const fleet = await newFleet(t, await server());
    const [slow, quick] = [(await fleet.join()).breaker(), (await fleet.join()).breaker({ failureThreshold: 1 })];
    const permit = await slow.enter();
    await quick.recordFailure();
    await permit.succeed();
    await fleet.advance(COOLDOWN_MS);
    const late = await slow.enter();
    await quick.reset();
    await late.fail();
    assert.equal(slow.record.generation, quick.record.generation);
    assert.deepEqual(slow.record.automatic, { state: "closed", failures: 0, lastFailureAtMs: null });
  });

  test("an operator's hold stops the others within a second, and survives", async (t) => {
    const fleet = await newFleet(t, await server());
    const operator = await fleet.join({ script: "breaker" });
    const script = (await fleet.join()).breaker();
    await operator.breaker().isolate("exchange maintenance", "jo");
    await poll("the script to know", () => script.state === "isolated", WITHIN_A_SECOND);
    await assert.rejects(script.enter(), /exchange maintenance/);
    await operator.store.close();
    const later = await fleet.join();
    assert.equal(later.breaker().record.hold?.by, "jo");
    assert.deepEqual(await later.store.breakers(), [{ ...KEY, record: script.record }]);
    await later.breaker().release("jo");
    await poll("the script to know", () => script.state === "closed", WITHIN_A_SECOND);
    assert.deepEqual(await fleet.query("SELECT * FROM breakwater.holds"), []);
  });

  test("a state change is stored with the state or neither of them is", async (t) => {
    const fleet = await newFleet(t, await server());
    const { breaker, problems } = await fleet.join();
    await breaker().recordFailure();
    await fleet.query("ALTER TABLE breakwater.transitions ADD CHECK (at_ms < 0)");
    await breaker({ failureThreshold: 2 }).recordFailure();
    const [row] = await fleet.query<{ generation: string; row: string }>("SELECT * FROM breakwater.breakers");
    assert.deepEqual([row?.generation, JSON.parse(row?.row ?? "").automatic.failures], ["0", 1]);
    assert.equal(breaker().state, "open");
    assert.deepEqual(
      problems.map(({ kind }) => kind),
      ["unreachable"],
    );
  });

  test("machines whose clocks are 90 s apart see the same cooldown, by the server's clock", async (t) => {
    const fleet = await newFleet(t, await server());
    const ahead = await fleet.join({ now: () => Date.now() + 45_000 });
    const behind = await fleet.join({ now: () => Date.now() - 45_000 });
    const breakers = [ahead.breaker({ failureThreshold: 1 }), behind.breaker()];
    await breakers[0]?.recordFailure();
    await poll("the other to know", () => breakers[1]?.isOpen, WITHIN_A_SECOND);
    for (const breaker of breakers) {
      const restMs = breaker.timeUntilRecoveryMs ?? 0;
      assert.ok(restMs > COOLDOWN_MS - 2_000 && restMs <= COOLDOWN_MS, `${restMs}`);
    }
    const [entry] = await behind.store.history({});
    assert.ok(Math.abs((entry?.at.getTime() ?? 0) - Date.now()) < 2_000);
    await fleet.advance(COOLDOWN_MS);
    await (await behind.breaker().enter()).succeed();
    assert.equal(behind.breaker().state, "closed");
  });

  test("many calls of one process that fail at the same time are all counted", async (t) => {
    const fleet = await newFleet(t, await server());
    const { breaker, store } = await fleet.join();
    const one = breaker({ failureThreshold: 1_000 });
    await Promise.all(Array.from({ length: 100 }, () => one.recordFailure()));
    assert.deepEqual((await (await fleet.join()).store.breakers())[0]?.record, one.record);
    assert.equal(one.record.automatic.state === "closed" && one.record.automatic.failures, 100);
    assert.equal(store.scope, "fleet");
  });
});
