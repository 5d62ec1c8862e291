import assert from "node:assert/strict";
import { test } from "node:test";
import { AlpacaNetworkError, CircuitBreakerOpenError } from "../../src/errors.ts";
import { startSimulator } from "../../src/local/simulator.ts";
import { deadUrl, FakeTime, json, rejection, START_MS, setUp, startScripted } from "./support.ts";

const PATIENT = { ALPACA_BREAKER_FAILURE_THRESHOLD: "1000" };

test("a GET is tried again as often as configured, and its last answer is handed back", async () => {
  for (const retries of [0, 1, 2, 5]) {
    await using simulator = await startSimulator();
    simulator.fault({ kind: "status", status: 503 });
    const { alpacaFetch, outcomes } = setUp(simulator, { ...PATIENT, ALPACA_MAX_RETRIES: String(retries) });
    assert.equal((await alpacaFetch(`${simulator.tradingUrl}/v2/clock`)).status, 503);
    assert.equal(simulator.counts.trading, retries + 1);
    assert.deepEqual(outcomes, Array(retries + 1).fill("failure"));
  }
});

test("a GET that meets no answer is tried again, and its last error is thrown", async () => {
  const tradingUrl = await deadUrl();
  const { alpacaFetch, outcomes } = setUp({ tradingUrl }, { ...PATIENT, ALPACA_MAX_RETRIES: "2" });
  assert.ok((await rejection(alpacaFetch(`${tradingUrl}/v2/clock`))) instanceof AlpacaNetworkError);
  assert.deepEqual(outcomes, ["failure", "failure", "failure"]);
});

test("every kind of outage is worth another try of a GET, and nothing else is", async () => {
  const again = [
    { kind: "status", status: 500 },
    { kind: "status", status: 408 },
    { kind: "reset" },
    { kind: "truncated" },
    { kind: "truncated", chunked: true },
    { kind: "garbage", format: "html" },
    { kind: "garbage", format: "json" },
  ] as const;
  for (const fault of again) {
    await using simulator = await startSimulator();
    simulator.fault(fault, { times: 1 });
    const { alpacaFetch, outcomes } = setUp(simulator, { ALPACA_MAX_RETRIES: "1" });
    assert.equal((await alpacaFetch(new Request(`${simulator.tradingUrl}/v2/clock`))).status, 200);
    assert.deepEqual(outcomes, ["failure", "success"], JSON.stringify(fault));
  }
  for (const status of [400, 401, 403, 404, 422]) {
    await using simulator = await startSimulator();
    simulator.fault({ kind: "status", status });
    const { alpacaFetch } = setUp(simulator, { ALPACA_MAX_RETRIES: "2" });
    await alpacaFetch(`${simulator.tradingUrl}/v2/clock`);
    assert.equal(simulator.counts.trading, 1);
  }
});

test("a HEAD is tried again, and a POST, PUT, PATCH or DELETE never is, whatever went wrong", async () => {
  await using server = await startScripted(json({}, 503));
  const { alpacaFetch } = setUp(server, { ...PATIENT, ALPACA_MAX_RETRIES: "1" });
  await alpacaFetch(`${server.url}/v2/clock`, { method: "HEAD" });
  assert.equal(server.requests.length, 2);
  const faults = [
    { kind: "status", status: 503 },
    { kind: "status", status: 408 },
    { kind: "throttle", resetSeconds: 0, retryAfterSeconds: 0 },
    { kind: "reset" },
    { kind: "truncated" },
    { kind: "garbage", format: "html" },
  ] as const;
  for (const method of ["POST", "PUT", "PATCH", "DELETE", "post", "delete"]) {
    for (const fault of faults) {
      await using simulator = await startSimulator();
      simulator.fault(fault, { applied: true });
      const { alpacaFetch, time } = setUp(simulator, { ...PATIENT, ALPACA_MAX_RETRIES: "3" });
      await alpacaFetch(`${simulator.tradingUrl}/v2/orders/1`, { method }).catch(() => {});
      assert.equal(simulator.counts.trading, 1, `${method} ${fault.kind}`);
      assert.deepEqual(time.waits, []);
    }
  }
});

test("a change whose connection is cut is not sent again by the runtime either, on a connection that was used before", async () => {
  await using simulator = await startSimulator();
  const { alpacaFetch } = setUp(simulator, PATIENT);
  for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
    const init = method === "DELETE" ? { method } : { method, body: "{}" };
    for (let call = 0; call < 2; call++) await alpacaFetch(`${simulator.tradingUrl}/v2/orders/1`, init);
    simulator.clearRequests();
    simulator.fault({ kind: "reset" }, { times: 1 });
    await assert.rejects(alpacaFetch(`${simulator.tradingUrl}/v2/orders/1`, init), AlpacaNetworkError);
    assert.equal(simulator.counts.trading, 1, method);
  }
});

test("waits double from 250 ms, and chance takes off up to a half", async () => {
  const delays: [number, number[]][] = [
    [0, [125, 250, 500, 1_000]],
    [0.5, [187.5, 375, 750, 1_500]],
    [0.999_999, [250, 500, 1_000, 2_000]],
  ];
  for (const [chance, expected] of delays) {
    await using server = await startScripted(json({}, 503));
    const { alpacaFetch, time } = setUp(server, { ...PATIENT, ALPACA_MAX_RETRIES: "4" }, { random: () => chance });
    await alpacaFetch(`${server.url}/v2/clock`);
    assert.deepEqual(
      time.waits.map((waitMs) => Math.round(waitMs * 10) / 10),
      expected,
    );
  }
});

test("a Retry-After of a 503 is waited for, and the budget's Reset in the same answer is not", async () => {
  const headers = {
    Date: new Date(START_MS).toUTCString(),
    "Retry-After": "7",
    "X-RateLimit-Remaining": "150",
    "X-RateLimit-Reset": String(START_MS / 1_000 + 55),
  };
  await using server = await startScripted(json({}, 503, headers), json({}));
  const { alpacaFetch, time } = setUp(server, { ALPACA_MAX_RETRIES: "2" });
  assert.equal((await alpacaFetch(`${server.url}/v2/clock`)).status, 200);
  assert.deepEqual(time.waits, [7_000]);
});

test("a Retry-After that is shorter than the back-off does not shorten it", async () => {
  await using server = await startScripted(json({}, 503, { "Retry-After": "0" }), json({}));
  const { alpacaFetch, time } = setUp(server, { ALPACA_MAX_RETRIES: "2" });
  await alpacaFetch(`${server.url}/v2/clock`);
  assert.deepEqual(time.waits, [125]);
});

test("a Retry-After of more than 60 s ends the retries at once, and the answer is handed back", async () => {
  await using server = await startScripted(json({}, 503, { "Retry-After": "61" }));
  const { alpacaFetch, time } = setUp(server, { ALPACA_MAX_RETRIES: "2" });
  assert.equal((await alpacaFetch(`${server.url}/v2/clock`)).status, 503);
  assert.deepEqual(time.waits, []);
  assert.equal(server.requests.length, 1);
});

test("a GET that is throttled waits for the Reset and is tried again", async () => {
  const time = new FakeTime();
  await using simulator = await startSimulator({ now: time.now });
  simulator.fault({ kind: "throttle", resetSeconds: 45 }, { times: 1 });
  const { alpacaFetch, outcomes } = setUp(simulator, { ALPACA_MAX_RETRIES: "2" }, { time });
  assert.equal((await alpacaFetch(`${simulator.tradingUrl}/v2/clock`)).status, 200);
  assert.deepEqual(time.waits, [45_000]);
  assert.deepEqual(outcomes, ["ignored", "success"]);
});

test("a GET that is throttled for more than 60 s hands the 429 back at once", async () => {
  const time = new FakeTime();
  await using simulator = await startSimulator({ now: time.now });
  simulator.fault({ kind: "throttle", resetSeconds: 70 });
  const { alpacaFetch } = setUp(simulator, { ALPACA_MAX_RETRIES: "2" }, { time });
  assert.equal((await alpacaFetch(`${simulator.tradingUrl}/v2/clock`)).status, 429);
  assert.deepEqual(time.waits, []);
  assert.equal(simulator.counts.trading, 1);
});

test("a 429 whose Reset is over is met with the usual back-off, not with a volley", async () => {
  await using server = await startScripted(json({}, 429, { "Retry-After": "0" }));
  const { alpacaFetch, time } = setUp(server, { ALPACA_MAX_RETRIES: "2" });
  assert.equal((await alpacaFetch(`${server.url}/v2/clock`)).status, 429);
  assert.deepEqual(time.waits, [125, 250]);
});

test("retries stop when the circuit opens: the error names the failure, and no request follows", async () => {
  await using simulator = await startSimulator();
  simulator.fault({ kind: "status", status: 502 });
  const { alpacaFetch, outcomes, time } = setUp(simulator, {
    ALPACA_MAX_RETRIES: "10",
    ALPACA_BREAKER_FAILURE_THRESHOLD: "3",
  });
  const error = await rejection(alpacaFetch(`${simulator.tradingUrl}/v2/clock`));
  assert.ok(error instanceof CircuitBreakerOpenError);
  assert.deepEqual(error.cause, { status: 502 });
  assert.equal(error.retryAfterMs, 60_000);
  assert.equal(simulator.counts.trading, 3);
  assert.deepEqual(outcomes, ["failure", "failure", "failure", "rejected"]);
  assert.deepEqual(time.waits, [125, 250]);
});

test("a circuit that another call opens during the back-off stops the retry", async () => {
  await using server = await startScripted(json({}, 503));
  const { alpacaFetch, breaker } = setUp(
    server,
    { ALPACA_MAX_RETRIES: "5" },
    {
      sleep: async () => {
        for (let failure = 0; failure < 4; failure++) await breaker.recordFailure();
      },
    },
  );
  assert.ok((await rejection(alpacaFetch(`${server.url}/v2/clock`))) instanceof CircuitBreakerOpenError);
  assert.equal(server.requests.length, 1);
});

test("a probe that fails is not retried while the circuit is open again", async () => {
  await using server = await startScripted(json({}, 503));
  const { alpacaFetch, breaker, time } = setUp(server, {
    ALPACA_MAX_RETRIES: "5",
    ALPACA_BREAKER_FAILURE_THRESHOLD: "1",
  });
  await breaker.recordFailure();
  time.nowMs += 60_000;
  await assert.rejects(alpacaFetch(`${server.url}/v2/clock`), {
    name: "CircuitBreakerOpenError",
    retryAfterMs: 120_000,
  });
  assert.equal(server.requests.length, 1);
});

test("each try takes a place of the budget", async () => {
  await using server = await startScripted(json({}, 503));
  const { alpacaFetch, hosts } = setUp(server, { ...PATIENT, ALPACA_MAX_RETRIES: "4" });
  await alpacaFetch(`${server.url}/v2/clock`);
  assert.equal(hosts.trading.budget.remaining(), 195);
});
