import assert from "node:assert/strict";
import { test } from "node:test";
import { type Simulator, type SimulatorOptions, startSimulator } from "../../src/local/simulator.ts";

/** A Wednesday, 10:00 in New York. */
const OPEN_MS = Date.parse("2026-11-18T15:00:00Z");

function start(options: SimulatorOptions = {}): Promise<Simulator> {
  return startSimulator({ orders: [], now: () => OPEN_MS, ...options });
}

function get(sim: Simulator, path: string, init: RequestInit = {}): Promise<Response> {
  const base = path.startsWith("/v2/stocks") ? sim.dataUrl : sim.tradingUrl;
  const headers = { "APCA-API-KEY-ID": sim.keyId, "APCA-API-SECRET-KEY": sim.secretKey };
  return fetch(base + path, { redirect: "manual", headers, ...init });
}

test("the account has numbers as strings and no pattern day trader fields", async () => {
  await using sim = await start({ account: { cash: "12.5" } });
  const account = (await (await get(sim, "/v2/account")).json()) as Record<string, unknown>;
  assert.equal(account.cash, "12.5");
  assert.equal(typeof account.buying_power, "string");
  assert.equal(account.trading_blocked, false);
  assert.equal("pattern_day_trader" in account, false);
});

test("every answer has a request id, a rate limit and the simulator's own date", async () => {
  await using sim = await start();
  const responses = [await get(sim, "/v2/account"), await get(sim, "/v2/nothing"), await fetch(sim.tradingUrl)];
  assert.deepEqual(
    responses.map(({ status }) => status),
    [200, 404, 401],
  );
  for (const { headers } of responses) {
    assert.match(headers.get("x-request-id") ?? "", /^[0-9a-f]{32}$/);
    assert.equal(headers.get("x-ratelimit-limit"), "200");
    assert.equal(headers.get("date"), "Wed, 18 Nov 2026 15:00:00 GMT");
  }
  assert.equal(new Set(responses.map(({ headers }) => headers.get("x-request-id"))).size, 3);
});

test("wrong credentials are 401 on the trading host and 403 on the data host, and are never logged", async () => {
  await using sim = await start();
  const headers = { "APCA-API-KEY-ID": "wrong", "APCA-API-SECRET-KEY": "also-wrong" };
  const trading = await get(sim, "/v2/account", { headers });
  assert.equal(trading.status, 401);
  assert.deepEqual(await trading.json(), { code: 40110000, message: "request is not authorized" });
  const data = await get(sim, "/v2/stocks/AAPL/bars?timeframe=1Day", { headers: {} });
  assert.equal(data.status, 403);
  assert.deepEqual(await data.json(), { message: "forbidden." });
  assert.deepEqual(
    sim.requests.map(({ credentials }) => credentials),
    ["invalid", "missing"],
  );
  assert.equal(JSON.stringify(sim.requests).includes("also-wrong"), false);
});

test("the limit is enforced within 60 s and is over at its reset", async () => {
  let nowMs = OPEN_MS;
  await using sim = await start({ requestsPerMinute: 2, now: () => nowMs });
  const first = await get(sim, "/v2/account");
  assert.equal(first.headers.get("x-ratelimit-remaining"), "1");
  await get(sim, "/v2/account");
  const refused = await get(sim, "/v2/account");
  assert.equal(refused.status, 429);
  assert.equal(((await refused.json()) as { code: number }).code, 42910000);
  assert.equal((await get(sim, "/v2/stocks/AAPL/bars?timeframe=1Day")).status, 200);
  nowMs += 59_999;
  assert.equal((await get(sim, "/v2/account")).status, 429);
  nowMs = Number(refused.headers.get("x-ratelimit-reset")) * 1000;
  assert.equal((await get(sim, "/v2/account")).status, 200);
});

test("the clock is open on a weekday morning in New York, with the offset of the season", async () => {
  let nowMs = OPEN_MS;
  await using sim = await start({ now: () => nowMs });
  const clock = async () => (await get(sim, "/v2/clock")).json() as Promise<Record<string, unknown>>;
  assert.deepEqual(await clock(), {
    timestamp: "2026-11-18T10:00:00.000000123-05:00",
    is_open: true,
    next_open: "2026-11-19T09:30:00-05:00",
    next_close: "2026-11-18T16:00:00-05:00",
  });
  nowMs = Date.parse("2026-07-11T15:00:00Z"); // A Saturday in summer.
  const weekend = await clock();
  assert.equal(weekend.is_open, false);
  assert.equal(weekend.next_open, "2026-07-13T09:30:00-04:00");
});

test("the calendar has the trading days from start to end, both included", async () => {
  await using sim = await start();
  const days = (await (await get(sim, "/v2/calendar?start=2026-12-24&end=2026-12-28")).json()) as { date: string }[];
  assert.deepEqual(
    days.map(({ date }) => date),
    ["2026-12-24", "2026-12-28"],
  );
  assert.equal((await get(sim, "/v2/calendar?start=soon")).status, 422);
});

test("bars come in pages that join without a gap or a double", async () => {
  await using sim = await start();
  const query = "/v2/stocks/AAPL/bars?timeframe=30Min&start=2026-11-16&end=2026-11-17T23:00:00Z";
  type Page = { bars: { t: string }[]; next_page_token: string | null };
  const page = async (rest: string) => (await (await get(sim, query + rest)).json()) as Page;
  const whole = await page("");
  assert.equal(whole.bars.length, 26);
  assert.equal(whole.next_page_token, null);
  const joined: unknown[] = [];
  let token: string | null = "";
  for (let count = 0; token !== null && count < 9; count += 1) {
    const part: Page = await page(`&limit=7&page_token=${encodeURIComponent(token)}`);
    joined.push(...part.bars);
    token = part.next_page_token;
  }
  assert.deepEqual(joined, whole.bars);
  const backwards = await page("&sort=desc");
  assert.deepEqual(backwards.bars, whole.bars.toReversed());
  const other = await get(sim, `/v2/stocks/MSFT/bars?timeframe=30Min&page_token=${btoa("AAPL|30Min|asc|2026-11-16")}`);
  assert.equal(other.status, 400);
});

test("two simulators of the same time answer the same", async () => {
  await using one = await start({ orders: 5 });
  await using two = await start({ orders: 5 });
  for (const path of ["/v2/account", "/v2/positions", "/v2/orders?status=all", "/v2/stocks/F/bars?timeframe=1Hour"]) {
    const [a, b] = [await get(one, path), await get(two, path)];
    assert.equal(a.headers.get("x-request-id"), b.headers.get("x-request-id"));
    assert.equal(await a.text(), await b.text());
  }
});

test("the log keeps the latest requests and counts them all", async () => {
  await using sim = await start({ logSize: 2 });
  const waiting = sim.waitForRequest(({ query }) => query.symbols === "F");
  for (const symbol of ["A", "B", "F"]) await get(sim, `/v2/orders?symbols=${symbol}`, { method: "GET" });
  assert.equal((await waiting).path, "/v2/orders");
  assert.deepEqual(
    sim.requests.map(({ query, status }) => [query.symbols, status]),
    [
      ["B", 200],
      ["F", 200],
    ],
  );
  assert.deepEqual(sim.counts, { trading: 3, data: 0 });
  sim.clearRequests();
  assert.equal(sim.requests.length, 0);
  assert.deepEqual(sim.counts, { trading: 0, data: 0 });
});

test("options that make no sense are named", async () => {
  await assert.rejects(startSimulator({ requestsPerMinute: 0 }), /requestsPerMinute .* at least 1, not 0/);
  await assert.rejects(startSimulator({ cancelDelayMs: -1 }), /cancelDelayMs/);
  await assert.rejects(startSimulator({ port: 70_000 }), /port .* not 70000/);
});
