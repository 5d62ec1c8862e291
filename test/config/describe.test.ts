import assert from "node:assert/strict";
import { test } from "node:test";
import { describeConfig, placeOf } from "../../src/config/describe.ts";
import { parseConfig } from "../../src/config/parse.ts";
import { configOf, KEY, SECRET } from "./support.ts";

const described = (env: Record<string, string>) => describeConfig(configOf(env));

test("the defaults are described name by name", () => {
  assert.deepEqual(described({}), {
    alpaca: "enabled",
    credentials: "set (hidden)",
    environment: "paper",
    tradingUrl: "https://paper-api.alpaca.markets",
    dataUrl: "https://data.alpaca.markets",
    requests: "200 a minute, 10000 ms each, 2 retries",
    breaker: "opens after 5 outages in a row, tests after 60 s up to 900 s",
    telemetry: "http/protobuf to this machine, if a collector listens",
    state: "SQLite, ./.breakwater/state/breakwater.sqlite",
    logLevel: "info",
  });
});

test("the description says why Alpaca is not enabled", () => {
  assert.equal(describeConfig(parseConfig({}).config).alpaca, "disabled, credentials are missing");
  const off = described({ ALPACA_ENABLED: "false" });
  assert.deepEqual([off.alpaca, off.credentials], ["switched off by ALPACA_ENABLED=false", "not used"]);
});

test("a failure ratio is described as the percentage that was meant", () => {
  for (const [ratio, percentage] of [
    ["0.5", "50%"],
    ["0.07", "7%"],
    ["0.29", "29%"],
    ["0.000001", "0.0001%"],
  ] as const) {
    assert.equal(
      described({ ALPACA_BREAKER_FAILURE_RATIO: ratio }).breaker,
      `opens at ${percentage} failures within 60 s, from 20 calls on, tests after 60 s up to 900 s`,
    );
  }
});

test("permission to change a live account is described", () => {
  const live = described({ ALPACA_BASE_URL: "https://api.alpaca.markets", ALPACA_ALLOW_LIVE: "true" });
  assert.equal(live.environment, "live, changes to a live account are allowed with --execute");
});

test("telemetry is described once where all signals go one way, and by signal where not", () => {
  assert.equal(described({ OTEL_SDK_DISABLED: "true" }).telemetry, "switched off by OTEL_SDK_DISABLED");
  assert.equal(
    described({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4317", OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }).telemetry,
    "grpc to http://collector:4317",
  );
  assert.equal(
    described({ OTEL_LOGS_EXPORTER: "none", OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "https://m.example.com/push" })
      .telemetry,
    "traces: http/protobuf to this machine, if a collector listens; metrics: http/protobuf to https://m.example.com; logs: off",
  );
});

test("the description has neither credentials nor the query of an endpoint", () => {
  const text = JSON.stringify(
    described({ OTEL_EXPORTER_OTLP_ENDPOINT: "https://collector:4318/in?token=Zq81jWv7Kx3b" }),
  );
  for (const secret of [KEY, SECRET, "Zq81jWv7Kx3b"]) assert.ok(!text.includes(secret));
});

test("the place of an endpoint is its origin and path", () => {
  assert.equal(placeOf("http://collector:4318"), "http://collector:4318");
  assert.equal(placeOf("https://someone:Zq81jWv7Kx3b@h:1/v1/traces?token=Zq81jWv7Kx3b#x"), "https://h:1/v1/traces");
});
