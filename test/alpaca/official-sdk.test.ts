import assert from "node:assert/strict";
import { test } from "node:test";
import { Alpaca, FetchError } from "@alpacahq/alpaca-trade-api/rest";
import { AlpacaNetworkError, CircuitBreakerOpenError } from "../../src/errors.ts";
import { startSimulator } from "../../src/local/simulator.ts";
import { failuresOf, rejection, setUp } from "./support.ts";

const PAPER_URL = "https://paper-api.alpaca.markets";

test("the official SDK runs on the fetch: a good call, a truncated body and an open circuit", async () => {
  await using simulator = await startSimulator();
  // The SDK knows no other hosts than Alpaca's own.
  const { alpacaFetch, breaker, outcomes } = setUp(
    { tradingUrl: PAPER_URL, dataUrl: "https://data.alpaca.markets" },
    { ALPACA_BREAKER_FAILURE_THRESHOLD: "3" },
    { fetch: (input, init) => fetch(String(input).replace(PAPER_URL, simulator.tradingUrl), init) },
  );
  const sdk = new Alpaca({
    keyId: "not the configured one",
    secret: "nor this",
    retry: false,
    rateLimit: false,
    timeoutMs: 0,
    fetchApi: alpacaFetch,
  });
  const account = await sdk.trading.account.getAccount();
  assert.equal(account.status, "ACTIVE");
  assert.deepEqual(outcomes, ["success"]);

  for (const chunked of [false, true]) {
    simulator.fault({ kind: "truncated", chunked }, { times: 1 });
    const error = await rejection(sdk.trading.account.getAccount());
    assert.ok(error instanceof FetchError, String(error));
    assert.ok(error.cause instanceof AlpacaNetworkError);
  }
  assert.equal(failuresOf(breaker), 2);

  simulator.fault({ kind: "status", status: 503 });
  await rejection(sdk.trading.account.getAccount());
  assert.equal(breaker.state, "open");
  const requests = simulator.counts.trading;
  const error = await rejection(sdk.trading.account.getAccount());
  assert.ok(error instanceof FetchError);
  assert.ok(error.cause instanceof CircuitBreakerOpenError);
  assert.equal(simulator.counts.trading, requests);
  assert.ok(simulator.requests.every(({ credentials }) => credentials === "valid"));
});
