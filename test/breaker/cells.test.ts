import assert from "node:assert/strict";
import { test } from "node:test";
import type { BreakerCell, Change } from "../../src/breaker/cell.ts";
import { MemoryCell } from "../../src/breaker/cell.ts";
import { CircuitBreaker } from "../../src/breaker/circuit-breaker.ts";
import type { CircuitBreakerOptions } from "../../src/breaker/options.ts";
import type { BreakerRecord } from "../../src/breaker/state.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { AsyncCell, SharedRow } from "./async-cell.ts";
import { benchOf, COOLDOWN_MS } from "./support.ts";

/** Breakers of as many processes that share one row. */
function processes(count: number, options: Partial<CircuitBreakerOptions> = {}) {
  const clock = new FakeClock();
  const row = new SharedRow();
  const benches = Array.from({ length: count }, () =>
    benchOf(new CircuitBreaker({ name: "alpaca.trading", cell: new AsyncCell(clock.now, row), ...options })),
  );
  return { clock, row, benches };
}

test("failures of several processes add up to one opening, reported by one of them", async () => {
  const { benches, row } = processes(5);
  await Promise.all(benches.map(({ fail }) => fail()));
  assert.equal(row.record.automatic.state, "open");
  assert.ok(row.conflicts > 0);
  const stories = benches.flatMap(({ story }) => story());
  assert.deepEqual(stories, ["closed > open: failure_threshold"]);
});

test("of ten processes with ten callers each exactly one probes when the cooldown ends", async () => {
  const { benches, clock, row } = processes(10, { failureThreshold: 1 });
  await Promise.all(benches.map(({ fail }) => fail()));
  clock.advance(COOLDOWN_MS);
  const end = Promise.withResolvers<void>();
  let runs = 0;
  let rejections = 0;
  const calls = benches.flatMap(({ breaker }) =>
    Array.from({ length: 10 }, () =>
      breaker
        .execute(() => {
          runs++;
          return end.promise;
        })
        .catch((error: { state: string; retryAfterMs: number }) => {
          assert.deepEqual([error.state, error.retryAfterMs], ["half_open", 30_000]);
          if (++rejections === 99) end.resolve();
        }),
    ),
  );
  await Promise.all(calls);
  assert.deepEqual([runs, rejections], [1, 99]);
  assert.equal(row.record.automatic.state, "closed");
  assert.deepEqual(benches.flatMap(({ story }) => story()).sort(), [
    "closed > open: failure_threshold",
    "half_open > closed: probe_succeeded",
    "open > half_open: cooldown_elapsed",
  ]);
});

test("a process that has not heard of the outage cannot spoil another's probe", async () => {
  const { benches, clock, row } = processes(2, { failureThreshold: 1 });
  const [here, there] = [benches[0] ?? assert.fail(), benches[1] ?? assert.fail()];
  await here.fail();
  clock.advance(COOLDOWN_MS);
  const probe = await here.breaker.enter();
  assert.equal(there.breaker.state, "closed");
  await there.fail();
  assert.equal(row.record.automatic.state, "half_open");
  assert.equal(there.breaker.state, "half_open");
  await probe.succeed();
  assert.equal(row.record.automatic.state, "closed");
});

test("a process that still sees the circuit open is admitted when another has closed it", async () => {
  const { benches, clock } = processes(2, { failureThreshold: 1 });
  const [here, there] = [benches[0] ?? assert.fail(), benches[1] ?? assert.fail()];
  await Promise.all([here.fail(), there.fail()]);
  clock.advance(COOLDOWN_MS);
  await here.succeed();
  assert.equal(there.breaker.state, "half_open");
  assert.equal(await there.succeed(), "done");
  assert.equal(there.breaker.state, "closed");
  assert.deepEqual(
    there.story().filter((line) => line.startsWith("half_open")),
    [],
  );
});

test("another process says in a rejection what kind of failure opened the circuit", async () => {
  const { benches, row } = processes(1, { failureThreshold: 1 });
  const down = Object.assign(new Error("connect ECONNREFUSED 10.0.0.1:443"), { code: "ECONNREFUSED" });
  await benches[0]?.breaker.recordFailure(down);
  const later = new CircuitBreaker({ name: "alpaca.trading", cell: new AsyncCell(new FakeClock().now, row) });
  const error = await benchOf(later).rejected();
  assert.equal(error.cause, "ECONNREFUSED");
});

test("a rejection does not blame an outage that is over for one that another process met", async () => {
  const { benches, clock } = processes(2, { failureThreshold: 1 });
  const [here, there] = [benches[0] ?? assert.fail(), benches[1] ?? assert.fail()];
  await here.fail();
  clock.advance(COOLDOWN_MS);
  await here.succeed();
  const late = await here.breaker.enter();
  await there.fail();
  await there.breaker.recordFailure(Object.assign(new Error("reset"), { code: "ECONNRESET" }));
  await late.fail();
  assert.equal((await here.rejected()).cause, "ECONNRESET");
});

test("an operator's hold by one process stops the others, and calls under way no longer count", async () => {
  const { benches, row } = processes(2, { failureThreshold: 1 });
  const [here, there] = [benches[0] ?? assert.fail(), benches[1] ?? assert.fail()];
  const permit = await there.breaker.enter();
  await here.breaker.isolate("maintenance");
  await permit.fail();
  assert.equal(row.record.automatic.state, "closed");
  assert.match((await there.rejected()).message, /: maintenance;/);
});

test("a caller that loses the probe is told what it saw, though the circuit has closed meanwhile", async () => {
  const clock = new FakeClock();
  const row = new SharedRow();
  const cell = new AsyncCell(clock.now, row);
  let meanwhile: (() => void) | undefined;
  const slow: BreakerCell = {
    now: clock.now,
    peek: () => cell.peek(),
    update: async (change) => {
      const made = await cell.update(change);
      meanwhile?.();
      return made;
    },
  };
  const { breaker, fail, rejected } = benchOf(new CircuitBreaker({ name: "a", cell: slow, failureThreshold: 1 }));
  await fail();
  clock.advance(COOLDOWN_MS);
  const other = new CircuitBreaker({ name: "a", cell: new AsyncCell(clock.now, row) });
  await other.enter();
  const closed: BreakerRecord = { ...row.record, automatic: { state: "closed", failures: 0, lastFailureAtMs: null } };
  meanwhile = () => {
    cell.peek = () => closed;
  };
  const error = await rejected();
  assert.deepEqual([error.state, error.retryAfterMs], ["half_open", 30_000]);
  assert.equal(breaker.state, "closed");
});

test("a change that is tried again has no effect of its own", async () => {
  const clock = new FakeClock();
  const memory = new MemoryCell(clock.now);
  const twice: BreakerCell = {
    now: clock.now,
    peek: () => memory.peek(),
    update: (change) => {
      change(memory.peek(), clock.nowMs);
      return memory.update(change);
    },
  };
  const { breaker, fail, succeed, story } = benchOf(
    new CircuitBreaker({ name: "a", cell: twice, failureThreshold: 2 }),
  );
  await fail();
  assert.equal(breaker.state, "closed");
  await fail();
  clock.advance(COOLDOWN_MS);
  await succeed();
  assert.deepEqual(story(), [
    "closed > open: failure_threshold",
    "open > half_open: cooldown_elapsed",
    "half_open > closed: probe_succeeded",
  ]);
});

test("a rejected call does not ask the store", async () => {
  const clock = new FakeClock();
  const memory = new MemoryCell(clock.now);
  let updates = 0;
  const counted: BreakerCell = {
    now: clock.now,
    peek: () => memory.peek(),
    update: (change) => {
      updates++;
      return memory.update(change);
    },
  };
  const { fail, rejected, succeed } = benchOf(new CircuitBreaker({ name: "a", cell: counted, failureThreshold: 1 }));
  await succeed();
  assert.equal(updates, 0);
  await fail();
  assert.equal(updates, 1);
  for (let call = 0; call < 10; call++) await rejected();
  assert.equal(updates, 1);
});

test("a transition is stored in the same update as the record that it leads to, and reported after it", async () => {
  const clock = new FakeClock();
  const memory = new MemoryCell(clock.now);
  const stored: Change<unknown>[] = [];
  const recording: BreakerCell = {
    now: clock.now,
    peek: () => memory.peek(),
    update: (change) => {
      const made = memory.update(change);
      if (made.transition) stored.push(made);
      return made;
    },
  };
  const { breaker, fail, succeed, transitions } = benchOf(
    new CircuitBreaker({ name: "a", cell: recording, failureThreshold: 1 }),
  );
  breaker.onTransition((transition) => assert.equal(stored.at(-1)?.transition, transition));
  await fail();
  clock.advance(COOLDOWN_MS);
  await succeed();
  assert.deepEqual(
    stored.map(({ transition }) => transition),
    transitions,
  );
  assert.deepEqual(
    stored.map(({ record }) => [record.automatic.state, record.generation]),
    [
      ["open", 1],
      ["half_open", 2],
      ["closed", 3],
    ],
  );
});

test("a record survives JSON, so that a store may keep it as text", async () => {
  const { benches, clock, row } = processes(1, { failureThreshold: 1, halfOpenProbes: 2 });
  const { breaker, fail, succeed, rejected } = benches[0] ?? assert.fail();
  const survives = () => assert.deepEqual(JSON.parse(JSON.stringify(row.record)), row.record);
  survives();
  await fail();
  survives();
  clock.advance(COOLDOWN_MS);
  await succeed();
  await breaker.enter();
  survives();
  await breaker.isolate("maintenance");
  survives();
  row.record = JSON.parse(JSON.stringify(row.record)) as BreakerRecord;
  await breaker.release();
  await succeed();
  assert.equal(breaker.state, "closed");
  await fail();
  assert.equal((await rejected()).retryAfterMs, COOLDOWN_MS);
});
