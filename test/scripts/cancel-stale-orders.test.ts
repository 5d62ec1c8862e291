import assert from "node:assert/strict";
import { test } from "node:test";
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
  assert.deepEqual(outcomes, [
    ["AAPL", "would_cancel"],
    ["MSFT", "would_cancel"],
  ]);
  assert.deepEqual(changes(simulator), []);
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

test("an order that was filled in the meantime is no failure", async () => {
  await using simulator = await simulate({ orders: [ago(5)] });
  simulator.fault(
    { kind: "status", status: 422, code: 42210000, message: "order is not cancelable" },
    { method: "DELETE" },
  );
  const [order] = simulator.orders;
  const { child, ended } = startScript(SCRIPT, {
    args: ["--json", "--older-than", "2h", "--execute"],
    env: simulatorEnv(simulator),
  });
  await simulator.waitForRequest(({ method }) => method === "DELETE");
  simulator.updateOrder(order?.id ?? "", { status: "filled" });
  const { code, stdout } = await ended;
  child.kill();
  // Looked at before or after it was filled: then it is either filled or cannot be canceled.
  const [{ outcome }] = JSON.parse(stdout).orders;
  assert.ok((outcome === "filled" && code === 0) || (outcome === "failed" && code === 1));
});

test("an outage in the middle ends with 69, and what was done so far is printed", async () => {
  await using simulator = await simulate();
  simulator.fault(
    { kind: "status", status: 503 },
    { method: "DELETE", path: new RegExp(simulator.orders[1]?.id ?? "none") },
  );
  const { code, outcomes } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
  assert.equal(code, 69);
  assert.deepEqual(outcomes, [
    ["AAPL", "requested"],
    ["MSFT", "not_tried"],
  ]);
});

test("credentials that stop working end with 77", async () => {
  await using simulator = await simulate();
  simulator.fault({ kind: "status", status: 401 }, { method: "DELETE" });
  const { code, outcomes } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
  assert.equal(code, 77);
  assert.deepEqual(outcomes, [
    ["AAPL", "not_tried"],
    ["MSFT", "not_tried"],
  ]);
});

test("ages are measured on Alpaca's clock: a local clock that is hours off cancels nothing fresh", async () => {
  const behindMs = -4 * HOUR_MS;
  await using simulator = await startSimulator({ orders: [ago(4.5)], now: () => Date.now() + behindMs });
  const { code, outcomes, stderr } = await cancel(simulator, ["--older-than", "2h", "--execute"]);
  assert.equal(code, 0);
  assert.deepEqual(outcomes, []);
  assert.match(stderr, /clock is 14400 s off Alpaca's/);
  assert.deepEqual(changes(simulator), []);
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
