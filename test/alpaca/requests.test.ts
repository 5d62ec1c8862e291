import assert from "node:assert/strict";
import { test } from "node:test";
import type { Attempt } from "../../src/alpaca/attempt.ts";
import { sleep } from "../../src/alpaca/sleep.ts";
import { MemoryCell } from "../../src/breaker/cell.ts";
import { AlpacaNetworkError } from "../../src/errors.ts";
import { startSimulator } from "../../src/local/simulator.ts";
import { deadUrl, json, ManualTime, rejection, setUp, startScripted, turn } from "./support.ts";

const NOTHING_LEFT = { added: 0, removed: 0 };

/** A signal that counts the listeners that are put on it and taken off again. */
function countedSignal() {
  const controller = new AbortController();
  const { signal } = controller;
  const count = { ...NOTHING_LEFT };
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    count.added++;
    add(...args);
  };
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    count.removed++;
    remove(...args);
  };
  return { controller, signal, count };
}

test("a string, a URL and a Request are taken, with the method and body of init or Request", async () => {
  await using server = await startScripted(json({ ok: true }));
  const { alpacaFetch } = setUp(server);
  const url = `${server.url}/v2/orders?limit=5&symbols=A%2CB`;
  const post = { method: "POST", body: '{"qty":"1"}', headers: { "Content-Type": "application/json" } };
  await alpacaFetch(url);
  await alpacaFetch(new URL(url));
  await alpacaFetch(new Request(url));
  await alpacaFetch(url, post);
  await alpacaFetch(new Request(url, post));
  await alpacaFetch(new Request(url, post), { method: "PATCH" });
  await alpacaFetch(new Request(url), post);
  await alpacaFetch(url, { method: "delete" });
  assert.deepEqual(
    server.requests.map(({ method, url: path, body, headers }) => [method, path, body, headers["content-type"]]),
    [
      ...Array(3).fill(["GET", "/v2/orders?limit=5&symbols=A%2CB", "", undefined]),
      ...["POST", "POST", "PATCH", "POST"].map((method) => [
        method,
        "/v2/orders?limit=5&symbols=A%2CB",
        '{"qty":"1"}',
        "application/json",
      ]),
      ["DELETE", "/v2/orders?limit=5&symbols=A%2CB", "", undefined],
    ],
  );
});

test("a body that is a stream or a form is sent", async () => {
  await using server = await startScripted(json({ ok: true }));
  const { alpacaFetch } = setUp(server);
  const stream = new Blob(["one", "two"]).stream();
  await alpacaFetch(`${server.url}/v2/orders`, { method: "POST", body: stream, duplex: "half" } as RequestInit);
  await alpacaFetch(`${server.url}/v2/orders`, { method: "POST", body: new URLSearchParams({ a: "1" }) });
  assert.deepEqual(
    server.requests.map(({ body }) => body),
    ["onetwo", "a=1"],
  );
  assert.match(server.requests[1]?.headers["content-type"] ?? "", /^application\/x-www-form-urlencoded/);
});

test("a request with a body that meets no answer is a failure, whatever form the body has", async () => {
  const tradingUrl = await deadUrl();
  const { alpacaFetch, outcomes } = setUp({ tradingUrl });
  const url = `${tradingUrl}/v2/orders`;
  const calls = [
    () => alpacaFetch(url, { method: "POST", body: "{}" }),
    () => alpacaFetch(new Request(url, { method: "POST", body: "{}" })),
    () => {
      const body = new Blob(["{}"]).stream();
      return alpacaFetch(url, { method: "POST", body, duplex: "half" } as RequestInit);
    },
  ];
  for (const call of calls) assert.ok((await rejection(call())) instanceof AlpacaNetworkError);
  assert.deepEqual(outcomes, ["failure", "failure", "failure"]);
});

test("a request that cannot be sent at all throws as fetch does, and says nothing of Alpaca's health", async () => {
  await using server = await startScripted(json({}));
  const { alpacaFetch, outcomes } = setUp(server);
  const url = `${server.url}/v2/orders`;
  const spent = new Request(url, { method: "POST", body: "{}" });
  await spent.text();
  const locked = new Blob(["{}"]).stream();
  locked.getReader();
  const calls = [
    () => alpacaFetch(url, { body: "{}" }),
    () => alpacaFetch(url, { method: "CONNECT" }),
    () => alpacaFetch(spent),
    () => alpacaFetch(url, { method: "POST", body: locked, duplex: "half" } as RequestInit),
  ];
  for (const call of calls) {
    const error = await rejection(call());
    assert.ok(error instanceof TypeError);
    assert.ok(!(error instanceof AlpacaNetworkError), error.message);
  }
  assert.deepEqual(outcomes, Array(calls.length).fill("ignored"));
  assert.deepEqual(server.requests, []);
});

test("something that is no URL is a rejection, not an exception", async () => {
  const { alpacaFetch, outcomes } = setUp({ tradingUrl: "http://127.0.0.1:9" });
  await assert.rejects(alpacaFetch("/v2/clock"), TypeError);
  await assert.rejects(alpacaFetch("http://"), TypeError);
  assert.deepEqual(outcomes, []);
});

test("a signal that is aborted before the call makes no request and takes no place", async () => {
  await using server = await startScripted(json({}));
  const { alpacaFetch, breaker, hosts, outcomes } = setUp(server);
  const reason = new Error("too late");
  const signal = AbortSignal.abort(reason);
  assert.equal(await rejection(alpacaFetch(`${server.url}/v2/clock`, { signal })), reason);
  assert.equal(await rejection(alpacaFetch(new Request(`${server.url}/v2/clock`, { signal }))), reason);
  await assert.rejects(alpacaFetch(`${server.url}/v2/clock`, { signal: AbortSignal.abort() }), { name: "AbortError" });
  await breaker.isolate("maintenance");
  assert.equal(await rejection(alpacaFetch(`${server.url}/v2/clock`, { signal })), reason);
  assert.deepEqual(server.requests, []);
  assert.deepEqual(outcomes, []);
  assert.equal(hosts.trading.budget.remaining(), 200);
});

test("the signal of a Request counts, that of init goes before it, and null takes it away", async () => {
  await using server = await startScripted(json({}));
  const { alpacaFetch } = setUp(server);
  const aborted = new Request(`${server.url}/v2/clock`, { signal: AbortSignal.abort(new Error("the Request's")) });
  await assert.rejects(alpacaFetch(aborted), /the Request's/);
  await assert.rejects(alpacaFetch(aborted, { signal: AbortSignal.abort(new Error("init's")) }), /init's/);
  assert.equal((await alpacaFetch(aborted, { signal: new AbortController().signal })).status, 200);
  assert.equal((await alpacaFetch(aborted, { signal: null })).status, 200);
});

test("a call that is aborted while a place is being waited for leaves its place to the next", async () => {
  await using server = await startScripted(json({}));
  const time = new ManualTime();
  const { alpacaFetch, hosts } = setUp(
    server,
    { ALPACA_REQUESTS_PER_MINUTE: "1" },
    { now: time.now, sleep: time.sleep },
  );
  await alpacaFetch(`${server.url}/v2/clock`);
  const { controller, signal, count } = countedSignal();
  const waiting = rejection(alpacaFetch(`${server.url}/v2/clock`, { signal }));
  await time.untilSleeping(1);
  await assert.rejects(alpacaFetch(`${server.url}/v2/clock`), { name: "AlpacaThrottledError" });
  controller.abort(new Error("enough"));
  assert.match(String(await waiting), /enough/);
  assert.equal(time.sleeping, 0);
  assert.equal(hosts.trading.budget.remaining(), 0);
  const next = alpacaFetch(`${server.url}/v2/clock`);
  await time.untilSleeping(1);
  await time.advanceTo(time.nextWakeMs);
  assert.equal((await next).status, 200);
  assert.equal(server.requests.length, 2);
  assert.equal(count.added, 1);
});

test("a call that is aborted in its back-off ends at once, with the caller's reason and no further request", async () => {
  await using server = await startScripted(json({}, 503));
  const time = new ManualTime();
  const { alpacaFetch, outcomes } = setUp(server, { ALPACA_MAX_RETRIES: "3" }, { now: time.now, sleep: time.sleep });
  const controller = new AbortController();
  const call = rejection(alpacaFetch(`${server.url}/v2/clock`, { signal: controller.signal }));
  await time.untilSleeping(1);
  const reason = new Error("enough");
  controller.abort(reason);
  assert.equal(await call, reason);
  await turn();
  assert.equal(server.requests.length, 1);
  assert.deepEqual(outcomes, ["failure"]);
});

test("a call that is aborted between admission and the request makes no request", async () => {
  await using server = await startScripted(json({}));
  const controller = new AbortController();
  const reason = new Error("just now");
  const cell = new MemoryCell();
  const { peek } = cell;
  let looks = 0;
  // Admission looks at the record for the second time.
  cell.peek = () => {
    if (++looks === 2) queueMicrotask(() => controller.abort(reason));
    return peek.call(cell);
  };
  const { createAlpacaHosts } = await import("../../src/alpaca/host.ts");
  const { config } = setUp(server);
  const { alpacaFetch } = setUp(server, {}, { hosts: createAlpacaHosts({ config, cell: () => cell }) });
  assert.equal(await rejection(alpacaFetch(`${server.url}/v2/clock`, { signal: controller.signal })), reason);
  assert.deepEqual(server.requests, []);
});

test("a thousand calls leave no listener on their signal", async () => {
  await using simulator = await startSimulator({ requestsPerMinute: 2_000 });
  const { alpacaFetch } = setUp(simulator, { ALPACA_REQUESTS_PER_MINUTE: "2000" });
  const { signal, count } = countedSignal();
  simulator.fault({ kind: "status", status: 404 }, { times: 100 });
  for (let round = 0; round < 50; round++) {
    const calls = Array.from({ length: 20 }, () => alpacaFetch(`${simulator.tradingUrl}/v2/clock`, { signal }));
    for (const response of await Promise.all(calls)) await response.text();
  }
  assert.ok(count.added >= 1_000);
  assert.equal(count.removed, count.added);
});

test("failures, timeouts and back-offs leave no listener on the signal", async () => {
  await using simulator = await startSimulator();
  const env = { ALPACA_MAX_RETRIES: "1", ALPACA_TIMEOUT_MS: "30", ALPACA_BREAKER_FAILURE_THRESHOLD: "100" };
  const { alpacaFetch } = setUp(simulator, env, { sleep: (_ms, signal) => sleep(0, signal) });
  const { signal, count } = countedSignal();
  for (const kind of ["reset", "hang", "truncated"] as const) {
    const clear = simulator.fault({ kind });
    await rejection(alpacaFetch(`${simulator.tradingUrl}/v2/clock`, { signal }));
    clear();
  }
  assert.equal(count.added, 9);
  assert.equal(count.removed, count.added);
});

test("a sleep ends after its time, or with the signal's reason, and leaves no listener", async () => {
  const { signal, count, controller } = countedSignal();
  await sleep(1, signal);
  assert.deepEqual(count, { added: 1, removed: 1 });
  const reason = new Error("awake");
  const long = rejection(sleep(3_600_000, signal));
  controller.abort(reason);
  assert.equal(await long, reason);
  assert.equal(await rejection(sleep(3_600_000, signal)), reason);
  assert.equal(count.added, 2);
});

test("every attempt is reported, with what became of it, and an observer that throws breaks nothing", async () => {
  await using server = await startScripted(
    json({}, 503, { "X-Request-ID": "first" }),
    json({}, 404, { "X-Request-ID": "second" }),
    (response) => void response.writeHead(200).end("<html>"),
    (response) => response.socket?.destroy(),
    json({}, 302),
    (response) => void response.writeHead(200).write("{"),
    (response) => void response.writeHead(200).write("{"),
  );
  const attempts: Attempt[] = [];
  const span = { traceId: "a".repeat(32), spanId: "b".repeat(16) };
  const { alpacaFetch } = setUp(
    server,
    { ALPACA_MAX_RETRIES: "1", ALPACA_TIMEOUT_MS: "50" },
    {
      newSpan: () => span,
      onAttempt: (attempt) => {
        attempts.push(attempt);
        throw new Error("an observer's own trouble");
      },
    },
  );
  const url = `${server.url}/v2/clock`;
  await alpacaFetch(url);
  await alpacaFetch(url, { method: "POST" });
  await rejection(alpacaFetch(url, { method: "POST" }));
  await alpacaFetch(url, { method: "POST" });
  await rejection(alpacaFetch(url, { method: "POST" }));
  const controller = new AbortController();
  const cancelled = rejection(alpacaFetch(url, { method: "POST", signal: controller.signal }));
  await turn();
  controller.abort();
  await cancelled;
  const seen = attempts.map(({ method, resendCount, status, requestId, errorType }) => [
    method,
    resendCount,
    status,
    requestId,
    errorType,
  ]);
  const networkErrorType = seen[3]?.[4];
  assert.deepEqual(seen, [
    ["GET", 0, 503, "first", "503"],
    ["GET", 1, 404, "second", "404"],
    ["POST", 0, 200, null, "invalid_body"],
    ["POST", 0, null, null, networkErrorType],
    ["POST", 0, 302, null, null],
    ["POST", 0, null, null, "timeout"],
    ["POST", 0, null, null, "cancelled"],
  ]);
  assert.match(String(networkErrorType), /^[A-Z][A-Z0-9_]+$|^TypeError$/);
  assert.ok(attempts.every((attempt) => attempt.span === span && attempt.endMs >= attempt.startMs));
});

test("a state change names the span of the attempt that caused it", async () => {
  await using server = await startScripted(json({}, 503));
  let spans = 0;
  const { alpacaFetch, transitions } = setUp(
    server,
    { ALPACA_BREAKER_FAILURE_THRESHOLD: "2" },
    { newSpan: () => ({ traceId: "a".repeat(32), spanId: String(++spans) }) },
  );
  await alpacaFetch(`${server.url}/v2/clock`);
  await alpacaFetch(`${server.url}/v2/clock`);
  assert.deepEqual(
    transitions.map(({ call }) => call?.spanId),
    ["2"],
  );
});
