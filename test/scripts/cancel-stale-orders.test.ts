import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fault, FaultOptions } from "../../src/local/faults.ts";
import type { OrderInput } from "../../src/local/order.ts";
import { type Simulator, type SimulatorOptions, startSimulator } from "../../src/local/simulator.ts";
import { runScriptFile, simulatorEnv, startScript } from "../support/script.ts";

const SCRIPT = "scripts/cancel-stale-orders.ts";
const HOUR_MS = 3_600_000;

const ago = (hours: number, symbol = "AAPL"): OrderInput =>
  ({ symbol, submitted_at: new Date(Date.now() - hours * HOUR_MS).toISOString() }) as OrderInput;

function simulate(options: SimulatorOptions = {}): Promise<Simulator> {
  return startSimulator({ orders: [ago(5), ago(3, "MSFT"), ago(1)], ...options });
}

async function cancel(simulator: Simulator, args: string[], env: Record<string, string | undefined> = {}) {
  const outcome = await runScriptFile(SCRIPT, { args: ["--json", ...args], env: simulatorEnv(simulator, env) });
  const result = outcome.stdout === "" ? null : JSON.parse(outcome.stdout);
  const outcomes = (result?.orders ?? []).map(({ symbol, outcome }: { symbol: string; outcome: string }) => [
    symbol,
    outcome,
  ]);
  return { ...outcome, result, outcomes };
}

const changes = (simulator: Simulator) => simulator.requests.filter(({ method }) => method !== "GET");

test("it is a dry run by default: it lists what is stale, and changes nothing", async () => {
  await using simulator = await simulate();
  const { code, result, outcomes } = await cancel(simulator, ["--older-than", "2h"]);
  assert.equal(code, 0);
  assert.equal(result.dryRun, true);
  assert.equal(result.olderThan, "2h");
  assert.equal(result.openOrders, 3);
  assert.deepEqual(Object.keys(result.orders[0]), [
    ...["id", "symbol", "side", "qty", "filledQty", "submittedAt", "ageMs", "status", "outcome", "reason"],
  ]);
  assert.ok(Math.abs(result.orders[0].ageMs - 5 * HOUR_MS) < 60_000);
  assert.deepEqual(outcomes, [
    ["AAPL", "would_cancel"],
    ["MSFT", "would_cancel"],
  ]);
  assert.deepEqual(changes(simulator), []);
  assert.deepEqual(
    simulator.requests.map(({ path }) => path),
    ["/v2/clock", "/v2/orders"],
  );
});

test("a dry run needs no permission on a host that may be live", async () => {
  await using simulator = await simulate();
  const host = { ALPACA_BASE_URL: "https://trading.invalid" };
  // It gets as far as the network, which has no such host.
  assert.equal((await cancel(simulator, ["--older-than", "2h"], host)).code, 69);
});

test("with ALPACA_ALLOW_LIVE, --execute goes ahead on a host that may be live", async () => {
  await using simulator = await simulate();
  const host = { ALPACA_BASE_URL: "https://trading.invalid", ALPACA_ALLOW_LIVE: "true" };
  assert.equal((await cancel(simulator, ["--older-than", "2h", "--execute"], host)).code, 69);
});

test("--execute cancels exactly the stale ones, and waits until they are gone", async () => {
  await using simulator = await simulate({ cancelDelayMs: 300 });
  const { code, outcomes } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
  assert.equal(code, 0);
  assert.deepEqual(outcomes, [
    ["AAPL", "canceled"],
    ["MSFT", "canceled"],
  ]);
  assert.equal(changes(simulator).length, 2);
  assert.equal(simulator.orders.filter(({ status }) => status !== "canceled").length, 1);
});

test("--symbol restricts it, and may be repeated", async () => {
  await using simulator = await simulate({ orders: [ago(5), ago(5, "MSFT"), ago(5, "SPY")] });
  const one = await cancel(simulator, ["--older-than", "2h", "--symbol", "msft"]);
  assert.deepEqual(one.outcomes, [["MSFT", "would_cancel"]]);
  const two = await cancel(simulator, ["--older-than", "2h", "--symbol", "MSFT", "--symbol", "SPY"]);
  assert.equal(two.outcomes.length, 2);
});

test("an order of another symbol stays, even if the answer does not keep to the filter", async () => {
  await using simulator = await simulate({ orders: [ago(5)] });
  simulator.fault({ kind: "schema", set: { symbol: "TSLA" } }, { path: "/v2/orders" });
  const { code, outcomes } = await cancel(simulator, ["--older-than", "2h", "--execute", "--symbol", "AAPL"]);
  assert.equal(code, 0);
  assert.deepEqual(outcomes, []);
  assert.deepEqual(changes(simulator), []);
});

test("an order without a time of submission is as old as its creation, and without either it is not old", async () => {
  await using simulator = await simulate({ orders: [ago(5)] });
  const remove = simulator.fault({ kind: "schema", omit: ["submitted_at"] }, { path: "/v2/orders" });
  assert.equal((await cancel(simulator, ["--older-than", "2h"])).outcomes.length, 1);
  remove();
  simulator.fault({ kind: "schema", omit: ["submitted_at", "created_at"] }, { path: "/v2/orders" });
  assert.equal((await cancel(simulator, ["--older-than", "2h"])).outcomes.length, 0);
});

test("orders that do not go are named, with exit code 1", async () => {
  await using simulator = await simulate({ orders: [ago(5)], cancelDelayMs: 60_000 });
  const { code, outcomes, stderr, result } = await cancel(simulator, [
    "--older-than",
    "2h",
    "--execute",
    "--wait",
    "1s",
  ]);
  assert.equal(code, 1);
  assert.deepEqual(outcomes, [["AAPL", "still_open"]]);
  assert.ok(stderr.includes(`${result.orders[0].id} still open`));
});

test("--wait bounds it even if Alpaca does not answer", async () => {
  await using simulator = await simulate({ orders: [ago(5)], cancelDelayMs: 60_000 });
  simulator.fault({ kind: "hang" }, { method: "GET", path: /^\/v2\/orders\/./ });
  const startMs = performance.now();
  const { code, outcomes } = await cancel(simulator, ["--older-than", "2h", "--execute", "--wait", "1s"]);
  assert.equal(code, 1);
  assert.deepEqual(outcomes, [["AAPL", "still_open"]]);
  assert.ok(performance.now() - startMs < 8_000, "ALPACA_TIMEOUT_MS would be 10 s");
});

/** Changes the only order as soon as the list with it was answered, so before it is canceled. */
async function changedMeanwhile(status: "filled" | "canceled" | "pending_replace") {
  const simulator: Simulator = await simulate({
    orders: [ago(5)],
    onRequest: ({ path }) => {
      if (path === "/v2/orders") simulator.updateOrder(simulator.orders[0]?.id ?? "", { status });
    },
  });
  await using _ = simulator;
  return await cancel(simulator, ["--older-than", "2h", "--execute"]);
}

test("an order that was filled before it was asked for is no failure", async () => {
  const { code, outcomes } = await changedMeanwhile("filled");
  assert.equal(code, 0);
  assert.deepEqual(outcomes, [["AAPL", "filled"]]);
});

test("an order that somebody else canceled is gone, and no failure", async () => {
  const { code, outcomes } = await changedMeanwhile("canceled");
  assert.equal(code, 0);
  assert.deepEqual(outcomes, [["AAPL", "gone"]]);
});

test("an order that cannot be canceled and is still there has failed, with Alpaca's words", async () => {
  const { code, outcomes, result, stderr } = await changedMeanwhile("pending_replace");
  assert.equal(code, 1);
  assert.deepEqual(outcomes, [["AAPL", "failed"]]);
  assert.match(result.orders[0].reason, /422.*order is already in "pending_replace" state/);
  assert.match(stderr, /failed: .*pending_replace/);
});

test("an order that Alpaca no longer knows is gone", async () => {
  await using simulator = await simulate();
  simulator.fault({ kind: "status", status: 404 }, { path: /^\/v2\/orders\/./ });
  const { code, outcomes } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
  assert.equal(code, 0);
  assert.deepEqual(outcomes, [
    ["AAPL", "gone"],
    ["MSFT", "gone"],
  ]);
});

test("a 404 alone does not make an order gone: its state is looked at", async () => {
  await using simulator = await simulate({ orders: [ago(5)] });
  simulator.fault({ kind: "status", status: 404 }, { method: "DELETE" });
  const { code, outcomes } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
  assert.equal(code, 1);
  assert.deepEqual(outcomes, [["AAPL", "failed"]]);
});

test("an order that is filled while it waits is no failure", async () => {
  await using simulator = await simulate({ orders: [ago(5)], cancelDelayMs: 60_000 });
  const { ended } = startScript(SCRIPT, {
    args: ["--json", "--older-than", "2h", "--execute"],
    env: simulatorEnv(simulator),
  });
  await simulator.waitForRequest(({ method, path }) => method === "GET" && path.startsWith("/v2/orders/"));
  simulator.updateOrder(simulator.orders[0]?.id ?? "", { status: "filled", filled_qty: "1" });
  const { code, stdout } = await ended;
  assert.equal(code, 0);
  assert.equal(JSON.parse(stdout).orders[0].outcome, "filled");
  assert.equal(JSON.parse(stdout).orders[0].filledQty, "1");
});

test("many orders are watched by one list, not by a question for each", async () => {
  const orders = Array.from({ length: 12 }, () => ago(5));
  await using simulator = await simulate({ orders, cancelDelayMs: 1_500 });
  const { code, outcomes } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
  assert.equal(code, 0);
  assert.ok(outcomes.every(([, outcome]: string[]) => outcome === "canceled"));
  const single = simulator.requests.filter(({ method, path }) => method === "GET" && path.startsWith("/v2/orders/"));
  assert.ok(single.length <= 20, `${single.length} questions`);
});

/** Sets a fault on the cancellation of the second order. */
function faultSecond(simulator: Simulator, fault: Fault, options: FaultOptions = {}): void {
  simulator.fault(fault, { method: "DELETE", path: new RegExp(simulator.orders[1]?.id ?? "none"), ...options });
}

test("an outage in the middle ends with 69, and what was done so far is printed", async () => {
  await using simulator = await simulate({ orders: [ago(5), ago(4, "MSFT"), ago(3, "SPY")] });
  faultSecond(simulator, { kind: "status", status: 503 });
  const { code, outcomes, stderr } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
  assert.equal(code, 69);
  assert.deepEqual(outcomes, [
    ["AAPL", "canceled"],
    ["MSFT", "unknown"],
    ["SPY", "not_tried"],
  ]);
  assert.match(stderr, /unknown: it was asked for, and no answer came/);
  assert.match(stderr, /not tried/);
});

test("an order whose cancellation arrived, and whose answer did not, is not called untried", async () => {
  await using simulator = await simulate();
  faultSecond(simulator, { kind: "reset" }, { applied: true });
  const { code, outcomes } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
  assert.equal(code, 69);
  assert.deepEqual(outcomes, [
    ["AAPL", "canceled"],
    ["MSFT", "canceled"],
  ]);
});

test("a host that is gone in the middle leaves what was asked for as requested", async () => {
  await using simulator = await simulate();
  faultSecond(simulator, { kind: "reset" });
  simulator.fault({ kind: "reset" }, { method: "GET", path: /^\/v2\/orders\/./ });
  const { code, outcomes } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
  assert.equal(code, 69);
  assert.deepEqual(outcomes, [
    ["AAPL", "requested"],
    ["MSFT", "unknown"],
  ]);
});

for (const [name, fault, expected] of [
  ["credentials that stop working", { kind: "status", status: 401 }, 77],
  ["a throttle", { kind: "throttle", resetSeconds: 2 }, 75],
] as const) {
  test(`${name} in the middle: exit code ${expected}, and no further order is tried`, async () => {
    await using simulator = await simulate({ orders: [ago(5), ago(4, "MSFT"), ago(3, "SPY")] });
    faultSecond(simulator, fault);
    const { code, outcomes } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
    assert.equal(code, expected);
    assert.deepEqual(outcomes, [
      ["AAPL", "requested"],
      ["MSFT", "failed"],
      ["SPY", "not_tried"],
    ]);
    assert.equal(changes(simulator).length, 2);
  });
}

test("a circuit that opens in the middle leaves the rest untried", async () => {
  await using simulator = await simulate({ orders: [ago(5), ago(4, "MSFT"), ago(3, "SPY")] });
  faultSecond(simulator, { kind: "status", status: 503 });
  const { code, outcomes } = await cancel(simulator, ["--older-than", "2h", "--execute"], {
    ALPACA_BREAKER_FAILURE_THRESHOLD: "1",
  });
  assert.equal(code, 69);
  assert.deepEqual(outcomes, [
    ["AAPL", "requested"],
    ["MSFT", "unknown"],
    ["SPY", "not_tried"],
  ]);
});

test("an answer that is not of the schema cancels nothing, names the field, and leaves stdout empty", async () => {
  await using simulator = await simulate();
  simulator.fault({ kind: "schema", omit: ["status"] }, { path: "/v2/orders" });
  const { code, stdout, stderr } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /0\.status is missing/);
  assert.deepEqual(changes(simulator), []);
});

test("an answer that is not JSON is an outage, and cancels nothing", async () => {
  await using simulator = await simulate();
  simulator.fault({ kind: "garbage", format: "html" }, { path: "/v2/orders" });
  const { code, stdout } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
  assert.equal(code, 69);
  assert.equal(stdout, "");
  assert.deepEqual(changes(simulator), []);
});

test("a time that cannot be read cancels nothing", async () => {
  await using simulator = await simulate();
  simulator.fault({ kind: "schema", set: { timestamp: "soon" } }, { path: "/v2/clock" });
  const { code, stdout, stderr } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /timestamp of GET \/v2\/clock/);
  assert.deepEqual(changes(simulator), []);
});

test("ages are measured on Alpaca's clock: a local clock that is hours off cancels nothing fresh", async () => {
  const behindMs = -4 * HOUR_MS;
  await using simulator = await startSimulator({ orders: [ago(4.5)], now: () => Date.now() + behindMs });
  const { code, outcomes, stderr } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
  assert.equal(code, 0);
  assert.deepEqual(outcomes, []);
  assert.match(stderr, /clock is 1(4400|4399)\.\d s ahead of Alpaca's/);
  assert.deepEqual(changes(simulator), []);
});

test("credentials show nowhere, whatever the answer repeats", async () => {
  await using simulator = await simulate({ orders: [ago(5)] });
  simulator.fault({ kind: "status", status: 403, message: `${simulator.secretKey} may not` }, { method: "DELETE" });
  const { code, outcomes, stdout, stderr } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
  assert.equal(code, 1);
  assert.deepEqual(outcomes, [["AAPL", "failed"]]);
  assert.ok(!`${stdout}${stderr}`.includes(simulator.secretKey));
});

test("what a person reads says what to do next, and is plain off a terminal", async () => {
  await using simulator = await simulate();
  const run = async (...args: string[]) =>
    (await runScriptFile(SCRIPT, { args: ["--older-than", ...args], env: simulatorEnv(simulator) })).stdout;
  const dry = await run("2h");
  assert.match(
    dry,
    /^Dry run, nothing was changed: 2 of 3 open orders would be canceled\. Add --execute to cancel\.$/m,
  );
  assert.ok(!dry.includes("\u001b"));
  assert.match(await run("2h", "--execute"), /^2 of 3 open orders older than 2h: 2 canceled\.$/m);
  assert.equal(await run("2h", "--execute"), "None of 1 open order is older than 2h.\n");
});

for (const host of ["https://api.alpaca.markets", "https://trading.example"]) {
  test(`--execute on ${host} needs ALPACA_ALLOW_LIVE, and is refused before any request`, async () => {
    await using simulator = await simulate();
    const { code, stdout, stderr } = await cancel(simulator, ["--older-than", "2h", "--execute"], {
      ALPACA_BASE_URL: host,
    });
    assert.equal(code, 78);
    assert.equal(stdout, "");
    assert.match(stderr, /ALPACA_ALLOW_LIVE/);
  });
}

for (const args of [
  [],
  ["--older-than", "banana"],
  ["--older-than", "0s"],
  ["--older-than", "2h", "--wait", "soon"],
  ["--older-than", "2h", "--symbol", "a b"],
]) {
  test(`usage error, before anything else: ${args.join(" ") || "no flags"}`, async () => {
    await using simulator = await simulate();
    const { code, stdout } = await cancel(simulator, args, { ALPACA_TIMEOUT_MS: "banana" });
    assert.equal(code, 2);
    assert.equal(stdout, "");
    assert.equal(simulator.counts.trading, 0);
  });
}

test("interrupted while it waits, it ends with 130 and says what was requested", async () => {
  await using simulator = await simulate({ orders: [ago(5)], cancelDelayMs: 60_000 });
  const { child, ended } = startScript(SCRIPT, {
    args: ["--json", "--older-than", "2h", "--execute"],
    env: simulatorEnv(simulator),
  });
  const [id = ""] = simulator.orders.map((order) => order.id);
  await simulator.waitForRequest(({ method, path }) => method === "GET" && path.includes(id));
  child.kill("SIGINT");
  const { code, stdout, stderr } = await ended;
  assert.equal(code, 130);
  assert.equal(JSON.parse(stdout).orders[0].outcome, "requested");
  assert.match(stderr, /Interrupted by SIGINT/);
});

test("interrupted while it asks, it tells what was asked for from what was not", async () => {
  await using simulator = await simulate({ orders: [ago(5), ago(4, "MSFT"), ago(3, "SPY")] });
  faultSecond(simulator, { kind: "hang" });
  const { child, ended } = startScript(SCRIPT, {
    args: ["--json", "--older-than", "2h", "--execute"],
    env: simulatorEnv(simulator),
  });
  const second = simulator.orders[1]?.id ?? "none";
  await simulator.waitForRequest(({ method, path }) => method === "DELETE" && path.includes(second));
  child.kill("SIGTERM");
  const { code, stdout } = await ended;
  assert.equal(code, 143);
  assert.deepEqual(
    JSON.parse(stdout).orders.map(({ outcome }: { outcome: string }) => outcome),
    ["requested", "unknown", "not_tried"],
  );
});
