import assert from "node:assert/strict";
import { test } from "node:test";
import type { OrderInput, SimulatedOrder } from "../../src/local/order.ts";
import { type Simulator, startSimulator } from "../../src/local/simulator.ts";

const NOW_MS = Date.parse("2026-11-18T15:00:00Z");

async function call(sim: Simulator, method: string, path: string, body?: unknown) {
  const headers = { "APCA-API-KEY-ID": sim.keyId, "APCA-API-SECRET-KEY": sim.secretKey };
  const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
  const response = await fetch(sim.tradingUrl + path, init);
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
}

async function idsOf(sim: Simulator, query: string): Promise<string[]> {
  const { body } = await call(sim, "GET", `/v2/orders${query}`);
  return (body as SimulatedOrder[]).map(({ client_order_id }) => client_order_id);
}

/** Four orders, a second apart; `b` and `c` of the very same nanosecond. */
const FOUR: OrderInput[] = [
  { client_order_id: "a", symbol: "AAPL", submitted_at: "2026-11-18T14:00:00.000000001Z" },
  { client_order_id: "b", symbol: "F", submitted_at: "2026-11-18T14:00:01.000000002Z", status: "filled" },
  { client_order_id: "c", symbol: "F", submitted_at: "2026-11-18T14:00:01.000000002Z" },
  { client_order_id: "d", symbol: "MSFT", submitted_at: "2026-11-18T14:00:02.000000003Z" },
];

test("orders are listed open ones only and newest first unless asked otherwise", async () => {
  await using sim = await startSimulator({ now: () => NOW_MS, orders: FOUR });
  assert.deepEqual(await idsOf(sim, ""), ["d", "c", "a"]);
  assert.deepEqual(await idsOf(sim, "?status=closed"), ["b"]);
  assert.deepEqual(await idsOf(sim, "?status=all&direction=asc"), ["a", "b", "c", "d"]);
  assert.deepEqual(await idsOf(sim, "?status=all&symbols=AAPL,MSFT&limit=1"), ["d"]);
});

test("after and until are exclusive to the nanosecond", async () => {
  await using sim = await startSimulator({ now: () => NOW_MS, orders: FOUR });
  const after = "2026-11-18T14:00:00.000000001Z";
  const until = "2026-11-18T14:00:02.000000003Z";
  assert.deepEqual(await idsOf(sim, `?status=all&direction=asc&after=${after}&until=${until}`), ["b", "c"]);
  assert.deepEqual(await idsOf(sim, "?status=all&after=2026-11-18T14:00:01.000000001Z&direction=asc"), ["b", "c", "d"]);
});

test("paging by order id loses nothing where two orders have one instant", async () => {
  await using sim = await startSimulator({ now: () => NOW_MS, orders: FOUR });
  const [, b, c] = sim.orders;
  assert.deepEqual(await idsOf(sim, `?status=all&direction=asc&after_order_id=${b?.id}`), ["c", "d"]);
  assert.deepEqual(await idsOf(sim, `?status=all&before_order_id=${c?.id}`), ["b", "a"]);
});

test("50 orders are a page by default, and 500 at most", async () => {
  await using sim = await startSimulator({ now: () => NOW_MS, orders: 60 });
  assert.equal((await idsOf(sim, "?status=all")).length, 50);
  assert.equal((await idsOf(sim, "?status=all&limit=500")).length, 60);
  for (const query of [
    "limit=501",
    "limit=0",
    "status=some",
    "after=yesterday",
    "before_order_id=x&after_order_id=y",
  ]) {
    assert.equal((await call(sim, "GET", `/v2/orders?${query}`)).status, 422, query);
  }
});

test("legs are orders of their own unless nested is asked for", async () => {
  const legs = [{ client_order_id: "profit" }, { client_order_id: "loss", status: "held" as const }];
  await using sim = await startSimulator({ now: () => NOW_MS, orders: [{ client_order_id: "parent", legs }] });
  assert.deepEqual((await idsOf(sim, "?direction=asc")).toSorted(), ["loss", "parent", "profit"]);
  const { body } = await call(sim, "GET", "/v2/orders?nested=true");
  assert.deepEqual(
    body.map((one: SimulatedOrder) => one.legs?.map((leg) => leg.client_order_id)),
    [["profit", "loss"]],
  );
});

test("a cancel is requested first and takes effect after its delay", async () => {
  let nowMs = NOW_MS;
  await using sim = await startSimulator({ now: () => nowMs, orders: [{}], cancelDelayMs: 500 });
  const path = `/v2/orders/${sim.orders[0]?.id}`;
  assert.deepEqual(await call(sim, "DELETE", path), { status: 204, body: undefined });
  nowMs += 499;
  assert.equal((await call(sim, "GET", path)).body.status, "pending_cancel");
  assert.equal((await call(sim, "DELETE", path)).status, 204);
  nowMs += 1;
  const { body } = await call(sim, "GET", path);
  assert.equal(body.status, "canceled");
  assert.equal(body.canceled_at, "2026-11-18T15:00:00.500000000Z");
  const again = await call(sim, "DELETE", path);
  assert.equal(again.status, 422);
  assert.deepEqual(again.body, { code: 42210000, message: 'order is already in "canceled" state' });
});

test("an order that fills while its cancel is pending stays filled", async () => {
  let nowMs = NOW_MS;
  await using sim = await startSimulator({ now: () => nowMs, orders: [{}], cancelDelayMs: 500 });
  const id = sim.orders[0]!.id;
  await call(sim, "DELETE", `/v2/orders/${id}`);
  sim.updateOrder(id, { status: "filled" });
  nowMs += 1000;
  assert.equal((await call(sim, "GET", `/v2/orders/${id}`)).body.status, "filled");
});

test("an unknown order is 404 with Alpaca's code", async () => {
  await using sim = await startSimulator({ now: () => NOW_MS, orders: [] });
  for (const [method, path] of [
    ["GET", "/v2/orders/0"],
    ["DELETE", "/v2/orders/0"],
    ["GET", "/v2/orders:by_client_order_id?client_order_id=0"],
  ] as const) {
    const { status, body } = await call(sim, method, path);
    assert.deepEqual([status, body.code], [404, 40410000], `${method} ${path}`);
  }
});

test("cancelling all gives 207 with a result for each open order", async () => {
  await using sim = await startSimulator({
    now: () => NOW_MS,
    orders: [{}, { status: "pending_replace" }, { status: "filled" }],
  });
  const { status, body } = await call(sim, "DELETE", "/v2/orders");
  assert.equal(status, 207);
  assert.deepEqual(
    body.map((one: { id: string; status: number }) => [one.id, one.status]),
    [
      [sim.orders[0]?.id, 200],
      [sim.orders[1]?.id, 422],
    ],
  );
});

test("a posted order is found by its client order id, which is taken then", async () => {
  await using sim = await startSimulator({ now: () => NOW_MS, orders: [], positions: [] });
  const order = { symbol: "F", side: "buy", type: "limit", qty: "2", limit_price: "10", time_in_force: "day" };
  const posted = await call(sim, "POST", "/v2/orders", { ...order, client_order_id: "mine" });
  assert.equal(posted.status, 200);
  assert.equal(posted.body.status, "new");
  assert.equal(posted.body.qty, "2");
  assert.match(posted.body.submitted_at, /^2026-11-18T15:00:00\.\d{9}Z$/);
  const found = await call(sim, "GET", "/v2/orders:by_client_order_id?client_order_id=mine");
  assert.equal(found.body.id, posted.body.id);
  const double = await call(sim, "POST", "/v2/orders", { ...order, client_order_id: "mine" });
  assert.deepEqual([double.status, double.body.code], [422, 40010001]);
  const long = await call(sim, "POST", "/v2/orders", { ...order, client_order_id: "x".repeat(129) });
  assert.equal(long.status, 422);
  assert.equal((await call(sim, "POST", "/v2/orders", { ...order, limit_price: undefined })).status, 422);
  assert.equal((await call(sim, "POST", "/v2/orders", [])).status, 400);
  assert.equal(sim.orders.length, 1);
});

test("what open orders hold cannot be sold again", async () => {
  await using sim = await startSimulator({
    now: () => NOW_MS,
    positions: [{ symbol: "F", qty: "10" }],
    orders: [{ symbol: "F", side: "sell", qty: "8" }],
  });
  assert.equal((await call(sim, "GET", "/v2/positions")).body[0].qty_available, "2");
  const sale = { symbol: "F", side: "sell", type: "market", qty: "3", time_in_force: "day" };
  const { status, body } = await call(sim, "POST", "/v2/orders", sale);
  assert.deepEqual([status, body.code, body.held_for_orders], [403, 40310000, "8"]);
  assert.equal((await call(sim, "POST", "/v2/orders", { ...sale, qty: "2" })).status, 200);
});
