import assert from "node:assert/strict";
import { test } from "node:test";
import { createAlpacaHosts } from "../../src/alpaca/host.ts";
import { parseConfig } from "../../src/config/parse.ts";
import { startSimulator } from "../../src/local/simulator.ts";
import { setUp } from "./support.ts";

test("each host has a breaker and a budget of its own, named after what it serves", () => {
  const { config } = parseConfig({});
  const { trading, data } = createAlpacaHosts({ config });
  assert.deepEqual(
    [trading, data].map(({ origin, breaker }) => [origin, breaker.name, breaker.serverAddress]),
    [
      ["https://paper-api.alpaca.markets", "alpaca.trading", "paper-api.alpaca.markets"],
      ["https://data.alpaca.markets", "alpaca.data", "data.alpaca.markets"],
    ],
  );
  assert.notEqual(trading.budget, data.budget);
  assert.equal(trading.budget.remaining(), 200);
});

test("one host for trading and data is one breaker and one budget, called alpaca.trading", () => {
  const { config } = parseConfig({
    ALPACA_BASE_URL: "https://alpaca.example.com/trading",
    ALPACA_DATA_URL: "https://alpaca.example.com/data",
  });
  const { trading, data } = createAlpacaHosts({ config });
  assert.equal(trading, data);
  assert.equal(trading.breaker.name, "alpaca.trading");
});

test("a data outage opens the data circuit and does not block trading", async () => {
  await using simulator = await startSimulator();
  const { alpacaFetch, hosts } = setUp(simulator, { ALPACA_DATA_URL: simulator.dataUrl });
  simulator.fault({ kind: "status", status: 504 }, { host: "data" });
  for (let call = 0; call < 5; call++) await alpacaFetch(`${simulator.dataUrl}/v2/stocks/AAPL/bars`);
  await assert.rejects(alpacaFetch(`${simulator.dataUrl}/v2/stocks/AAPL/bars`), { breaker: "alpaca.data" });
  assert.equal((await alpacaFetch(`${simulator.tradingUrl}/v2/clock`)).status, 200);
  assert.deepEqual([hosts.trading.breaker.state, hosts.data.breaker.state], ["closed", "open"]);
  assert.deepEqual(simulator.counts, { trading: 1, data: 5 });
});

test("the state of a breaker is kept in the cell that it is given", async () => {
  const { config } = parseConfig({});
  const { MemoryCell } = await import("../../src/breaker/cell.ts");
  const cells = new Map<string, InstanceType<typeof MemoryCell>>();
  const cell = (name: string, serverAddress: string) => {
    const made = new MemoryCell();
    cells.set(`${name} ${serverAddress}`, made);
    return made;
  };
  const { data } = createAlpacaHosts({ config, cell });
  await data.breaker.recordFailure();
  assert.deepEqual([...cells.keys()], ["alpaca.trading paper-api.alpaca.markets", "alpaca.data data.alpaca.markets"]);
  assert.equal(cells.get("alpaca.data data.alpaca.markets")?.peek(), data.breaker.record);
});

test("a probe's lease outlasts the timeout of its request", async () => {
  await using simulator = await startSimulator();
  const { breaker, time } = setUp(simulator, { ALPACA_BREAKER_FAILURE_THRESHOLD: "1", ALPACA_TIMEOUT_MS: "90000" });
  await breaker.recordFailure();
  time.nowMs += 60_000;
  await using permit = await breaker.enter();
  assert.equal(breaker.timeUntilRecoveryMs, 95_000);
  await permit.succeed();
});
