import assert from "node:assert/strict";
import { test } from "node:test";
import { AlpacaThrottledError, CircuitBreakerOpenError } from "../../src/errors.ts";
import { seededRandom } from "../../src/local/seeded-random.ts";
import { MemoryBudget, WINDOW_MS } from "../../src/store/budget.ts";
import { json, ManualTime, rejection, START_MS, setUp, startScripted, turn, until } from "./support.ts";

/** The most starts that lie within any 60 s, one end excluded. */
function mostInAMinute(starts: readonly number[]): number {
  const sorted = starts.toSorted((a, b) => a - b);
  let most = 0;
  let first = 0;
  for (const [at, startMs] of sorted.entries()) {
    while (startMs - sorted[first]! >= WINDOW_MS) first++;
    most = Math.max(most, at - first + 1);
  }
  return most;
}

function granted(budget: MemoryBudget) {
  const place = budget.reserve();
  assert.ok(place.granted, "no place");
  return place;
}

test("whatever the pattern of arrivals, no 60 s see more starts than the limit, and no wait is longer than 60 s", () => {
  for (let round = 0; round < 60; round++) {
    const random = seededRandom(`arrivals ${round}`);
    const limit = 1 + Math.floor(random() * 40);
    const spanMs = 1_000 + random() * 400_000;
    const isBursty = random() < 0.5;
    let clockMs = START_MS;
    const budget = new MemoryBudget(limit, () => clockMs);
    const arrivals = Array.from({ length: 500 }, () => random() * spanMs)
      .map((atMs) => (isBursty ? Math.floor(atMs / 20_000) * 20_000 : Math.round(atMs)))
      .sort((a, b) => a - b);
    const starts: number[] = [];
    let refused = 0;
    for (const atMs of arrivals) {
      clockMs = START_MS + atMs;
      const place = budget.reserve();
      if (!place.granted) {
        refused++;
        assert.ok(place.waitMs > WINDOW_MS);
      } else if (random() < 0.1) {
        place.giveBack();
      } else {
        assert.ok(place.waitMs >= 0 && place.waitMs <= WINDOW_MS);
        starts.push(atMs + place.waitMs);
      }
    }
    const most = mostInAMinute(starts);
    assert.ok(most <= limit, `round ${round}: ${most} starts for a limit of ${limit}`);
    if (refused > 0) assert.equal(most, limit, `round ${round}: refused although there was room`);
  }
});

test("the limit holds through steps of the clock to the past, and no wait grows because of them", () => {
  for (let round = 0; round < 60; round++) {
    const random = seededRandom(`steps ${round}`);
    const limit = 1 + Math.floor(random() * 10);
    let realMs = 0;
    let offsetMs = START_MS;
    const budget = new MemoryBudget(limit, () => realMs + offsetMs);
    const starts: number[] = [];
    for (let arrival = 0; arrival < 200; arrival++) {
      realMs += Math.round(random() * 10_000);
      if (random() < 0.05) offsetMs -= Math.round(random() ** 4 * 7_200_000);
      const place = budget.reserve();
      if (place.granted) starts.push(realMs + place.waitMs);
      else assert.ok(place.waitMs <= 2 * WINDOW_MS + 10_000, `round ${round}: ${place.waitMs}`);
    }
    const most = mostInAMinute(starts);
    assert.ok(most <= limit, `round ${round}: ${most} starts for a limit of ${limit}`);
  }
});

test("500 callers at once through the fetch never start more requests in 60 s than the limit", async () => {
  for (const seed of ["one", "two"]) {
    const random = seededRandom(seed);
    const time = new ManualTime();
    await using server = await startScripted(json({}));
    const starts: number[] = [];
    const { alpacaFetch } = setUp(
      server,
      { ALPACA_REQUESTS_PER_MINUTE: "60" },
      {
        now: time.now,
        sleep: time.sleep,
        fetch: (input, init) => {
          starts.push(time.nowMs);
          return fetch(input, init);
        },
      },
    );
    let ended = 0;
    const count = { done: 0, throttled: 0 };
    const callers = Array.from({ length: 500 }, async () => {
      await time.sleep(Math.floor(random() * 5) * 20_000);
      try {
        await (await alpacaFetch(`${server.url}/v2/clock`)).json();
        count.done++;
      } catch (error) {
        assert.ok(error instanceof AlpacaThrottledError);
        count.throttled++;
      } finally {
        ended++;
      }
    });
    while (ended < callers.length) {
      await until(() => ended + time.sleeping === callers.length);
      if (time.sleeping > 0) await time.advanceTo(time.nextWakeMs);
    }
    await Promise.all(callers);
    assert.equal(count.done, starts.length);
    assert.equal(count.done, server.requests.length);
    assert.ok(count.done >= 120 && count.throttled > 0, JSON.stringify(count));
    assert.equal(mostInAMinute(starts), 60);
  }
});

test("a limit of one lets one request start every 60 s", () => {
  let nowMs = START_MS;
  const budget = new MemoryBudget(1, () => nowMs);
  assert.equal(granted(budget).waitMs, 0);
  assert.equal(granted(budget).waitMs, 60_000);
  assert.deepEqual({ ...budget.reserve(), why: "" }, { granted: false, waitMs: 120_000, why: "" });
  nowMs += 59_999;
  assert.equal(budget.reserve().granted, false);
  nowMs += 1;
  assert.equal(granted(budget).waitMs, 60_000);
});

test("a limit of 1e12 never makes anyone wait", () => {
  const budget = new MemoryBudget(1e12, () => START_MS);
  for (let call = 0; call < 5_000; call++) assert.equal(granted(budget).waitMs, 0);
  assert.equal(budget.remaining(), 1e12 - 5_000);
});

test("a budget that is used for days neither slows down nor forgets", () => {
  let nowMs = START_MS;
  const budget = new MemoryBudget(200, () => nowMs);
  for (let call = 0; call < 100_000; call++) {
    const place = granted(budget);
    nowMs += Math.max(place.waitMs, 100);
  }
  assert.equal(budget.remaining(), 0);
  nowMs += WINDOW_MS;
  assert.equal(budget.remaining(), 200);
});

test("a place that is given back is there for the next", () => {
  let nowMs = START_MS;
  const budget = new MemoryBudget(2, () => nowMs);
  const first = granted(budget);
  granted(budget);
  assert.equal(budget.remaining(), 0);
  first.giveBack();
  assert.equal(budget.remaining(), 1);
  assert.equal(granted(budget).waitMs, 0);
  const waiting = granted(budget);
  assert.equal(waiting.waitMs, 60_000);
  nowMs += 10;
  waiting.giveBack();
  assert.equal(granted(budget).waitMs, 59_990);
});

test("a clock that is set back keeps every wait as long as it was, a pause included", () => {
  let nowMs = START_MS;
  const budget = new MemoryBudget(1, () => nowMs);
  granted(budget);
  nowMs -= 3_600_000;
  assert.equal(budget.remaining(), 0);
  const place = granted(budget);
  assert.equal(place.waitMs, 60_000);
  place.giveBack();
  budget.pause(30_000);
  nowMs -= 3_600_000;
  assert.equal(budget.pausedMs(), 30_000);
  nowMs += 30_000;
  assert.equal(budget.pausedMs(), 0);
  assert.equal(granted(budget).waitMs, 30_000);
});

test("a pause only ever grows, and nothing remains while it lasts", () => {
  let nowMs = START_MS;
  const budget = new MemoryBudget(5, () => nowMs);
  budget.pause(20_000);
  budget.pause(10_000);
  assert.equal(budget.pausedMs(), 20_000);
  assert.equal(budget.remaining(), 0);
  assert.equal(granted(budget).waitMs, 20_000);
  nowMs += 20_000;
  assert.equal(budget.remaining(), 4);
  assert.equal(granted(budget).waitMs, 0);
  budget.pause(60_001);
  const refused = budget.reserve();
  assert.ok(!refused.granted);
  assert.equal(refused.why, "Alpaca throttles this account");
});

test("a wait of more than 60 s fails at once, and the error says what is used up", async () => {
  await using server = await startScripted(json({}));
  const time = new ManualTime();
  const { alpacaFetch } = setUp(server, { ALPACA_REQUESTS_PER_MINUTE: "1" }, { now: time.now, sleep: time.sleep });
  await alpacaFetch(`${server.url}/v2/clock`);
  const waiting = alpacaFetch(`${server.url}/v2/clock`);
  await time.untilSleeping(1);
  const error = await rejection(alpacaFetch(`${server.url}/v2/orders/8d2f`));
  assert.ok(error instanceof AlpacaThrottledError);
  assert.equal(error.exitCode, 75);
  assert.equal(error.retryAfterMs, 120_000);
  assert.equal(
    error.message,
    "Cannot call GET /v2/orders/{order_id}: the budget of 1 requests a minute is used up, next place in 120000 ms, waiting at most 60000 ms",
  );
  assert.equal(time.sleeping, 1);
  await time.advanceTo(START_MS + 60_000);
  assert.equal((await waiting).status, 200);
});

test("a circuit that opens while a place is waited for rejects the waiting call, and its place is given back", async () => {
  await using server = await startScripted(json({}, 503));
  const time = new ManualTime();
  const { alpacaFetch, hosts, outcomes } = setUp(
    server,
    { ALPACA_REQUESTS_PER_MINUTE: "1", ALPACA_BREAKER_FAILURE_THRESHOLD: "1", ALPACA_BREAKER_RECOVERY_SECONDS: "90" },
    { now: time.now, sleep: time.sleep },
  );
  const first = alpacaFetch(`${server.url}/v2/clock`);
  const second = rejection(alpacaFetch(`${server.url}/v2/clock`));
  await first;
  await time.untilSleeping(1);
  await time.advanceTo(START_MS + 60_000);
  assert.ok((await second) instanceof CircuitBreakerOpenError);
  assert.equal(hosts.trading.budget.remaining(), 1);
  assert.equal(server.requests.length, 1);
  assert.deepEqual(outcomes, ["failure", "rejected"]);
});

test("a rejected call takes no place", async () => {
  await using server = await startScripted(json({}, 503));
  const { alpacaFetch, hosts } = setUp(server, { ALPACA_BREAKER_FAILURE_THRESHOLD: "1" });
  await alpacaFetch(`${server.url}/v2/clock`);
  for (let call = 0; call < 10; call++) await rejection(alpacaFetch(`${server.url}/v2/clock`));
  assert.equal(hosts.trading.budget.remaining(), 199);
});

test("a 429 also holds back the calls that were waiting for their place already", async () => {
  const time = new ManualTime();
  const held: (() => void)[] = [];
  await using server = await startScripted(
    json({}),
    (response, request) => held.push(() => json({}, 429, { "Retry-After": "15" })(response, request)),
    json({}),
  );
  const { alpacaFetch, hosts } = setUp(
    server,
    { ALPACA_REQUESTS_PER_MINUTE: "2" },
    { now: time.now, sleep: time.sleep },
  );
  await alpacaFetch(`${server.url}/v2/clock`);
  const slow = alpacaFetch(`${server.url}/v2/clock`);
  await until(() => held.length === 1);
  await time.advanceTo(START_MS + 10_000);
  const waiting = alpacaFetch(`${server.url}/v2/clock`);
  await time.untilSleeping(1);
  await time.advanceTo(START_MS + 50_000);
  held[0]?.();
  assert.equal((await slow).status, 429);
  await time.advanceTo(START_MS + 60_000);
  await time.untilSleeping(1);
  assert.equal(time.nextWakeMs, START_MS + 65_000);
  assert.equal(server.requests.length, 2);
  await time.advanceTo(START_MS + 65_000);
  assert.equal((await waiting).status, 200);
  assert.equal(hosts.trading.budget.remaining(), 1);
});

test("a pause that would make a waiting call wait for more than 60 s in all fails it", async () => {
  await using server = await startScripted(json({}));
  const time = new ManualTime();
  const { alpacaFetch, hosts } = setUp(
    server,
    { ALPACA_REQUESTS_PER_MINUTE: "1" },
    { now: time.now, sleep: time.sleep },
  );
  const { budget } = hosts.trading;
  await alpacaFetch(`${server.url}/v2/clock`);
  const waiting = rejection(alpacaFetch(`${server.url}/v2/clock`));
  await time.untilSleeping(1);
  await time.advanceTo(START_MS + 55_000);
  budget.pause(20_000);
  await time.advanceTo(START_MS + 60_000);
  const error = await waiting;
  assert.ok(error instanceof AlpacaThrottledError);
  assert.equal(error.retryAfterMs, 15_000);
  await turn();
  assert.equal(server.requests.length, 1);
  await time.advanceTo(START_MS + 75_000);
  assert.equal(budget.remaining(), 1);
});
