import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFault } from "../../src/local/fault-text.ts";
import type { Fault } from "../../src/local/faults.ts";
import { type Simulator, startSimulator } from "../../src/local/simulator.ts";

const NOW_MS = Date.parse("2026-11-18T15:00:00Z");

function start(): Promise<Simulator> {
  return startSimulator({ orders: [], positions: [], now: () => NOW_MS });
}

function call(sim: Simulator, path = "/v2/clock", init: RequestInit = {}): Promise<Response> {
  const headers = { "APCA-API-KEY-ID": sim.keyId, "APCA-API-SECRET-KEY": sim.secretKey };
  return fetch(sim.tradingUrl + path, { redirect: "manual", headers, ...init });
}

async function statuses(sim: Simulator, count: number, path?: string): Promise<number[]> {
  const found: number[] = [];
  for (let index = 0; index < count; index += 1) found.push((await call(sim, path)).status);
  return found;
}

test("a counted fault passes after its times, a standing one only when it is removed", async () => {
  await using sim = await start();
  const remove = sim.fault({ kind: "status", status: 500 });
  sim.fault({ kind: "status", status: 503 }, { times: 2 });
  assert.deepEqual(await statuses(sim, 4), [503, 503, 500, 500]);
  remove();
  assert.deepEqual(await statuses(sim, 1), [200]);
  sim.fault({ kind: "status", status: 502 });
  sim.clearFaults();
  assert.deepEqual(await statuses(sim, 1), [200]);
});

test("a fault is for the host, method and path that it names", async () => {
  await using sim = await start();
  sim.fault({ kind: "status", status: 418 }, { path: /^\/v2\/cl/g, method: "get", host: "trading" });
  sim.fault({ kind: "status", status: 404 }, { host: "data" });
  sim.fault({ kind: "status", status: 422 }, { path: "/v2/orders", method: "DELETE" });
  assert.deepEqual(await statuses(sim, 2), [418, 418]);
  assert.deepEqual(await statuses(sim, 1, "/v2/orders"), [200]);
  assert.equal((await call(sim, "/v2/orders", { method: "DELETE" })).status, 422);
  assert.equal((await fetch(`${sim.dataUrl}/v2/clock`)).status, 404);
});

test("502, 503 and 504 are HTML, 500 and 4xx are envelopes", async () => {
  await using sim = await start();
  for (const status of [502, 503, 504]) {
    sim.fault({ kind: "status", status }, { times: 1 });
    const response = await call(sim);
    assert.equal(response.headers.get("content-type"), "text/html");
    assert.match(await response.text(), new RegExp(`<h1>${status} .*nginx`, "s"));
  }
  sim.fault({ kind: "status", status: 500 }, { times: 1 });
  assert.deepEqual(await (await call(sim)).json(), { code: 50010000, message: "internal server error occurred" });
  sim.fault({ kind: "status", status: 403, code: 40310000, message: "wash trade" }, { times: 1 });
  assert.deepEqual(await (await call(sim)).json(), { code: 40310000, message: "wash trade" });
});

test("a throttle says when it is over", async () => {
  await using sim = await start();
  sim.fault({ kind: "throttle", resetSeconds: 7, retryAfterSeconds: 9 });
  const response = await call(sim);
  assert.equal(response.status, 429);
  assert.equal(response.headers.get("x-ratelimit-remaining"), "0");
  assert.equal(response.headers.get("x-ratelimit-reset"), String(NOW_MS / 1000 + 7));
  assert.equal(response.headers.get("retry-after"), "9");
});

test("a reset and a truncated body fail in fetch, and the truncated one after its status", async () => {
  await using sim = await start();
  sim.fault({ kind: "reset" }, { times: 1 });
  await assert.rejects(call(sim), TypeError);
  assert.equal(sim.requests.at(-1)?.status, null);
  for (const chunked of [false, true]) {
    sim.fault({ kind: "truncated", chunked }, { times: 1 });
    const response = await call(sim);
    assert.equal(response.status, 200);
    assert.equal(response.headers.has("content-length"), !chunked);
    await assert.rejects(response.text());
  }
  assert.deepEqual(await statuses(sim, 1), [200]);
});

test("garbage is a 200 that is no JSON", async () => {
  await using sim = await start();
  for (const [format, type] of [
    ["html", "text/html"],
    ["json", "application/json; charset=UTF-8"],
  ] as const) {
    sim.fault({ kind: "garbage", format }, { times: 1 });
    const response = await call(sim);
    assert.deepEqual([response.status, response.headers.get("content-type")], [200, type]);
    await assert.rejects(response.json(), SyntaxError);
  }
});

test("a redirect points to the same path of another host", async () => {
  await using sim = await start();
  await using other = await start();
  sim.fault({ kind: "redirect", to: other.tradingUrl, status: 307 });
  const response = await call(sim, "/v2/orders?status=all");
  assert.equal(response.status, 307);
  assert.equal(response.headers.get("location"), `${other.tradingUrl}/v2/orders?status=all`);
  assert.equal(other.requests.length, 0);
});

test("a clock fault shifts the date and the market clock alike", async () => {
  await using sim = await start();
  sim.fault({ kind: "clock", offsetMs: -90_000 });
  const response = await call(sim);
  assert.equal(response.headers.get("date"), "Wed, 18 Nov 2026 14:58:30 GMT");
  assert.match(((await response.json()) as { timestamp: string }).timestamp, /^2026-11-18T09:58:30/);
});

test("a schema fault takes fields away and replaces others, in lists too", async () => {
  await using sim = await start();
  sim.addOrder({ client_order_id: "a" });
  sim.fault({ kind: "schema", omit: ["is_open", "qty"], set: { symbol: 7 } });
  assert.equal("is_open" in ((await (await call(sim)).json()) as object), false);
  const [order] = (await (await call(sim, "/v2/orders")).json()) as Record<string, unknown>[];
  assert.deepEqual([order?.symbol, order && "qty" in order, order?.client_order_id], [7, false, "a"]);
});

test("an applied fault loses the answer and not the order; one that is not applied loses both", async () => {
  await using sim = await start();
  const order = { symbol: "F", side: "buy", type: "market", qty: "1", time_in_force: "day" };
  const post = (id: string) =>
    call(sim, "/v2/orders", { method: "POST", body: JSON.stringify({ ...order, client_order_id: id }) });
  sim.fault({ kind: "status", status: 504 }, { times: 1, applied: true });
  assert.equal((await post("applied")).status, 504);
  // Standing, because Deno's fetch sends a request again by itself when a kept connection is reset.
  sim.fault({ kind: "reset" });
  await assert.rejects(post("lost"));
  assert.deepEqual(
    sim.orders.map(({ client_order_id }) => client_order_id),
    ["applied"],
  );
});

test("a delayed answer is late by its delay, and what was asked for is done before", async () => {
  await using sim = await start();
  sim.addOrder();
  sim.fault({ kind: "delay", delayMs: 80 });
  const startedMs = performance.now();
  const response = await call(sim, "/v2/orders", { method: "DELETE" });
  assert.equal(response.status, 207);
  // A timer may fire up to a millisecond early.
  assert.ok(performance.now() - startedMs >= 79);
});

test("closing ends hanging and delayed requests at once", async () => {
  const sim = await start();
  sim.fault({ kind: "hang" }, { times: 1 });
  sim.fault({ kind: "delay", delayMs: 60_000 });
  const calls = [call(sim), call(sim)].map((one) => assert.rejects(one, TypeError));
  const hung = await sim.waitForRequest(({ fault }) => fault === "hang");
  await sim.waitForRequest(({ fault }) => fault === "delay");
  assert.equal(hung.status, null);
  const startedMs = performance.now();
  await sim.close();
  await Promise.all(calls);
  assert.ok(performance.now() - startedMs < 1000);
});

test("faults that make no sense are refused when they are set", async () => {
  await using sim = await start();
  assert.throws(() => sim.fault({ kind: "status", status: 200 }), /status must be .* from 400 to 599, not 200/);
  assert.throws(() => sim.fault({ kind: "delay", delayMs: -1 }), /delayMs/);
  assert.throws(() => sim.fault({ kind: "hang" }, { times: 0 }), /times/);
  assert.throws(() => sim.fault({ kind: "redirect", to: "/here" }), /absolute URL/);
  assert.throws(() => sim.fault({ kind: "flood" } as unknown as Fault), /unknown kind flood/);
});

test("a fault is read as a person types it", () => {
  assert.deepEqual(parseFault("503"), { kind: "status", status: 503 });
  assert.deepEqual(parseFault("throttle:30"), { kind: "throttle", resetSeconds: 30 });
  assert.deepEqual(parseFault("clock:-90000"), { kind: "clock", offsetMs: -90_000 });
  assert.deepEqual(parseFault("redirect:http://127.0.0.1:1"), { kind: "redirect", to: "http://127.0.0.1:1" });
  for (const text of ["", "200", "delay", "hang:3", "delay:soon", "redirect:here"]) {
    assert.throws(() => parseFault(text), /^TypeError: Cannot (read|set) fault/, text);
  }
});
