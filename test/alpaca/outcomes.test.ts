import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import { classifyResponse, isJsonDue, retryAfterMs, throttleMs } from "../../src/alpaca/outcome.ts";
import {
  AlpacaNetworkError,
  AlpacaThrottledError,
  AlpacaTimeoutError,
  CircuitBreakerOpenError,
} from "../../src/errors.ts";
import type { Fault } from "../../src/local/faults.ts";
import { startSimulator } from "../../src/local/simulator.ts";
import { deadUrl, FakeTime, failuresOf, json, rejection, START_MS, setUp, startScripted } from "./support.ts";

type Meaning = "success" | "failure" | "ignored";

interface Row {
  readonly what: string;
  readonly fault?: Fault;
  readonly meaning: Meaning;
  readonly method?: string;
  readonly path?: string;
  /** Status of the answer that is handed back, or the error that is thrown in its place. */
  readonly ends: number | (new (...args: never[]) => Error);
}

const status = (code: number, meaning: Meaning): Row => ({
  what: `status ${code}`,
  fault: { kind: "status", status: code },
  meaning,
  ends: code,
});

const ROWS: readonly Row[] = [
  { what: "a 200 with JSON", meaning: "success", ends: 200 },
  { what: "a 207 with a result for each item", meaning: "success", ends: 207, method: "DELETE", path: "/v2/orders" },
  ...([301, 302, 303, 307, 308] as const).map(
    (code): Row => ({
      what: `status ${code}`,
      fault: { kind: "redirect", to: "http://127.0.0.1:9", status: code },
      meaning: "success",
      ends: code,
    }),
  ),
  ...[400, 401, 403, 404, 405, 409, 418, 422, 451].map((code) => status(code, "success")),
  ...[408, 500, 501, 502, 503, 504, 520, 599].map((code) => status(code, "failure")),
  { what: "status 429", fault: { kind: "throttle" }, meaning: "ignored", ends: 429 },
  { what: "a connection that is cut", fault: { kind: "reset" }, meaning: "failure", ends: AlpacaNetworkError },
  { what: "no answer in time", fault: { kind: "hang" }, meaning: "failure", ends: AlpacaTimeoutError },
  {
    what: "a body shorter than its Content-Length",
    fault: { kind: "truncated" },
    meaning: "failure",
    ends: AlpacaNetworkError,
  },
  {
    what: "a chunked body without its end",
    fault: { kind: "truncated", chunked: true },
    meaning: "failure",
    ends: AlpacaNetworkError,
  },
  { what: "a 200 with HTML", fault: { kind: "garbage", format: "html" }, meaning: "failure", ends: 200 },
  { what: "a 200 with broken JSON", fault: { kind: "garbage", format: "json" }, meaning: "failure", ends: 200 },
];

for (const { what, fault, meaning, method = "GET", path = "/v2/clock", ends } of ROWS) {
  const env = { ALPACA_TIMEOUT_MS: ends === AlpacaTimeoutError ? "40" : "10000" };

  const callOnce = async (alpacaFetch: typeof fetch, url: string) => {
    const answer = await alpacaFetch(url, { method }).catch((error: unknown) => error);
    if (typeof ends === "number") assert.equal((answer as Response).status, ends);
    else assert.ok(answer instanceof ends, String(answer));
  };

  test(`${what} is ${meaning === "ignored" ? "ignored by" : `a ${meaning} to`} a closed circuit`, async () => {
    await using simulator = await startSimulator();
    const { alpacaFetch, breaker, outcomes } = setUp(simulator, env);
    await breaker.recordFailure();
    outcomes.length = 0;
    if (fault) simulator.fault(fault);
    await callOnce(alpacaFetch, simulator.tradingUrl + path);
    assert.deepEqual(outcomes, [meaning]);
    assert.equal(failuresOf(breaker), { success: 0, failure: 2, ignored: 1 }[meaning]);
    assert.equal(breaker.state, "closed");
    assert.equal(simulator.counts.trading, 1);
  });

  test(`${what} is ${meaning === "ignored" ? "ignored by" : `a ${meaning} to`} a half-open circuit`, async () => {
    await using simulator = await startSimulator();
    const { alpacaFetch, breaker, transitions, time } = setUp(simulator, {
      ...env,
      ALPACA_BREAKER_FAILURE_THRESHOLD: "1",
    });
    await breaker.recordFailure();
    time.nowMs += 60_000;
    assert.equal(breaker.state, "half_open");
    const clear = fault && simulator.fault(fault);
    await callOnce(alpacaFetch, simulator.tradingUrl + path);
    assert.equal(breaker.state, { success: "closed", failure: "open", ignored: "half_open" }[meaning]);
    assert.equal(breaker.timeUntilRecoveryMs, meaning === "failure" ? 120_000 : 0);
    if (meaning !== "ignored") return;
    clear?.();
    assert.equal((await alpacaFetch(`${simulator.tradingUrl}/v2/clock`)).status, 200);
    assert.deepEqual(
      transitions.map(({ to }) => to),
      ["open", "half_open", "closed"],
    );
  });
}

test("a 204 is a success", async () => {
  await using simulator = await startSimulator({ orders: [{ id: "11111111-1111-4111-8111-111111111111" }] });
  const { alpacaFetch, outcomes } = setUp(simulator);
  const response = await alpacaFetch(`${simulator.tradingUrl}/v2/orders/11111111-1111-4111-8111-111111111111`, {
    method: "DELETE",
  });
  assert.equal(response.status, 204);
  assert.equal(await response.text(), "");
  assert.deepEqual(outcomes, ["success"]);
});

test("a connection that is refused is a failure", async () => {
  const tradingUrl = await deadUrl();
  const { alpacaFetch, outcomes } = setUp({ tradingUrl });
  const error = await rejection(alpacaFetch(`${tradingUrl}/v2/clock`));
  assert.ok(error instanceof AlpacaNetworkError);
  assert.ok(error instanceof TypeError);
  assert.ok(error.cause instanceof Error);
  assert.match(error.message, /^Cannot call GET \/v2\/clock: connection refused, ECONNREFUSED \(127\.0\.0\.1:\d+\)$/);
  assert.deepEqual(outcomes, ["failure"]);
});

test("a body that comes too slowly is a timeout, and the error says how long it waited", async () => {
  await using server = await startScripted((response) => void response.writeHead(200).write('{"a":'));
  const { alpacaFetch, outcomes } = setUp(server, { ALPACA_TIMEOUT_MS: "40" });
  const error = await rejection(alpacaFetch(`${server.url}/v2/clock`));
  assert.ok(error instanceof AlpacaTimeoutError);
  assert.equal(error.name, "TimeoutError");
  assert.equal(error.timeoutMs, 40);
  assert.match(error.message, /GET \/v2\/clock: no whole answer within 40 ms/);
  assert.deepEqual(outcomes, ["failure"]);
});

test("a 200 without a body is a failure of a question, and a success of a change", async () => {
  await using server = await startScripted((response) => void response.writeHead(200, { "Content-Length": "0" }).end());
  const { alpacaFetch, outcomes } = setUp(server);
  await alpacaFetch(`${server.url}/v2/clock`);
  await alpacaFetch(`${server.url}/v2/positions/AAPL/exercise`, { method: "POST" });
  await alpacaFetch(`${server.url}/v2/wallets/whitelists/1`, { method: "DELETE" });
  assert.deepEqual(outcomes, ["failure", "success", "success"]);
});

test("a picture of the logo service, a HEAD and a 4xx with HTML are not judged as JSON", async () => {
  const html = (code: number) => (response: ServerResponse) =>
    void response.writeHead(code, { "Content-Type": "text/html" }).end("<html>");
  await using server = await startScripted(html(200), html(200), html(404), html(200));
  const { alpacaFetch, outcomes } = setUp(server);
  await alpacaFetch(`${server.url}/v1beta1/logos/AAPL`);
  await alpacaFetch(`${server.url}/v2/clock`, { method: "HEAD" });
  await alpacaFetch(`${server.url}/v2/clock`);
  await alpacaFetch(`${server.url}/v2/clock`, { method: "POST" });
  assert.deepEqual(outcomes, ["success", "success", "success", "failure"]);
});

test("a call that its caller cancels is ignored, and a probe is given back", async () => {
  await using simulator = await startSimulator();
  const { alpacaFetch, breaker, outcomes, time } = setUp(simulator, { ALPACA_BREAKER_FAILURE_THRESHOLD: "1" });
  const cancelled = async () => {
    const clear = simulator.fault({ kind: "hang" });
    const before = simulator.counts.trading;
    const controller = new AbortController();
    const reason = new Error("no longer wanted");
    const call = rejection(alpacaFetch(`${simulator.tradingUrl}/v2/clock`, { signal: controller.signal }));
    await simulator.waitForRequest(() => simulator.counts.trading > before);
    controller.abort(reason);
    assert.equal(await call, reason);
    clear();
  };
  await cancelled();
  assert.equal(breaker.state, "closed");
  await breaker.recordFailure();
  time.nowMs += 60_000;
  await cancelled();
  assert.equal(breaker.state, "half_open");
  assert.equal(breaker.timeUntilRecoveryMs, 0);
  assert.deepEqual(outcomes, ["ignored", "failure", "ignored"]);
  assert.equal((await alpacaFetch(`${simulator.tradingUrl}/v2/clock`)).status, 200);
  assert.equal(breaker.state, "closed");
});

test("a call that is cancelled in the middle of the body is ignored", async () => {
  const controller = new AbortController();
  await using server = await startScripted((response) => {
    response.writeHead(200, { "Content-Type": "application/json" });
    response.write('{"a":', () => setImmediate(() => controller.abort(new Error("enough"))));
  });
  const { alpacaFetch, outcomes } = setUp(server);
  await assert.rejects(alpacaFetch(`${server.url}/v2/clock`, { signal: controller.signal }), /enough/);
  assert.deepEqual(outcomes, ["ignored"]);
});

test("an open circuit rejects without a request, says when it may be tried again, and keeps the cause", async () => {
  await using simulator = await startSimulator();
  const { alpacaFetch, breaker, outcomes, time } = setUp(simulator);
  simulator.fault({ kind: "status", status: 503 });
  for (let failure = 0; failure < 5; failure++) await alpacaFetch(`${simulator.tradingUrl}/v2/clock`);
  assert.equal(breaker.state, "open");
  time.nowMs += 15_000;
  const error = await rejection(alpacaFetch(`${simulator.tradingUrl}/v2/orders/1`, { method: "DELETE" }));
  assert.ok(error instanceof CircuitBreakerOpenError);
  assert.equal(error.retryAfterMs, 45_000);
  assert.equal(
    error.message,
    'Cannot call DELETE /v2/orders/{order_id}: circuit "alpaca.trading" is open for another 45000 ms',
  );
  assert.deepEqual(error.cause, { status: 503 });
  assert.equal(simulator.counts.trading, 5);
  assert.deepEqual(outcomes.slice(5), ["rejected"]);
});

test("an isolated circuit and a half-open one whose probe is taken reject without a request", async () => {
  await using simulator = await startSimulator();
  const { alpacaFetch, breaker, outcomes, time } = setUp(simulator, { ALPACA_BREAKER_FAILURE_THRESHOLD: "1" });
  await breaker.isolate("maintenance");
  await assert.rejects(alpacaFetch(`${simulator.tradingUrl}/v2/clock`), /isolated by an operator: maintenance/);
  await breaker.release();
  await breaker.recordFailure();
  time.nowMs += 60_000;
  await using permit = await breaker.enter();
  await assert.rejects(alpacaFetch(`${simulator.tradingUrl}/v2/clock`), { state: "half_open", retryAfterMs: 15_000 });
  await permit.succeed();
  assert.equal(simulator.counts.trading, 0);
  assert.deepEqual(outcomes, ["rejected", "failure", "rejected", "success"]);
});

test("after a 429 no request starts before the Reset, whatever either clock says", async () => {
  for (const skewMs of [0, 3_600_000, -3_600_000]) {
    const time = new FakeTime();
    await using simulator = await startSimulator({ now: () => time.nowMs + skewMs });
    const { alpacaFetch, outcomes } = setUp(simulator, {}, { time });
    simulator.fault({ kind: "throttle", resetSeconds: 30 }, { times: 1 });
    assert.equal((await alpacaFetch(`${simulator.tradingUrl}/v2/clock`)).status, 429);
    assert.equal((await alpacaFetch(`${simulator.tradingUrl}/v2/clock`)).status, 200);
    assert.deepEqual(time.waits, [30_000]);
    assert.deepEqual(outcomes, ["ignored", "success"]);
  }
});

test("a Retry-After that is longer than the Reset counts, and 429 pauses one host only", async () => {
  const time = new FakeTime();
  await using simulator = await startSimulator({ now: time.now });
  const { alpacaFetch } = setUp(simulator, {}, { time });
  simulator.fault({ kind: "throttle", resetSeconds: 5, retryAfterSeconds: 45 }, { times: 1 });
  await alpacaFetch(`${simulator.tradingUrl}/v2/clock`);
  await alpacaFetch(`${simulator.dataUrl}/v2/stocks/AAPL/bars`);
  assert.deepEqual(time.waits, []);
  await alpacaFetch(`${simulator.tradingUrl}/v2/clock`);
  assert.deepEqual(time.waits, [45_000]);
});

test("a 429 that does not say how long pauses for 5 s", async () => {
  await using server = await startScripted(json({ message: "too many requests." }, 429), json({}));
  const { alpacaFetch, time } = setUp(server);
  await alpacaFetch(`${server.url}/v2/clock`);
  await alpacaFetch(`${server.url}/v2/clock`);
  assert.deepEqual(time.waits, [5_000]);
});

test("a pause of more than 60 s fails the next call at once", async () => {
  const time = new FakeTime();
  await using simulator = await startSimulator({ now: time.now });
  const { alpacaFetch } = setUp(simulator, {}, { time });
  simulator.fault({ kind: "throttle", resetSeconds: 61 }, { times: 1 });
  await alpacaFetch(`${simulator.tradingUrl}/v2/clock`);
  const error = await rejection(alpacaFetch(`${simulator.tradingUrl}/v2/clock`));
  assert.ok(error instanceof AlpacaThrottledError);
  assert.equal(error.retryAfterMs, 61_000);
  assert.equal(error.exitCode, 75);
  assert.match(error.message, /Alpaca throttles this account/);
  assert.equal(simulator.counts.trading, 1);
});

test("an answer that says nothing remains pauses until the Reset", async () => {
  const headers = { "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": String(START_MS / 1_000 + 12) };
  const date = { Date: new Date(START_MS).toUTCString() };
  await using server = await startScripted(json({}, 200, { ...headers, ...date }), json({}));
  const { alpacaFetch, time, outcomes } = setUp(server);
  await alpacaFetch(`${server.url}/v2/clock`);
  await alpacaFetch(`${server.url}/v2/clock`);
  assert.deepEqual(time.waits, [12_000]);
  assert.deepEqual(outcomes, ["success", "success"]);
});

test("the classification says the same of every status", () => {
  for (let code = 200; code < 600; code++) {
    const expected = code === 429 ? "throttled" : code === 408 || code >= 500 ? "failure" : "success";
    assert.equal(classifyResponse(code, true), expected, String(code));
    const isDue = code < 300 && code !== 204 && code !== 205;
    assert.equal(isJsonDue("GET", code, "/v2/clock", false), isDue, String(code));
    if (isDue) assert.equal(classifyResponse(code, false), "failure");
  }
});

test("waits are read from Reset and Retry-After in the server's own time", () => {
  const nowMs = START_MS;
  const date = new Date(nowMs + 500_000).toUTCString();
  const cases: [Record<string, string>, number | null][] = [
    [{}, null],
    [{ "retry-after": "7" }, 7_000],
    [{ "retry-after": "0" }, 0],
    [{ "retry-after": " 7 " }, 7_000],
    [{ "retry-after": "1.5" }, null],
    [{ "retry-after": "-5" }, null],
    [{ "retry-after": "soon" }, null],
    [{ "retry-after": new Date(nowMs + 9_000).toUTCString() }, 9_000],
    [{ date, "retry-after": new Date(nowMs + 509_000).toUTCString() }, 9_000],
    [{ date, "retry-after": new Date(nowMs).toUTCString() }, 0],
    [{ "x-ratelimit-reset": String(nowMs / 1_000 + 3) }, 3_000],
    [{ date, "x-ratelimit-reset": String(nowMs / 1_000 + 503) }, 3_000],
    [{ "x-ratelimit-reset": "30" }, null],
    [{ "x-ratelimit-reset": "never" }, null],
    [{ "x-ratelimit-reset": String(nowMs / 1_000 - 3) }, 0],
    [{ date: "yesterday", "x-ratelimit-reset": String(nowMs / 1_000 + 3), "retry-after": "2" }, 3_000],
  ];
  for (const [headers, expected] of cases) {
    assert.equal(throttleMs(new Headers(headers), nowMs), expected, JSON.stringify(headers));
  }
  assert.equal(retryAfterMs(new Headers({ "x-ratelimit-reset": String(nowMs / 1_000 + 3) }), nowMs), null);
});
