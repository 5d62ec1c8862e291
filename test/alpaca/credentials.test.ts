import assert from "node:assert/strict";
import { test } from "node:test";
import { createAlpacaFetch } from "../../src/alpaca/fetch.ts";
import { parseConfig } from "../../src/config/parse.ts";
import { AlpacaDisabledError } from "../../src/errors.ts";
import { SIMULATOR_CREDENTIALS } from "../../src/local/access.ts";
import { startSimulator } from "../../src/local/simulator.ts";
import { configFor, json, rejection, setUp, startScripted } from "./support.ts";

const KEY = "apca-api-key-id";
const SECRET = "apca-api-secret-key";

test("both configured hosts are sent the configured credentials", async () => {
  await using simulator = await startSimulator();
  const { alpacaFetch } = setUp(simulator);
  assert.equal((await alpacaFetch(`${simulator.tradingUrl}/v2/clock`)).status, 200);
  assert.equal((await alpacaFetch(`${simulator.dataUrl}/v2/stocks/AAPL/bars?timeframe=1Day`)).status, 200);
  const onlyTrading = setUp({ tradingUrl: simulator.tradingUrl });
  assert.equal((await onlyTrading.alpacaFetch(`${simulator.dataUrl}/v2/stocks/AAPL/bars?timeframe=1Day`)).status, 403);
  assert.deepEqual(
    simulator.requests.map(({ host, credentials }) => [host, credentials]),
    [
      ["trading", "valid"],
      ["data", "valid"],
      ["data", "missing"],
    ],
  );
});

test("the caller's own credential headers are replaced, in any spelling and form, and its other headers are kept", async () => {
  await using server = await startScripted(json({}));
  const { alpacaFetch } = setUp(server);
  const own = { "APCA-Api-Key-Id": "mine", "apca-API-secret-KEY": "mine too", "X-Mine": "kept" };
  await alpacaFetch(`${server.url}/v2/clock`, { headers: own });
  await alpacaFetch(`${server.url}/v2/clock`, { headers: new Headers(own) });
  await alpacaFetch(`${server.url}/v2/clock`, { headers: Object.entries(own) as [string, string][] });
  await alpacaFetch(new Request(`${server.url}/v2/clock`, { headers: own }));
  await alpacaFetch(new Request(`${server.url}/v2/clock`), { headers: own });
  assert.equal(server.requests.length, 5);
  for (const { headers } of server.requests) {
    assert.equal(headers[KEY], SIMULATOR_CREDENTIALS.keyId);
    assert.equal(headers[SECRET], SIMULATOR_CREDENTIALS.secretKey);
    assert.equal(headers["x-mine"], "kept");
  }
});

test("a Headers object and a Request that the caller gave are left as they were", async () => {
  await using server = await startScripted(json({}));
  const { alpacaFetch } = setUp(server);
  const headers = new Headers({ [KEY]: "mine" });
  const request = new Request(`${server.url}/v2/clock`, { headers });
  await alpacaFetch(`${server.url}/v2/clock`, { headers });
  await alpacaFetch(request);
  assert.deepEqual([...headers], [[KEY, "mine"]]);
  assert.equal(request.headers.get(KEY), "mine");
});

test("another host, or another port of the same one, is called without credentials and without a breaker", async () => {
  await using server = await startScripted(json({}));
  await using other = await startScripted(json({}, 503));
  const { alpacaFetch, outcomes } = setUp(server);
  const headers = { [KEY]: "mine", [SECRET]: "mine too", "X-Mine": "kept" };
  for (let call = 0; call < 6; call++) await alpacaFetch(`${other.url}/v2/clock`, { headers });
  await alpacaFetch(new Request(`${other.url}/v2/clock`, { headers }));
  assert.equal(other.requests.length, 7);
  for (const received of other.requests) {
    assert.equal(received.headers[KEY], undefined);
    assert.equal(received.headers[SECRET], undefined);
    assert.equal(received.headers["x-mine"], "kept");
  }
  assert.deepEqual(outcomes, []);
});

test("no look-alike of a configured host is sent credentials", async () => {
  const { config } = parseConfig({
    ALPACA_API_KEY: SIMULATOR_CREDENTIALS.keyId,
    ALPACA_API_SECRET: SIMULATOR_CREDENTIALS.secretKey,
  });
  const sent: [string, boolean][] = [];
  const alpacaFetch = createAlpacaFetch({
    config,
    fetch: async (input, init) => {
      sent.push([String(input), new Headers(init?.headers).has(KEY) || new Headers(init?.headers).has(SECRET)]);
      return Response.json({});
    },
  });
  const own = [
    "https://paper-api.alpaca.markets/v2/clock",
    "https://PAPER-API.alpaca.markets:443/",
    "https://data.alpaca.markets/",
  ];
  const others = [
    "http://paper-api.alpaca.markets/v2/clock",
    "https://paper-api.alpaca.markets:8443/v2/clock",
    "https://paper-api.alpaca.markets.example.com/v2/clock",
    "https://paper-api.alpaca.markets./v2/clock",
    "https://api.alpaca.markets/v2/clock",
    "https://paper-api.alpaca.markets@example.com/v2/clock",
    "https://example.com/?https://paper-api.alpaca.markets/",
  ];
  for (const url of [...own, ...others]) await alpacaFetch(url);
  assert.deepEqual(sent, [...own.map((url) => [url, true]), ...others.map((url) => [url, false])]);
});

test("a redirect is handed back and never followed, whatever the caller asks for", async () => {
  await using elsewhere = await startScripted(json({}));
  for (const status of [301, 302, 303, 307, 308] as const) {
    for (const redirect of ["follow", "manual", "error"] as const) {
      await using simulator = await startSimulator();
      simulator.fault({ kind: "redirect", to: elsewhere.url, status });
      const { alpacaFetch } = setUp(simulator);
      const response = await alpacaFetch(`${simulator.tradingUrl}/v2/clock`, { redirect });
      assert.equal(response.status, status);
      assert.equal(response.headers.get("location"), `${elsewhere.url}/v2/clock`);
      const posted = new Request(`${simulator.tradingUrl}/v2/orders`, { method: "POST", body: "{}", redirect });
      assert.equal((await alpacaFetch(posted)).status, status);
      assert.equal(simulator.counts.trading, 2);
    }
  }
  assert.deepEqual(elsewhere.requests, []);
});

test("while Alpaca is off, a call throws AlpacaDisabledError that says why, and no request is made", async () => {
  await using simulator = await startSimulator();
  const cases = [
    [{ ALPACA_ENABLED: "false" }, /GET \/v2\/clock: Alpaca is switched off by ALPACA_ENABLED=false/],
    [{ ALPACA_API_KEY: "" }, /disabled until ALPACA_API_KEY and ALPACA_API_SECRET are set/],
  ] as const;
  for (const [env, message] of cases) {
    const alpacaFetch = createAlpacaFetch({ config: configFor(simulator, env) });
    const error = await rejection(alpacaFetch(`${simulator.tradingUrl}/v2/clock`));
    assert.ok(error instanceof AlpacaDisabledError);
    assert.equal(error.exitCode, 78);
    assert.match(error.message, message);
  }
  assert.equal(simulator.counts.trading, 0);
});
