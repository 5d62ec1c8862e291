import assert from "node:assert/strict";
import { test } from "node:test";
import { mayBeLive } from "../../src/config/alpaca.ts";
import { isLoopback } from "../../src/config/variables.ts";
import { configOf, problemsOf, warningsOf } from "./support.ts";

test("plain http is for loopback only", () => {
  for (const host of ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.1.2.3:9", "[::1]:8080", "127.1"]) {
    assert.equal(configOf({ ALPACA_BASE_URL: `http://${host}` }).alpaca.environment, "custom", host);
  }
  for (const host of [
    "paper-api.alpaca.markets",
    "localhost.example.com",
    "127.0.0.1.example.com",
    "my-localhost",
    "10.0.0.1",
    "0.0.0.0",
    "[::2]",
    "192.168.0.1",
  ]) {
    for (const variable of ["ALPACA_BASE_URL", "ALPACA_DATA_URL"]) {
      const [problem] = problemsOf({ [variable]: `http://${host}` });
      assert.equal(problem?.variable, variable, host);
      assert.match(problem?.message ?? "", /credentials would travel unencrypted$/, host);
    }
  }
});

test("a URL without a scheme is told what it lacks", () => {
  assert.match(problemsOf({ ALPACA_BASE_URL: "paper-api.alpaca.markets" })[0]?.message ?? "", /; a scheme is needed$/);
});

test("user, password, query and fragment have no place in an API's URL", () => {
  for (const [url, message] of [
    ["https://user@api.alpaca.markets", /use ALPACA_API_KEY and ALPACA_API_SECRET$/],
    ["https://user:pass@api.alpaca.markets", /use ALPACA_API_KEY and ALPACA_API_SECRET$/],
    ["https://api.alpaca.markets?key=1", /without query and fragment$/],
    ["https://api.alpaca.markets#top", /without query and fragment$/],
  ] as const) {
    assert.match(problemsOf({ ALPACA_BASE_URL: url })[0]?.message ?? "", message);
  }
});

test("the environment follows from the host", () => {
  for (const [url, environment] of [
    ["https://api.alpaca.markets", "live"],
    ["https://API.ALPACA.MARKETS./", "live"],
    ["https://api.alpaca.markets:8443", "live"],
    ["https://paper-api.alpaca.markets", "paper"],
    ["https://broker-api.alpaca.markets", "custom"],
    ["https://api.alpaca.markets.example.com", "custom"],
    ["http://localhost:8080", "custom"],
  ] as const) {
    assert.equal(configOf({ ALPACA_BASE_URL: url }).alpaca.environment, environment, url);
  }
});

test("only paper and this machine are surely not live", () => {
  for (const [url, isLive] of [
    ["https://api.alpaca.markets", true],
    ["https://paper-api.alpaca.markets", false],
    ["http://127.0.0.1:8080", false],
    ["http://[::1]:8080", false],
    ["https://proxy.example.com", true],
  ] as const) {
    assert.equal(mayBeLive(configOf({ ALPACA_BASE_URL: url }).alpaca), isLive, url);
  }
});

test("loopback is known by name and by number", () => {
  assert.deepEqual(
    ["localhost", "127.0.0.1", "127.255.0.1", "[::1]", "localhost.", "128.0.0.1", "a.localhost", ""].map(isLoopback),
    [true, true, true, true, false, false, false, false],
  );
});

test("a version at the end of a URL is left out with a warning", () => {
  for (const [url, baseUrl] of [
    ["https://paper-api.alpaca.markets/v2", "https://paper-api.alpaca.markets"],
    ["https://paper-api.alpaca.markets/v2/", "https://paper-api.alpaca.markets"],
    ["https://proxy.example.com/alpaca/v1", "https://proxy.example.com/alpaca"],
  ] as const) {
    assert.equal(configOf({ ALPACA_BASE_URL: url }).alpaca.baseUrl, baseUrl);
    const [warning, ...others] = warningsOf({ ALPACA_BASE_URL: url });
    assert.deepEqual([warning?.area, warning?.variable, others], ["alpaca", "ALPACA_BASE_URL", []]);
    assert.match(warning?.message ?? "", /^ends in a version such as \/v2/);
  }
  const path = "https://proxy.example.com/v2/alpaca";
  assert.equal(configOf({ ALPACA_BASE_URL: path }).alpaca.baseUrl, path);
  assert.deepEqual(warningsOf({ ALPACA_DATA_URL: path }), []);
});

test("trading and data hosts that were exchanged warn", () => {
  for (const host of ["data.alpaca.markets", "data.sandbox.alpaca.markets"]) {
    const [warning] = warningsOf({ ALPACA_BASE_URL: `https://${host}` });
    assert.equal(warning?.variable, "ALPACA_BASE_URL");
    assert.match(
      warning?.message ?? "",
      /^is the market data host; trading is at https:\/\/paper-api\.alpaca\.markets/,
    );
  }
  for (const host of ["api.alpaca.markets", "paper-api.alpaca.markets"]) {
    const [warning] = warningsOf({ ALPACA_DATA_URL: `https://${host}` });
    assert.equal(warning?.variable, "ALPACA_DATA_URL");
    assert.match(warning?.message ?? "", /^is a trading host; market data is at https:\/\/data\.alpaca\.markets$/);
  }
});

test("without credentials there is no warning of hosts", () => {
  const warnings = warningsOf({ ALPACA_API_KEY: undefined, ALPACA_DATA_URL: "https://api.alpaca.markets" });
  assert.deepEqual(
    warnings.map(({ variable }) => variable),
    ["ALPACA_API_KEY"],
  );
});
