import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { createAlpacaClient } from "../../src/alpaca/client.ts";
import { readAnswer } from "../../src/alpaca/request.ts";
import {
  AlpacaDisabledError,
  AlpacaError,
  AlpacaNetworkError,
  AlpacaTimeoutError,
  CircuitBreakerOpenError,
  exitCodeOf,
} from "../../src/errors.ts";
import { SIMULATOR_CREDENTIALS } from "../../src/local/access.ts";
import type { Fault } from "../../src/local/faults.ts";
import type { OrderInput } from "../../src/local/order.ts";
import { startSimulator } from "../../src/local/simulator.ts";
import { configFor, deadUrl, FakeTime, json, rejection, START_MS, startScripted } from "./support.ts";

const ORDER_ID = "61e69015-8549-4bfd-b9c3-01e75843f47d";

function clientOf(urls: { tradingUrl: string; dataUrl?: string }, env: Record<string, string> = {}) {
  const time = new FakeTime();
  return createAlpacaClient({ config: configFor(urls, env), now: time.now, sleep: time.sleep, random: () => 0 });
}

/** An order so many minutes after the others began, with the nanoseconds that Alpaca gives. */
function at(minutes: number, fraction = "000000000"): Pick<OrderInput, "submitted_at"> {
  return { submitted_at: `${new Date(START_MS + minutes * 60_000).toISOString().slice(0, 19)}.${fraction}Z` };
}

test("every call gets what the simulator has, with Alpaca's own names, numbers as strings and unknown fields", async () => {
  await using simulator = await startSimulator({
    now: () => START_MS,
    account: { buying_power: "123456789012345678.123456789", a_field_of_tomorrow: "kept" },
  });
  const client = clientOf(simulator);
  const account = await client.getAccount();
  assert.equal(account.buying_power, "123456789012345678.123456789");
  assert.equal(account.status, "ACTIVE");
  assert.equal(account.a_field_of_tomorrow, "kept");

  const clock = await client.getClock();
  assert.equal(clock.is_open, true);
  assert.match(clock.next_close, /^2026-11-24T16:00:00/);

  const days = await client.getCalendar({ start: "2026-10-08", end: "2026-10-13" });
  assert.deepEqual(
    days.map(({ date }) => date),
    ["2026-10-08", "2026-10-09", "2026-10-12", "2026-10-13"],
  );

  const positions = await client.getPositions();
  assert.deepEqual(
    positions.map(({ symbol, qty }) => [symbol, qty]),
    [
      ["AAPL", "12"],
      ["MSFT", "3.5"],
      ["F", "-40"],
    ],
  );

  const orders = await client.getOrders();
  const open = simulator.orders.filter(({ status }) => status === "new");
  assert.ok(open.length > 0);
  assert.deepEqual(orders, open);
  const [first] = orders;
  assert.ok(first);
  assert.deepEqual(await client.getOrder(first.id), first);
  assert.equal(await client.cancelOrder(first.id), undefined);
  assert.equal((await client.getOrder(first.id)).status, "canceled");
});

test("a list of orders asks Alpaca for what the query says", async () => {
  await using server = await startScripted(json([]));
  const client = clientOf(server);
  await client.getOrders();
  await client.getOrders({
    status: "closed",
    symbols: ["AAPL", "BTC/USD"],
    side: "sell",
    nested: true,
    after: "2026-01-01T00:00:00Z",
    until: "2026-02-01T00:00:00Z",
    pageSize: 100,
  });
  assert.deepEqual(
    server.requests.map(({ url }) => Object.fromEntries(new URL(url, server.url).searchParams)),
    [
      { status: "open", limit: "500", direction: "asc" },
      {
        status: "closed",
        limit: "100",
        direction: "asc",
        symbols: "AAPL,BTC/USD",
        side: "sell",
        nested: "true",
        after: "2026-01-01T00:00:00Z",
        until: "2026-02-01T00:00:00Z",
      },
    ],
  );
});

test("all pages of orders are fetched, each order once, those of one moment included", async () => {
  const moments = [0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 3, 3];
  await using simulator = await startSimulator({
    orders: moments.map((minutes, index) => ({ client_order_id: `order-${index}`, ...at(minutes, "000000007") })),
  });
  const client = clientOf(simulator);
  for (const pageSize of [1, 2, 3, 4, 5, 12, 13, 500]) {
    simulator.clearRequests();
    const orders = await client.getOrders({ status: "all", pageSize });
    assert.deepEqual(
      orders.map((order) => order.client_order_id),
      moments.map((_, index) => `order-${index}`),
      `pages of ${pageSize}`,
    );
    assert.equal(simulator.counts.trading, Math.floor(moments.length / pageSize) + 1);
  }
});

test("`after` and `until` are exclusive on every page, to the nanosecond", async () => {
  const orders = [
    at(0, "000000001"),
    at(0, "000000002"),
    at(1, "000000001"),
    at(1, "000000002"),
    at(1, "000000003"),
    at(1, "000500000"),
    at(2, "000000001"),
  ].map((order, index) => ({ client_order_id: String(index), ...order }));
  await using simulator = await startSimulator({ orders });
  const client = clientOf(simulator);
  const list = async (query: { after?: string; until?: string }, pageSize: number) =>
    (await client.getOrders({ status: "all", pageSize, ...query })).map((order) => order.client_order_id).join("");
  for (const pageSize of [1, 2, 3, 500]) {
    assert.equal(await list({ after: orders[0]!.submitted_at! }, pageSize), "123456");
    assert.equal(await list({ until: orders[4]!.submitted_at! }, pageSize), "0123");
    assert.equal(await list({ after: orders[1]!.submitted_at!, until: orders[5]!.submitted_at! }, pageSize), "234");
    assert.equal(await list({ after: orders[5]!.submitted_at!, until: orders[5]!.submitted_at! }, pageSize), "");
    assert.equal(await list({ until: new Date(START_MS + 60_000).toISOString() }, pageSize), "01");
    assert.equal(await list({ until: "2026-11-24T10:01:00.000000003-05:00" }, pageSize), "0123");
  }
});

test("pages are not asked for beyond `until`", async () => {
  await using simulator = await startSimulator({ orders: Array.from({ length: 50 }, (_, minutes) => at(minutes)) });
  const orders = await clientOf(simulator).getOrders({ status: "all", pageSize: 5, until: at(12).submitted_at! });
  assert.equal(orders.length, 12);
  assert.equal(simulator.counts.trading, 3);
});

test("ids are escaped, and one that would change the path makes no request", async () => {
  await using server = await startScripted(json({ message: "not found", code: 40410000 }, 404));
  const client = clientOf(server);
  await rejection(client.getOrder("a/../b?c#d"));
  assert.equal(server.requests[0]?.url, "/v2/orders/a%2F..%2Fb%3Fc%23d");
  for (const id of ["", ".", ".."]) {
    await assert.rejects(client.getOrder(id), TypeError);
    await assert.rejects(client.cancelOrder(id), TypeError);
  }
  assert.equal(server.requests.length, 1);
});

interface Row {
  readonly fault: Fault;
  readonly kind: string;
  readonly exitCode: number;
  readonly status: number;
  readonly code: number | null;
  readonly says: RegExp;
}

const FAILURES: readonly Row[] = [
  {
    fault: { kind: "status", status: 400 },
    kind: "rejected",
    exitCode: 1,
    status: 400,
    code: 40010000,
    says: /malformed/,
  },
  {
    fault: { kind: "status", status: 401 },
    kind: "credentials",
    exitCode: 77,
    status: 401,
    code: 40110000,
    says: /not authorized; check that ALPACA_API_KEY and ALPACA_API_SECRET belong/,
  },
  {
    fault: { kind: "status", status: 403 },
    kind: "rejected",
    exitCode: 1,
    status: 403,
    code: 40310000,
    says: /buying power/,
  },
  {
    fault: { kind: "status", status: 404 },
    kind: "rejected",
    exitCode: 1,
    status: 404,
    code: 40410000,
    says: /not found/,
  },
  {
    fault: { kind: "status", status: 408 },
    kind: "unavailable",
    exitCode: 69,
    status: 408,
    code: 40810000,
    says: /408/,
  },
  {
    fault: { kind: "status", status: 422 },
    kind: "rejected",
    exitCode: 1,
    status: 422,
    code: 42210000,
    says: /cannot be/,
  },
  {
    fault: { kind: "throttle" },
    kind: "throttled",
    exitCode: 75,
    status: 429,
    code: 42910000,
    says: /rate limit exceeded/,
  },
  {
    fault: { kind: "status", status: 500 },
    kind: "unavailable",
    exitCode: 69,
    status: 500,
    code: 50010000,
    says: /internal/,
  },
  {
    fault: { kind: "status", status: 502 },
    kind: "unavailable",
    exitCode: 69,
    status: 502,
    code: null,
    says: /answered 502: \d+ characters of text\/html/,
  },
  {
    fault: { kind: "redirect", to: "https://example.com" },
    kind: "redirect",
    exitCode: 1,
    status: 302,
    code: null,
    says: /redirect, which is not followed: check ALPACA_BASE_URL/,
  },
  {
    fault: { kind: "garbage", format: "html" },
    kind: "unavailable",
    exitCode: 69,
    status: 200,
    code: null,
    says: /answered 200 with \d+ characters of text\/html where JSON was due/,
  },
  {
    fault: { kind: "garbage", format: "json" },
    kind: "unavailable",
    exitCode: 69,
    status: 200,
    code: null,
    says: /characters of application\/json where JSON was due/,
  },
];

for (const { fault, kind, exitCode, status, code, says } of FAILURES) {
  const what = "format" in fault ? `a 200 with broken ${fault.format}` : `a ${status}`;
  test(`${what} is an AlpacaError of kind ${kind} and means exit code ${exitCode}, for questions and changes alike`, async () => {
    await using simulator = await startSimulator({ now: () => START_MS });
    simulator.fault(fault);
    const client = clientOf(simulator);
    for (const [method, call] of [
      ["GET", client.getOrder(ORDER_ID)],
      ["DELETE", client.cancelOrder(ORDER_ID)],
    ] as const) {
      const error = await rejection(call);
      assert.ok(error instanceof AlpacaError, String(error));
      const { requestId } = simulator.requests.find((request) => request.method === method)!;
      assert.deepEqual(
        { ...error, message: error.message },
        {
          name: "AlpacaError",
          kind,
          exitCode,
          status,
          code,
          method,
          urlTemplate: "/v2/orders/{order_id}",
          requestId,
          message: error.message,
        },
      );
      assert.equal(exitCodeOf(error), exitCode);
      assert.match(error.message, says);
      assert.ok(error.message.startsWith(`Cannot ${method} /v2/orders/{order_id}: Alpaca answered ${status}`));
      assert.ok(error.message.endsWith(`(request id ${requestId})`));
    }
  });
}

test("a 403 of the data host is about credentials", async () => {
  const asked = {
    method: "GET",
    url: new URL("https://data.alpaca.markets/v2/stocks/AAPL/bars"),
    schema: null,
    isList: false,
    secrets: [],
  };
  for (const [isData, kind] of [
    [true, "credentials"],
    [false, "rejected"],
  ] as const) {
    const response = Response.json({ message: "forbidden." }, { status: 403 });
    const error = await rejection(readAnswer(response, { ...asked, isData }));
    assert.ok(error instanceof AlpacaError);
    assert.equal(error.kind, kind);
    assert.match(error.message, /Alpaca answered 403: forbidden\./);
  }
});

test("an answer that does not match its schema names the field, never its value, and means exit code 1", async () => {
  const cases: [Fault, "getClock" | "getAccount" | "getPositions" | "getOrders" | "getCalendar", RegExp][] = [
    [{ kind: "schema", omit: ["is_open"] }, "getClock", /is_open is missing/],
    [{ kind: "schema", set: { is_open: "secret-value" } }, "getClock", /is_open should be true or false/],
    [{ kind: "schema", set: { buying_power: 12.5 } }, "getAccount", /buying_power should be a decimal number as text/],
    [{ kind: "schema", set: { equity: "secret-value" } }, "getAccount", /equity should be a decimal number as text/],
    [{ kind: "schema", set: { qty: "1e5" } }, "getPositions", /0\.qty should be .*, 1\.qty should be .*, 2\.qty/],
    [{ kind: "schema", omit: ["id", "status"] }, "getOrders", /0\.id is missing.*, and \d+ more/],
    [{ kind: "schema", omit: ["date"] }, "getCalendar", /0\.date is missing/],
  ];
  for (const [fault, call, says] of cases) {
    await using simulator = await startSimulator({ now: () => START_MS });
    simulator.fault(fault);
    const error = await rejection(clientOf(simulator)[call]());
    assert.ok(error instanceof AlpacaError, `${call}: ${error}`);
    assert.equal(error.kind, "schema");
    assert.equal(error.exitCode, 1);
    assert.match(error.message, says);
    assert.doesNotMatch(error.message, /secret-value/);
  }
  await using server = await startScripted(json({ an: "object" }), json(null));
  await assert.rejects(clientOf(server).getOrders(), /the body should be a list/);
  await assert.rejects(clientOf(server).getClock(), { kind: "schema" });
});

test("a schema violation is no outage: the breaker counts a success", async () => {
  await using simulator = await startSimulator();
  const { createAlpacaHosts } = await import("../../src/alpaca/host.ts");
  const config = configFor(simulator);
  const hosts = createAlpacaHosts({ config });
  await hosts.trading.breaker.recordFailure();
  simulator.fault({ kind: "schema", omit: ["is_open"] });
  await rejection(createAlpacaClient({ config, hosts }).getClock());
  assert.deepEqual(hosts.trading.breaker.record.automatic, { state: "closed", failures: 0, lastFailureAtMs: null });
});

test("fields that Alpaca gave up, or sends as null, are no schema violation", async () => {
  await using simulator = await startSimulator();
  simulator.fault({ kind: "schema", omit: ["cash", "trading_blocked"], set: { buying_power: null } }, { times: 1 });
  const account = await clientOf(simulator).getAccount();
  assert.equal(account.buying_power, null);
  assert.equal("cash" in account, false);
  simulator.fault({ kind: "schema", set: { symbol: null, side: null, qty: null, submitted_at: null } }, { times: 1 });
  assert.ok((await clientOf(simulator).getOrders()).every(({ symbol }) => symbol === null));
});

test("a change that is answered by a 200 without a body is done", async () => {
  await using server = await startScripted((response) => void response.writeHead(200, { "Content-Length": "0" }).end());
  assert.equal(await clientOf(server).cancelOrder(ORDER_ID), undefined);
  await assert.rejects(clientOf(server).getClock(), {
    kind: "unavailable",
    message: /an empty body where JSON was due/,
  });
});

test("the errors of the fetch pass through the client as they are", async () => {
  const tradingUrl = await deadUrl();
  assert.ok((await rejection(clientOf({ tradingUrl }).getClock())) instanceof AlpacaNetworkError);
  const off = clientOf({ tradingUrl }, { ALPACA_ENABLED: "false" });
  assert.ok((await rejection(off.getClock())) instanceof AlpacaDisabledError);
  const broken = clientOf({ tradingUrl }, { ALPACA_BREAKER_FAILURE_THRESHOLD: "1" });
  await rejection(broken.getClock());
  assert.ok((await rejection(broken.getClock())) instanceof CircuitBreakerOpenError);
});

test("the client's own signal cancels a call, and so does that of the call", async () => {
  await using simulator = await startSimulator();
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  const config = configFor(simulator);
  assert.equal(await rejection(createAlpacaClient({ config, signal }).getClock()), reason);
  assert.equal(await rejection(createAlpacaClient({ config }).getOrders({}, { signal })), reason);
  assert.equal(await rejection(createAlpacaClient({ config }).cancelOrder(ORDER_ID, { signal })), reason);
  assert.equal(simulator.counts.trading, 0);
});

test("no error shows the query or an id of its URL, nor the key and the secret, not even when the answer repeats them", async () => {
  const { keyId, secretKey } = SIMULATOR_CREDENTIALS;
  await using echo = await startScripted((response, { headers }) => {
    json({ message: `no: ${JSON.stringify(headers)}` }, 422)(response, { method: "", url: "", headers, body: "" });
  });
  await using cut = await startScripted((response) => void response.socket?.destroy());
  await using mute = await startScripted(() => {});
  await using away = await startScripted(
    (response) => void response.writeHead(302, { Location: `/${ORDER_ID}` }).end(),
  );
  await using html = await startScripted((response) => void response.end(`<html>${ORDER_ID}`));
  const errors: unknown[] = [];
  for (const { url: tradingUrl } of [echo, cut, mute, away, html]) {
    const env = { ALPACA_BREAKER_FAILURE_THRESHOLD: "2", ...(tradingUrl === mute.url && { ALPACA_TIMEOUT_MS: "50" }) };
    const client = clientOf({ tradingUrl }, env);
    for (let call = 0; call < 3; call++) errors.push(await rejection(client.getOrder(ORDER_ID)));
    errors.push(await rejection(client.getOrders({ symbols: ["TSLA"] })));
  }
  const full = clientOf(html, { ALPACA_ENABLED: "false" });
  errors.push(await rejection(full.getOrder(ORDER_ID)));
  assert.ok(errors.some((error) => error instanceof AlpacaTimeoutError));
  assert.ok(errors.some((error) => error instanceof CircuitBreakerOpenError));
  assert.ok(errors.some((error) => error instanceof AlpacaError && error.message.includes("[hidden]")));
  for (const error of errors) {
    assert.ok(error instanceof Error);
    for (const text of [error.message, error.stack ?? "", JSON.stringify(error)]) {
      for (const hidden of [keyId, secretKey, ORDER_ID, "TSLA", "symbols="]) assert.ok(!text.includes(hidden), text);
    }
    for (const hidden of [keyId, secretKey]) assert.ok(!inspect(error, { depth: 10 }).includes(hidden));
  }
});
