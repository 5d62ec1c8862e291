import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { CircuitBreaker } from "../../src/breaker/circuit-breaker.ts";
import type { CircuitBreakerOptions } from "../../src/breaker/options.ts";
import { CircuitBreakerOpenError } from "../../src/errors.ts";
import { openStore } from "../../src/store/open.ts";
import { OUTBOX_LIMITS, type Store, type StoreProblem } from "../../src/store/store.ts";
import { newStateFile, openOn } from "./support.ts";

const KEY = { name: "alpaca.trading", host: "api.example" };

function breakerOn(store: Store, more: Partial<CircuitBreakerOptions> = {}): CircuitBreaker {
  return new CircuitBreaker({
    name: KEY.name,
    failureThreshold: 3,
    recoveryTimeoutMs: 60_000,
    cell: store.cell(KEY),
    ...more,
  });
}

/** A clock that stands until it is moved. */
function clock(startMs = 1_800_000_000_000) {
  let nowMs = startMs;
  return { now: () => nowMs, move: (byMs: number) => (nowMs += byMs) };
}

test("failures add up across runs, and the run after them is rejected", async () => {
  const path = newStateFile();
  for (let run = 0; run < 3; run++) {
    const store = openOn(path);
    await breakerOn(store).recordFailure({ status: 503 });
    await store.close();
  }
  const store = openOn(path);
  const breaker = breakerOn(store);
  assert.equal(breaker.state, "open");
  await assert.rejects(
    breaker.enter(),
    (error) => error instanceof CircuitBreakerOpenError && error.cause === "HTTP 503",
  );
});

test("a success in between starts the count again, and a failure beyond the window does not count", async () => {
  const path = newStateFile();
  const time = clock();
  const breaker = breakerOn(openOn(path, time), { failureWindowMs: 1_000 });
  await breaker.recordFailure();
  await breaker.recordFailure();
  await breaker.recordSuccess();
  await breaker.recordFailure();
  assert.deepEqual(breaker.record.automatic, { state: "closed", failures: 1, lastFailureAtMs: time.now() });
  time.move(1_001);
  await breaker.recordFailure();
  assert.equal((breaker.record.automatic as { failures: number }).failures, 1);
});

test("a healthy call writes no breaker state", async () => {
  const store = openOn(newStateFile());
  const breaker = breakerOn(store);
  for (let call = 0; call < 10; call++) await breaker.execute(() => "fine");
  assert.deepEqual(await store.breakers(), []);
});

test("the cooldown that was chosen and its step survive, and the next one is longer", async () => {
  const path = newStateFile();
  const time = clock();
  const first = breakerOn(openOn(path, time), { failureThreshold: 1 });
  await first.recordFailure();
  time.move(40_000);
  const second = breakerOn(openOn(path, time), { failureThreshold: 1, recoveryTimeoutMs: 5_000 });
  assert.equal(second.timeUntilRecoveryMs, 20_000);
  time.move(20_000);
  assert.equal(second.state, "half_open");
  const third = breakerOn(openOn(path, time), { failureThreshold: 1 });
  await third.recordFailure();
  assert.equal(third.timeUntilRecoveryMs, 120_000);
});

test("one store has the probe, the others are told how long its lease is; it lapses when the prober dies", async () => {
  const path = newStateFile();
  const time = clock();
  const options = { failureThreshold: 1, probeLeaseMs: 15_000 };
  const prober = breakerOn(openOn(path, time), options);
  await prober.recordFailure();
  time.move(60_000);
  const other = breakerOn(openOn(path, time), options);
  await prober.enter();
  await assert.rejects(
    other.enter(),
    (error) => error instanceof CircuitBreakerOpenError && error.retryAfterMs === 15_000,
  );
  time.move(15_000);
  await other.execute(() => "well again");
  assert.equal(other.state, "closed");
});

test("the loser of a race adopts what the winner left", async () => {
  const path = newStateFile();
  const [one, two] = [
    breakerOn(openOn(path), { failureThreshold: 1 }),
    breakerOn(openOn(path), { failureThreshold: 1 }),
  ];
  const changes: string[] = [];
  for (const breaker of [one, two]) breaker.onTransition(({ eventId }) => changes.push(eventId));
  assert.deepEqual([one.state, two.state], ["closed", "closed"]);
  const [first, second] = [await one.enter(), await two.enter()];
  await first.fail();
  await second.fail();
  assert.equal(changes.length, 1);
  assert.deepEqual(two.record, one.record);
});

test("an operator's hold is stored apart, survives, names who and why, and ends with the cooldown beneath", async () => {
  const path = newStateFile();
  const time = clock();
  const breaker = breakerOn(openOn(path, time), { failureThreshold: 1 });
  await breaker.recordFailure();
  await breaker.isolate("maintenance", "ann@desk");
  const later = openOn(path, time);
  const other = breakerOn(later);
  await assert.rejects(other.enter(), /isolated by an operator: maintenance/);
  assert.deepEqual((await later.breakers())[0]?.record.hold, {
    reason: "maintenance",
    by: "ann@desk",
    atMs: time.now(),
  });
  await other.release("bob@desk");
  assert.equal(other.timeUntilRecoveryMs, 60_000);
});

test("a call looks at the state that others may have changed 100 ms after the last look, and not before", async (t) => {
  const path = newStateFile();
  const store = openOn(path);
  const breaker = breakerOn(store);
  let atMs = 1_000_000;
  t.mock.method(performance, "now", () => atMs);
  await breaker.execute(() => "fine");
  const db = new DatabaseSync(path);
  db.prepare("INSERT INTO holds VALUES (?, ?, 'maintenance', 'ann', 1)").run(KEY.name, KEY.host);
  atMs += 99;
  await breaker.execute(() => "not seen yet");
  atMs += 1;
  await assert.rejects(breaker.enter(), /isolated by an operator: maintenance/);
  db.exec("DELETE FROM holds");
  atMs += 99;
  await assert.rejects(breaker.enter(), /isolated/);
  atMs += 1;
  await breaker.execute(() => "seen");
  // An update is a look as well, and sees what is there at once.
  db.prepare("INSERT INTO holds VALUES (?, ?, 'again', 'ann', 1)").run(KEY.name, KEY.host);
  await breaker.recordFailure();
  assert.equal(breaker.state, "isolated");
  db.close();
});

test("every change is in the history, in its order, with who made it and why", async () => {
  const path = newStateFile();
  const store = openOn(path, { script: "status", run: "run-1", parentSpanId: "b7ad6b7169203331" });
  const span = { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "00f067aa0ba902b7" };
  const breaker = breakerOn(store, { failureThreshold: 1, newSpan: () => span });
  await breaker.recordFailure({ status: 502 });
  await breaker.isolate("look first", "ann");
  await breaker.release("ann");
  await breaker.reset("ann");
  const history = await store.history({});
  assert.deepEqual(
    history.map(({ from, to }) => `${from} ${to}`),
    ["closed open", "open isolated", "isolated open", "open closed"],
  );
  assert.deepEqual(
    history.map(({ generation }) => generation),
    [1, 2, 3, 4],
  );
  const [opened] = history;
  assert.deepEqual(
    [opened?.cause, opened?.script, opened?.run, opened?.traceId, opened?.spanId, opened?.parentSpanId],
    ["HTTP 502", "status", "run-1", span.traceId, span.spanId, "b7ad6b7169203331"],
  );
  assert.equal(history[1]?.operator?.reason, "look first");
  assert.deepEqual(await store.history({ name: "nope" }), []);
  assert.deepEqual(await store.history({ sinceMs: Date.now() + 60_000 }), []);
});

test("a state change is stored with the state or neither of them is", async () => {
  for (const [table, event] of [
    ["transitions", "INSERT"],
    ["breakers", "UPDATE"],
  ]) {
    const path = newStateFile();
    const store = openOn(path);
    const breaker = breakerOn(store, { failureThreshold: 2 });
    await breaker.recordFailure();
    const db = new DatabaseSync(path);
    const row = db.prepare("SELECT * FROM breakers");
    const before = row.all();
    assert.equal(before.length, 1);
    db.exec(`CREATE TRIGGER refuse BEFORE ${event} ON ${table} BEGIN SELECT RAISE(ABORT, 'refused'); END`);
    await breaker.recordFailure();
    assert.deepEqual(row.all(), before, table);
    assert.deepEqual(db.prepare("SELECT * FROM transitions").all(), [], table);
    assert.equal(breaker.state, "open", "in its own memory");
    assert.deepEqual(
      store.problems.map(({ kind }) => kind),
      ["unreachable"],
    );
    assert.match(store.problems[0]?.message ?? "", /refused/);
    db.close();
  }
});

test("a row that is no state starts closed, is kept aside, and is said; a hold over it stays", async () => {
  for (const bad of [
    "{}",
    "no json",
    '{"version":1,"generation":"many"}',
    '{"version":1,"generation":1,"lastOpenedAtMs":null,"automatic":{"state":"open"}}',
  ]) {
    const path = newStateFile();
    const before = breakerOn(openOn(path), { failureThreshold: 1 });
    await before.recordFailure();
    await before.isolate("held", "ann");
    const db = new DatabaseSync(path);
    db.prepare("UPDATE breakers SET row = ?").run(bad);
    const store = openOn(path);
    const breaker = breakerOn(store);
    assert.equal(breaker.state, "isolated", bad);
    await breaker.release();
    assert.equal(breaker.state, "closed", bad);
    assert.deepEqual(
      store.problems.map(({ kind }) => kind),
      ["corrupt"],
    );
    assert.match(store.problems[0]?.message ?? "", /corrupt.*row 1 of table quarantine/);
    assert.equal((db.prepare("SELECT row FROM quarantine").get() as { row: string }).row, bad);
    db.close();
  }
});

test("a file that is no database is moved aside, and said", async () => {
  const path = newStateFile();
  writeFileSync(path, "this is no database, and long enough to be taken for one by its size".repeat(100));
  const store = openOn(path);
  const breaker = breakerOn(store, { failureThreshold: 1 });
  await breaker.recordFailure();
  assert.equal(breaker.state, "open");
  const copy = readdirSync(dirname(path)).find((name) => name.includes(".corrupt-"));
  assert.ok(copy);
  assert.match(readFileSync(`${dirname(path)}/${copy}`, "utf8"), /^this is no database/);
  assert.equal(store.problems[0]?.kind, "corrupt");
  assert.ok(store.problems[0]?.message.includes(copy));
});

test("a file that is damaged inside is moved aside when that is found, and the next run begins anew", async () => {
  const path = newStateFile();
  const whole = openOn(path);
  for (let change = 0; change < 60; change++)
    await breakerOn(whole, { failureThreshold: 1 })
      .isolate(`hold ${change}`.repeat(40))
      .then(() => breakerOn(whole).release());
  await whole.close();
  const bytes = readFileSync(path);
  // Everything behind the first page, which has the header and the schema.
  bytes.fill(0xa5, 4_096);
  writeFileSync(path, bytes);
  const store = openOn(path);
  const breaker = breakerOn(store, { failureThreshold: 1 });
  await breaker.recordFailure();
  assert.equal(breaker.state, "open");
  assert.deepEqual(
    store.problems.map(({ kind }) => kind),
    ["corrupt"],
  );
  const copy = readdirSync(dirname(path)).find((name) => name.includes(".corrupt-"));
  assert.ok(copy && store.problems[0]?.message.includes(copy), store.problems[0]?.message);
  const next = openOn(path);
  assert.equal(breakerOn(next).state, "closed");
  assert.deepEqual(next.problems, []);
});

async function problemsOfOpening(path: string): Promise<StoreProblem[]> {
  const problems: StoreProblem[] = [];
  const context = {
    script: "t",
    run: "r",
    parentSpanId: null,
    signals: [],
    onProblem: (one: StoreProblem) => problems.push(one),
  };
  assert.equal(await openStore({ kind: "sqlite", path }, context), null);
  return problems;
}

/** Everything that is in a file: its version, and the rows of all its tables. */
function contentOf(path: string) {
  const db = new DatabaseSync(path);
  const tables = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
  const rows = tables.map(({ name, sql }) => ({ sql, rows: db.prepare(`SELECT * FROM "${name}"`).all() }));
  const version = db.prepare("PRAGMA user_version").get();
  db.close();
  return { version: version?.user_version, rows };
}

test("a file of a newer schema is left as it is, with all that is in it, and the run goes on without it", async () => {
  const path = newStateFile();
  const store = openOn(path);
  const breaker = breakerOn(store, { failureThreshold: 1 });
  await breaker.recordFailure();
  await breaker.isolate("maintenance", "ann");
  await store.budget("api.example", "a", 5).reserve();
  await store.close();
  const db = new DatabaseSync(path);
  db.exec("PRAGMA user_version = 99");
  db.close();
  const before = contentOf(path);
  assert.deepEqual(
    before.rows.filter(({ rows }) => rows.length > 0).map(({ sql }) => /TABLE (\w+)/.exec(String(sql))?.[1]),
    ["breakers", "budget_starts", "budgets", "holds", "transitions"],
  );
  const problems = await problemsOfOpening(path);
  assert.deepEqual(
    problems.map(({ kind }) => kind),
    ["newer"],
  );
  assert.match(problems[0]?.message ?? "", /schema 99.*upgrade/);
  const after = contentOf(path);
  assert.equal(after.version, 99);
  assert.deepEqual(after, before);
  assert.deepEqual(readdirSync(dirname(path)), [basename(path)]);
});

test("folders that are not there yet are made", async () => {
  const path = join(dirname(newStateFile()), "a/b/c/state.sqlite");
  await openOn(path).close();
  assert.ok(existsSync(path));
});

for (const place of [import.meta.filename, "/proc/breakwater"]) {
  test(`a place that cannot be written to is said once, and the run goes on without it: ${basename(place)}`, async () => {
    const problems = await problemsOfOpening(`${place}/state.sqlite`);
    assert.deepEqual(
      problems.map(({ kind }) => kind),
      ["unreachable"],
    );
  });
}

test("a store that fails in mid-run is said once; breaker and budget go on from what was known", async () => {
  const path = newStateFile();
  const store = openOn(path);
  const breaker = breakerOn(store, { failureThreshold: 2 });
  const budget = store.budget("api.example", "a", 1);
  await breaker.recordFailure();
  await store.close();
  await breaker.recordFailure();
  assert.equal(breaker.state, "open");
  assert.equal((await budget.reserve()).granted, true);
  assert.deepEqual(
    store.problems.map(({ kind }) => kind),
    ["unreachable"],
  );
});

test("a file that another program keeps locked is said once, and the run goes on", async () => {
  const path = newStateFile();
  const store = openOn(path);
  const breaker = breakerOn(store, { failureThreshold: 2 });
  const db = new DatabaseSync(path);
  db.exec("BEGIN EXCLUSIVE");
  await breaker.recordFailure();
  db.exec("ROLLBACK");
  db.close();
  assert.deepEqual(
    store.problems.map(({ kind }) => kind),
    ["unreachable"],
  );
  assert.match(store.problems[0]?.message ?? "", /locked/);
  await breaker.recordFailure();
  assert.equal(breaker.state, "open");
});

test("a budget is shared: two stores together never start more than the limit within 60 s", async () => {
  const path = newStateFile();
  const time = clock();
  const budgets = [openOn(path, time), openOn(path, time)].map((store) => store.budget("api.example", "account", 10));
  const starts: number[] = [];
  for (let call = 0; call < 35; call++) {
    const place = await budgets[call % 2]?.reserve();
    if (place?.granted) starts.push(time.now() + place.waitMs);
    time.move(call % 7 === 0 ? 9_000 : 100);
  }
  starts.sort((a, b) => a - b);
  assert.ok(starts.length > 15);
  for (const [at, start] of starts.entries()) {
    const within = starts.filter((other) => other >= start && other < start + 60_000).length;
    assert.ok(within <= 10, `${within} from ${at}`);
  }
});

test("a place that is given back is free again, and a pause is every run's", async () => {
  const path = newStateFile();
  const time = clock();
  const [one, two] = [openOn(path, time), openOn(path, time)].map((store) => store.budget("api.example", "account", 1));
  const place = await one?.reserve();
  assert.equal(await two?.remaining(), 0);
  if (place?.granted) await place.giveBack();
  assert.equal(await two?.remaining(), 1);
  await one?.pause(30_000);
  assert.equal(await two?.remaining(), 0);
  assert.deepEqual((await two?.reserve())?.waitMs, 30_000);
  await one?.pause(90_000);
  assert.equal((await two?.reserve())?.granted, false);
});

test("budgets of other accounts and hosts are their own", async () => {
  const path = newStateFile();
  const store = openOn(path);
  await store.budget("api.example", "a", 1).reserve();
  assert.equal(await store.budget("api.example", "b", 1).remaining(), 1);
  assert.equal(await store.budget("data.example", "a", 1).remaining(), 1);
});

test("the outbox gives a change to one run at a time, and to another when the lease is over", async () => {
  const path = newStateFile();
  const time = clock();
  const maker = openOn(path, time);
  await breakerOn(maker, { failureThreshold: 1 }).recordFailure();
  const [one, two] = [openOn(path, time), openOn(path, time)];
  assert.equal((await one.outbox.claim(10)).length, 0, "its maker still has it");
  time.move(30_001);
  const claimed = await one.outbox.claim(10);
  assert.equal(claimed.length, 1);
  assert.equal((await two.outbox.claim(10)).length, 0);
  const ids = claimed.map(({ eventId }) => eventId);
  await one.outbox.acknowledge("traces", ids);
  await one.outbox.acknowledge("logs", ids);
  assert.equal(await two.outbox.size(), 1);
  time.move(30_001);
  assert.deepEqual((await two.outbox.claim(10))[0]?.undelivered, ["metrics"]);
  await two.outbox.acknowledge("metrics", ids);
  assert.equal(await two.outbox.size(), 0);
  assert.equal((await two.history({})).length, 1);
});

test("the outbox gives up what is too old, and says how many", async () => {
  const path = newStateFile();
  const time = clock();
  const store = openOn(path, time);
  await breakerOn(store, { failureThreshold: 1 }).recordFailure();
  time.move(OUTBOX_LIMITS.ageMs);
  assert.equal(await store.outbox.prune(), 0);
  time.move(1);
  assert.equal(await store.outbox.prune(), 1);
  assert.equal(await store.outbox.size(), 0);
});

test("nothing waits in the outbox for signals that are switched off", async () => {
  const store = openOn(newStateFile(), { signals: [] });
  await breakerOn(store, { failureThreshold: 1 }).recordFailure();
  assert.equal(await store.outbox.size(), 0);
  assert.equal((await store.history({})).length, 1);
});

test("a clock that is set back holds nothing for ever: neither the circuit nor a claim nor the budget", async () => {
  const path = newStateFile();
  const time = clock();
  const store = openOn(path, time);
  const breaker = breakerOn(store, { failureThreshold: 1 });
  await breaker.recordFailure();
  const budget = store.budget("api.example", "a", 1);
  await budget.reserve();
  time.move(-86_400_000);
  const later = openOn(path, time);
  const other = breakerOn(later, { failureThreshold: 1 });
  await assert.rejects(other.enter());
  time.move(60_000);
  assert.equal(other.state, "half_open");
  assert.equal((await later.outbox.claim(10)).length, 1);
  assert.equal((await later.budget("api.example", "a", 1).reserve()).granted, true);
});

test("a file that lacks a table is as good as damaged: it is moved aside, and nothing crashes", async () => {
  const path = newStateFile();
  await openOn(path).close();
  const db = new DatabaseSync(path);
  db.exec("DROP TABLE holds");
  db.close();
  const store = openOn(path);
  await breakerOn(store, { failureThreshold: 1 }).recordFailure();
  assert.deepEqual(
    store.problems.map(({ kind }) => kind),
    ["corrupt"],
  );
  assert.equal((await store.breakers()).length, 1);
});

test("a hold that cannot be read holds, leaves the breaker's row alone, and can be released", async () => {
  const path = newStateFile();
  const first = breakerOn(openOn(path));
  await first.recordFailure();
  const db = new DatabaseSync(path);
  db.prepare("INSERT INTO holds VALUES (?, ?, 'maintenance', 'me', 'abc')").run(KEY.name, KEY.host);
  db.close();
  const store = openOn(path);
  const breaker = breakerOn(store);
  await assert.rejects(breaker.enter(), /isolated by an operator: a hold that cannot be read/);
  assert.equal((await store.breakers())[0]?.record.hold?.by, "unknown");
  await breaker.release();
  assert.equal(breaker.state, "closed");
  assert.equal((breaker.record.automatic as { failures: number }).failures, 1);
  assert.deepEqual(store.problems, []);
});

test("a row of a newer version is left as it is, and the run goes on without it", async () => {
  const path = newStateFile();
  await breakerOn(openOn(path), { failureThreshold: 1 }).recordFailure();
  const db = new DatabaseSync(path);
  const newer = '{"version":2,"generation":7}';
  db.prepare("UPDATE breakers SET row = ?").run(newer);
  const store = openOn(path);
  const breaker = breakerOn(store, { failureThreshold: 1 });
  assert.equal(breaker.state, "closed");
  await breaker.recordFailure();
  assert.equal(breaker.state, "open");
  assert.equal((db.prepare("SELECT row FROM breakers").get() as { row: string }).row, newer);
  assert.match(store.problems[0]?.message ?? "", /version 2.*upgrade/);
  db.close();
});

test("a store that can be used again is: a service hears of an operator, and its budget is shared again", async (t) => {
  const path = newStateFile();
  const store = openOn(path);
  const breaker = breakerOn(store);
  const budget = store.budget("api.example", "a", 1);
  await breaker.recordFailure();
  const db = new DatabaseSync(path);
  db.exec("BEGIN EXCLUSIVE");
  await breaker.recordFailure();
  await budget.reserve();
  db.exec("ROLLBACK");
  db.close();
  assert.equal(store.problems.length, 1);
  const other = openOn(path);
  await breakerOn(other).isolate("stop", "ann");
  await other.budget("api.example", "a", 1).reserve();
  assert.equal(breaker.state, "closed", "it is left alone for a while");
  const later = performance.now() + 5_000;
  t.mock.method(performance, "now", () => later);
  assert.equal(breaker.state, "isolated");
  assert.equal(await budget.remaining(), 0);
  assert.equal(store.problems.length, 1);
});

test("a pause that was noted by a clock far ahead does not hold the account until then", async () => {
  const path = newStateFile();
  const time = clock();
  const budget = openOn(path, time).budget("api.example", "a", 5);
  time.move(86_400_000);
  await budget.pause(30_000);
  time.move(-86_400_000);
  assert.equal(await budget.pausedMs(), 0);
  assert.equal((await budget.reserve()).waitMs, 0);
});

test("numbers of a budget that cannot be are counted anew", async () => {
  const path = newStateFile();
  const store = openOn(path);
  const budget = store.budget("api.example", "a", 2);
  await budget.reserve();
  const db = new DatabaseSync(path);
  for (const change of ["paused_until_ms = 'abc'", "starts = 'x'", "starts = 1000000"]) {
    db.exec(`UPDATE budgets SET ${change}`);
    assert.equal((await openOn(path).budget("api.example", "b", 2).reserve()).granted, true);
    const place = await openOn(path).budget("api.example", "a", 2).reserve();
    assert.equal(place.waitMs, 0, change);
    if (place.granted) await place.giveBack();
    assert.equal(await budget.remaining(), 1, change);
  }
  assert.deepEqual(store.problems, []);
  db.close();
});

test("times in the future are put to now, and stored so: neither the last opening nor a failure outlives its clock", async () => {
  const path = newStateFile();
  const time = clock();
  const breaker = breakerOn(openOn(path, time), { failureThreshold: 1 });
  await breaker.recordFailure();
  assert.equal(breaker.record.lastOpenedAtMs, time.now());
  time.move(-86_400_000);
  const wrongMs = time.now();
  await assert.rejects(breaker.enter(), CircuitBreakerOpenError);
  time.move(1_000);
  await breaker.reset();
  const later = breakerOn(openOn(path, time), { failureThreshold: 2, failureWindowMs: 1_000 });
  assert.equal(later.record.automatic.state, "closed");
  assert.equal(later.record.lastOpenedAtMs, wrongMs);

  const late = await later.enter();
  await later.recordFailure();
  await later.reset();
  time.move(86_400_000);
  await later.recordFailure();
  time.move(-86_400_000);
  // Too late to count, and yet it is what brings the record into the time of this clock.
  await late.fail();
  assert.deepEqual(later.record.automatic, { state: "closed", failures: 1, lastFailureAtMs: time.now() });
  time.move(1_001);
  await later.recordFailure();
  assert.deepEqual(later.record.automatic, { state: "closed", failures: 1, lastFailureAtMs: time.now() });
});

test("a state change that cannot be read is said, not sent, and keeps neither history nor outbox from working", async () => {
  const path = newStateFile();
  const time = clock();
  const maker = breakerOn(openOn(path, time), { failureThreshold: 1 });
  await maker.recordFailure();
  await maker.reset();
  const db = new DatabaseSync(path);
  db.exec(
    "UPDATE transitions SET entry = substr(entry, 1, 20) WHERE event_id = (SELECT min(event_id) FROM transitions)",
  );
  db.close();
  time.move(30_001);
  const store = openOn(path, time);
  assert.equal((await store.history({})).length, 1);
  const claimed = await store.outbox.claim(10);
  assert.equal(claimed.length, 1);
  assert.deepEqual(
    store.problems.map(({ kind }) => kind),
    ["corrupt"],
  );
  for (const signal of ["traces", "metrics", "logs"] as const)
    await store.outbox.acknowledge(
      signal,
      claimed.map(({ eventId }) => eventId),
    );
  assert.equal(await store.outbox.size(), 0);
});
