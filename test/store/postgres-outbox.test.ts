import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { OUTBOX_LIMITS } from "../../src/store/store.ts";
import { skipWithoutPostgres } from "../support/postgres.ts";
import { type Fleet, KEY, newFleet, serverForTests } from "../support/postgres-stores.ts";

const LEASE_MS = 30_000;

/** Leaves state changes behind, two for each hold, as a run that died did. */
async function leaveBehind(fleet: Fleet, holds: number): Promise<void> {
  const { breaker, store } = await fleet.join({ script: "dying" });
  for (let hold = 0; hold < holds; hold++) {
    await breaker().isolate(`hold ${hold}`, "jo");
    await breaker().release("jo");
  }
  await store.close();
}

describe("history and outbox of a fleet", { skip: skipWithoutPostgres() }, () => {
  const server = serverForTests();

  test("a change that nobody can read is said once, and waits no longer; the others go on", async (t) => {
    const fleet = await newFleet(t, await server());
    await leaveBehind(fleet, 1);
    const [first] = await fleet.query<{ event_id: string }>(
      `UPDATE breakwater.transitions SET entry = 'no entry' WHERE event_id =
         (SELECT event_id FROM breakwater.transitions ORDER BY at_ms, entry LIMIT 1) RETURNING event_id`,
    );
    await fleet.advance(LEASE_MS);
    const { store, problems } = await fleet.join();
    assert.equal((await store.outbox.claim(8)).length, 1);
    assert.deepEqual(
      problems.map(({ kind }) => kind),
      ["corrupt"],
    );
    assert.ok(first && problems[0]?.message.includes(first.event_id));
    assert.equal(await store.outbox.size(), 1);
  });

  test("what a run left behind goes to exactly one other run, and to the next one when that one dies", async (t) => {
    const fleet = await newFleet(t, await server());
    await leaveBehind(fleet, 10);
    const outboxes = (await Promise.all([fleet.join(), fleet.join(), fleet.join()])).map(({ store }) => store.outbox);
    const claimAll = () => Promise.all(outboxes.map((outbox) => outbox.claim(8)));
    assert.deepEqual(await claimAll(), [[], [], []]);
    await fleet.advance(LEASE_MS);
    const claimed = await claimAll();
    const ids = claimed.flat().map(({ eventId }) => eventId);
    assert.deepEqual([ids.length, new Set(ids).size], [20, 20]);
    for (const entries of claimed) {
      const generations = entries.map(({ generation }) => generation);
      assert.deepEqual(
        generations,
        generations.toSorted((a, b) => a - b),
      );
    }
    assert.deepEqual(await claimAll(), [[], [], []]);
    await fleet.advance(LEASE_MS);
    assert.equal((await (await fleet.join()).store.outbox.claim(100)).length, 20);
  });

  test("a change leaves the outbox when it has arrived in every signal that is exported, and stays in history", async (t) => {
    const fleet = await newFleet(t, await server());
    const { breaker, store } = await fleet.join({ script: "doctor", run: "r", signals: ["traces", "logs"] });
    await breaker({ newSpan: () => ({ traceId: "a".repeat(32), spanId: "b".repeat(16) }) }).isolate("why", "jo");
    const [entry] = await store.history({});
    assert.ok(entry);
    assert.deepEqual(entry.undelivered, ["traces", "logs"]);
    assert.deepEqual(
      [entry.breaker, entry.host, entry.from, entry.to, entry.reason, entry.operator, entry.script, entry.run],
      [KEY.name, KEY.host, "closed", "isolated", "operator", { by: "jo", reason: "why" }, "doctor", "r"],
    );
    assert.deepEqual([entry.traceId, entry.spanId], ["a".repeat(32), "b".repeat(16)]);
    await store.outbox.acknowledge("traces", [entry.eventId]);
    assert.equal(await store.outbox.size(), 1);
    await store.outbox.acknowledge("logs", [entry.eventId, "another"]);
    assert.equal(await store.outbox.size(), 0);
    assert.deepEqual((await store.history({}))[0]?.undelivered, []);
  });

  test("history can be asked for one breaker and since a time", async (t) => {
    const fleet = await newFleet(t, await server());
    const { breaker, store } = await fleet.join();
    await breaker().isolate("one");
    await breaker({}, { name: "alpaca.data", host: "data.alpaca.markets" }).isolate("two");
    await fleet.advance(60_000);
    await breaker().release();
    assert.equal((await store.history({})).length, 3);
    assert.equal((await store.history({ name: "alpaca.data" })).length, 1);
    const [latest] = await store.history({ name: KEY.name, sinceMs: store.cell(KEY).now() - 30_000 });
    assert.equal(latest?.to, "closed");
  });

  test("what is too old or too much is given up, and what nobody has heard of is counted", async (t) => {
    const fleet = await newFleet(t, await server());
    await leaveBehind(fleet, 3);
    const { store } = await fleet.join();
    const [first, second] = await store.history({});
    assert.ok(first && second);
    for (const signal of ["traces", "metrics", "logs"] as const)
      await store.outbox.acknowledge(signal, [first.eventId]);
    await fleet.query("UPDATE breakwater.transitions SET at_ms = at_ms - $1 WHERE event_id IN ($2, $3)", [
      OUTBOX_LIMITS.ageMs + 1_000,
      first.eventId,
      second.eventId,
    ]);
    assert.equal(await store.outbox.prune(), 1);
    assert.deepEqual([(await store.history({})).length, await store.outbox.size()], [4, 4]);
    await fleet.query(
      `INSERT INTO breakwater.transitions SELECT gen_random_uuid(), name, host, at_ms + n, entry, traces, metrics, logs,
         claimed_by, claimed_until_ms FROM breakwater.transitions, generate_series(1, 2500) n`,
    );
    assert.equal(await store.outbox.prune(), 4);
    assert.equal(await store.outbox.size(), OUTBOX_LIMITS.entries);
  });
});
