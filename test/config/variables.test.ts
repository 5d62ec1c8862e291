import assert from "node:assert/strict";
import { test } from "node:test";
import type { Config } from "../../src/config/config.ts";
import { type Environment, parseConfig } from "../../src/config/parse.ts";
import { VARIABLE_NAMES, type VariableName } from "../../src/config/variables.ts";
import { EXIT, exitCodeOf } from "../../src/errors.ts";
import { CREDENTIALS, configOf, errorOf, problemsOf, warningsOf } from "./support.ts";

interface Case {
  readonly read: (config: Config) => unknown;
  readonly preset: unknown;
  readonly good: Readonly<Record<string, unknown>>;
  readonly bad: readonly string[];
  /** What must be set for the variable to matter. */
  readonly beside?: Environment;
  /** What the message must say. */
  readonly expected?: RegExp;
}

const key = ({ alpaca }: Config) => (alpaca.enabled ? alpaca.credentials.key.reveal() : null);
const secret = ({ alpaca }: Config) => (alpaca.enabled ? alpaca.credentials.secret.reveal() : null);
const httpUrl: Pick<Case, "bad" | "expected"> = {
  bad: [
    "paper-api.alpaca.markets",
    "paper-api.alpaca.markets:443",
    "http://paper-api.alpaca.markets",
    "ftp://a.b",
    "/v2",
    "https://",
  ],
  expected: /^expected an https URL such as https:\/\/paper-api\.alpaca\.markets \(plain http is for loopback only\)/,
};
const counts = (least: number, most: number): Pick<Case, "bad" | "expected"> => ({
  bad: [`${least - 1}`, `${most + 1}`, "1.5", "1e2", "five", "0x10", "1 000", "+5"],
  expected: new RegExp(`^expected a whole number of [a-z]+ from ${least} to ${most}, such as \\d+$`),
});
const durations = (most: number): Pick<Case, "bad" | "expected"> => ({
  bad: ["0", "0.09", "0.0999", `${most + 1}`, `${most}.001`, "-1", "1m", "1e2", "1.2345", "."],
  expected: new RegExp(`^expected seconds from 0\\.1 to ${most}, such as \\d+$`),
});
const otlpUrl: Pick<Case, "bad" | "expected"> = {
  bad: ["localhost:4318", "collector", "//collector:4318", "ftp://collector", "grpc://collector:4317", "http://"],
  expected: /^expected the collector's URL with its scheme, such as http:\/\/localhost:4318, or remove the variable$/,
};
const PROTOCOLS = ["http/protobuf", "http/json", "grpc"];
const otlpProtocol = {
  good: { ...Object.fromEntries(PROTOCOLS.map((name) => [name, name])), GRPC: "grpc" },
  bad: ["http", "protobuf", "http/xml"],
  expected: /^expected one of http\/protobuf, http\/json, grpc$/,
};
const EXPORTERS = { otlp: true, none: false, console: false, "console,otlp": true, "console, OTLP": true };

const CASES: Record<VariableName, Case> = {
  ALPACA_API_KEY: { read: key, preset: null, good: { AKABCDEFGHIJKLMNOPQR: "AKABCDEFGHIJKLMNOPQR" }, bad: [] },
  ALPACA_API_SECRET: { read: secret, preset: null, good: { "a+b/c=": "a+b/c=" }, bad: [] },
  ALPACA_BASE_URL: {
    read: ({ alpaca }) => alpaca.baseUrl,
    preset: "https://paper-api.alpaca.markets",
    good: {
      "https://api.alpaca.markets": "https://api.alpaca.markets",
      "https://api.alpaca.markets/": "https://api.alpaca.markets",
      "https://API.Alpaca.Markets.": "https://api.alpaca.markets",
      "https://proxy.example.com:8443/alpaca/": "https://proxy.example.com:8443/alpaca",
      "http://127.0.0.1:8080": "http://127.0.0.1:8080",
    },
    ...httpUrl,
  },
  ALPACA_DATA_URL: {
    read: ({ alpaca }) => alpaca.dataUrl,
    preset: "https://data.alpaca.markets",
    good: { "https://data.sandbox.alpaca.markets/": "https://data.sandbox.alpaca.markets" },
    ...httpUrl,
  },
  ALPACA_ENABLED: {
    read: ({ alpaca }) => alpaca.enabled,
    preset: true,
    good: { auto: true, true: true, TRUE: true, false: false, False: false },
    bad: ["yes", "1", "on", "truee"],
    expected: /^expected one of auto, true, false$/,
  },
  ALPACA_ALLOW_LIVE: {
    read: ({ alpaca }) => alpaca.allowLive,
    preset: false,
    good: { true: true, True: true, "1": true, yes: true, false: false, "0": false, no: false },
    bad: ["on", "maybe", "2"],
    expected: /^expected one of true, false, 1, 0, yes, no$/,
  },
  ALPACA_TIMEOUT_MS: {
    read: ({ alpaca }) => alpaca.timeoutMs,
    preset: 10_000,
    good: { "1": 1, "600000": 600_000, "0250": 250 },
    ...counts(1, 600_000),
  },
  ALPACA_MAX_RETRIES: {
    read: ({ alpaca }) => alpaca.maxRetries,
    preset: 2,
    good: { "0": 0, "10": 10 },
    ...counts(0, 10),
  },
  ALPACA_REQUESTS_PER_MINUTE: {
    read: ({ alpaca }) => alpaca.requestsPerMinute,
    preset: 200,
    good: { "1": 1, "10000": 10_000, "1000000": 1_000_000 },
    ...counts(1, 999_999_999_999),
  },
  ALPACA_BREAKER_FAILURE_THRESHOLD: {
    read: ({ alpaca }) => alpaca.breaker.failureThreshold,
    preset: 5,
    good: { "1": 1, "1000": 1_000 },
    ...counts(1, 1_000),
  },
  ALPACA_BREAKER_FAILURE_WINDOW_SECONDS: {
    read: ({ alpaca }) => alpaca.breaker.failureWindowMs,
    preset: 7_200_000,
    good: { "0.1": 100, "604800": 604_800_000 },
    ...durations(604_800),
  },
  ALPACA_BREAKER_FAILURE_RATIO: {
    read: ({ alpaca }) => alpaca.breaker.failureRatio,
    preset: null,
    good: { "0.5": 0.5, ".25": 0.25, "0.000001": 0.000_001, "0.999999": 0.999_999 },
    bad: ["0", "0.0", "1", "1.0", "50%", "-0.5", "0,5", "5e-1", "0.0000001"],
    expected: /^expected a ratio above 0 and below 1, such as 0\.5$/,
  },
  ALPACA_BREAKER_WINDOW_SECONDS: {
    read: ({ alpaca }) => alpaca.breaker.windowMs,
    preset: 60_000,
    good: { "0.1": 100, "3600": 3_600_000 },
    ...durations(3_600),
  },
  ALPACA_BREAKER_MINIMUM_CALLS: {
    read: ({ alpaca }) => alpaca.breaker.minimumCalls,
    preset: 20,
    good: { "1": 1, "100000": 100_000 },
    ...counts(1, 100_000),
  },
  ALPACA_BREAKER_RECOVERY_SECONDS: {
    read: ({ alpaca }) => alpaca.breaker.recoveryTimeoutMs,
    preset: 60_000,
    good: { "0.1": 100, "1.234": 1_234, "86400": 86_400_000 },
    ...durations(86_400),
  },
  ALPACA_BREAKER_MAX_RECOVERY_SECONDS: {
    read: ({ alpaca }) => alpaca.breaker.maxRecoveryTimeoutMs,
    preset: 900_000,
    good: { "60": 60_000, "86400": 86_400_000 },
    ...durations(86_400),
  },
  ALPACA_BREAKER_HALF_OPEN_PROBES: {
    read: ({ alpaca }) => alpaca.breaker.halfOpenProbes,
    preset: 1,
    good: { "1": 1, "100": 100 },
    ...counts(1, 100),
  },
  STATE_DIR: {
    read: ({ store }) => store.kind === "sqlite" && store.path,
    preset: "./.breakwater/state/breakwater.sqlite",
    good: {
      "/var/lib/breakwater": "/var/lib/breakwater/breakwater.sqlite",
      "state dir": "state dir/breakwater.sqlite",
      "~state": "~state/breakwater.sqlite",
    },
    bad: ["~", "~/state"],
    expected: /^expected a folder, absolute or relative to the toolkit's own; ~ is not known here$/,
  },
  DATABASE_URL: {
    read: ({ store }) => (store.kind === "sqlite" ? store.path : [store.url.reveal(), store.poolSize]),
    preset: "./.breakwater/state/breakwater.sqlite",
    good: {
      "sqlite:state.db": "state.db",
      "sqlite:/var/lib/state.db": "/var/lib/state.db",
      "sqlite:///var/lib/state.db": "/var/lib/state.db",
      "postgres://someone:pass@db/breakwater": ["postgres://someone:pass@db/breakwater", 4],
      "postgresql://db/breakwater": ["postgresql://db/breakwater", 4],
    },
    bad: [
      "sqlite:",
      "postgres:",
      "postgres://",
      "postgres:db",
      "mysql://db/breakwater",
      "state.db",
      "db:5432/breakwater",
      "sqlite:~/state.db",
      "sqlite::memory:",
      "sqlite://:memory:",
    ],
    expected:
      /^expected sqlite: and the path of a file, or postgres:\/\/user:password@host\/database, or remove the variable(?:; ~ is not known here|; a database in memory is shared by nobody)?$/,
  },
  DATABASE_POOL_SIZE: {
    beside: { DATABASE_URL: "postgres://db/breakwater" },
    read: ({ store }) => store.kind === "postgres" && store.poolSize,
    preset: 4,
    good: { "1": 1, "100": 100 },
    ...counts(1, 100),
  },
  LOG_LEVEL: {
    read: ({ logLevel }) => logLevel,
    preset: "info",
    good: { debug: "debug", INFO: "info", warn: "warn", error: "error" },
    bad: ["trace", "warning", "0"],
    expected: /^expected one of debug, info, warn, error$/,
  },
  OTEL_SDK_DISABLED: {
    read: ({ telemetry }) => telemetry.disabled,
    preset: false,
    good: { true: true, TRUE: true, false: false, "1": false, anything: false },
    bad: [],
  },
  OTEL_SERVICE_NAME: {
    read: ({ telemetry }) => telemetry.serviceName,
    preset: "breakwater",
    good: { "night watch": "night watch" },
    bad: [],
  },
  OTEL_RESOURCE_ATTRIBUTES: {
    read: ({ telemetry }) => telemetry.resourceAttributes,
    preset: {},
    good: { "host.name=desk,team=a%20b": { "host.name": "desk", team: "a b" } },
    bad: [],
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    read: ({ telemetry }) => telemetry.signals.traces.endpoint,
    preset: null,
    good: {
      "http://collector:4318": "http://collector:4318/v1/traces",
      "https://collector/otlp/": "https://collector/otlp/v1/traces",
    },
    ...otlpUrl,
  },
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {
    read: ({ telemetry }) => telemetry.signals.traces.endpoint,
    preset: null,
    good: { "http://collector:4318/custom": "http://collector:4318/custom" },
    ...otlpUrl,
  },
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: {
    read: ({ telemetry }) => telemetry.signals.metrics.endpoint,
    preset: null,
    good: { "http://collector:4318/custom": "http://collector:4318/custom" },
    ...otlpUrl,
  },
  OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: {
    read: ({ telemetry }) => telemetry.signals.logs.endpoint,
    preset: null,
    good: { "http://collector:4318/custom": "http://collector:4318/custom" },
    ...otlpUrl,
  },
  OTEL_EXPORTER_OTLP_PROTOCOL: {
    read: ({ telemetry }) => telemetry.signals.logs.protocol,
    preset: "http/protobuf",
    ...otlpProtocol,
  },
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: {
    read: ({ telemetry }) => telemetry.signals.traces.protocol,
    preset: "http/protobuf",
    ...otlpProtocol,
  },
  OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: {
    read: ({ telemetry }) => telemetry.signals.metrics.protocol,
    preset: "http/protobuf",
    ...otlpProtocol,
  },
  OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: {
    read: ({ telemetry }) => telemetry.signals.logs.protocol,
    preset: "http/protobuf",
    ...otlpProtocol,
  },
  OTEL_EXPORTER_OTLP_HEADERS: { read: () => null, preset: null, good: { "x-api-key=abc": null }, bad: [] },
  OTEL_EXPORTER_OTLP_TIMEOUT: {
    read: ({ telemetry }) => telemetry.exportTimeoutMs,
    preset: 1_000,
    good: { "1": 1, "250": 250, "1000": 1_000, "1001": 1_000, "600000": 1_000 },
    ...counts(1, 600_000),
  },
  OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: {
    read: ({ telemetry }) => telemetry.temporality,
    preset: "delta",
    good: { delta: "delta", Cumulative: "cumulative", LowMemory: "lowmemory" },
    bad: ["gauge", "deltas"],
    expected: /^expected one of delta, cumulative, lowmemory$/,
  },
  OTEL_TRACES_EXPORTER: {
    read: ({ telemetry }) => telemetry.signals.traces.enabled,
    preset: true,
    good: EXPORTERS,
    bad: [],
  },
  OTEL_METRICS_EXPORTER: {
    read: ({ telemetry }) => telemetry.signals.metrics.enabled,
    preset: true,
    good: EXPORTERS,
    bad: [],
  },
  OTEL_TRACES_SAMPLER: {
    read: ({ telemetry }) => telemetry.sampler.name,
    preset: "parentbased_always_on",
    good: { always_off: "always_off", Traceidratio: "traceidratio" },
    bad: ["sometimes", "parentbased_jaeger_remote"],
    expected: /^expected one of always_on, always_off, traceidratio, parentbased_always_on, /,
  },
  OTEL_TRACES_SAMPLER_ARG: {
    read: ({ telemetry }) => telemetry.sampler.ratio,
    preset: 1,
    good: { "0": 0, "0.25": 0.25, ".5": 0.5, "1.0": 1 },
    bad: ["2", "-1", "half", "1.5"],
    expected: /^expected a share from 0 to 1, such as 0\.25$/,
  },
  OTEL_LOGS_EXPORTER: {
    read: ({ telemetry }) => telemetry.signals.logs.enabled,
    preset: true,
    good: EXPORTERS,
    bad: [],
  },
};

for (const name of VARIABLE_NAMES) {
  const { read, preset, good, bad, beside, expected } = CASES[name] ?? assert.fail(`${name} has no tests`);
  const isCredential = name === "ALPACA_API_KEY" || name === "ALPACA_API_SECRET";
  const parse = (env: Record<string, string | undefined>) => read(configOf({ ...beside, ...env }));

  test(`${name} has its default when it is unset or blank`, () => {
    for (const value of [undefined, "", " ", "\t \r\n"]) {
      const { config } = parseConfig({ ...CREDENTIALS, ...beside, [name]: value });
      assert.deepEqual(read(config), preset);
      if (!isCredential) assert.deepEqual(warningsOf({ [name]: value }), []);
    }
  });

  test(`${name} is read, and white space around it is not`, () => {
    for (const [text, value] of Object.entries(good)) {
      for (const padded of [text, `  ${text}\t`, `${text}\r\n`]) {
        assert.deepEqual(parse({ [name]: padded }), value, JSON.stringify(padded));
      }
    }
  });

  if (bad.length > 0) {
    test(`${name} says what is expected in place of a bad value`, () => {
      for (const value of bad) {
        const problems = problemsOf({ ...CREDENTIALS, [name]: value });
        assert.deepEqual(
          problems.map(({ variable }) => variable),
          [name],
          value,
        );
        assert.match(problems[0]?.message ?? "", expected ?? assert.fail(), value);
      }
    });
  }
}

test("an empty environment is a configuration, with Alpaca disabled", () => {
  const { config } = parseConfig({});
  assert.equal(config.alpaca.enabled, false);
  assert.equal(config.alpaca.environment, "paper");
});

test("the longest cooldown is never below the first", () => {
  assert.deepEqual(
    [configOf({ ALPACA_BREAKER_RECOVERY_SECONDS: "1000" }), configOf({ ALPACA_BREAKER_MAX_RECOVERY_SECONDS: "1" })].map(
      ({ alpaca }) => alpaca.breaker.maxRecoveryTimeoutMs,
    ),
    [1_000_000, 60_000],
  );
});

test("variables that nobody reads are left alone", () => {
  assert.deepEqual(warningsOf({ ALPACA_COLOUR: "blue", PATH: "/usr/bin", OTEL_BSP_MAX_QUEUE_SIZE: "x" }), []);
});

test("all problems are reported at once, each by its name and once, with the exit code of a bad configuration", () => {
  const env = {
    ALPACA_ENABLED: "true",
    ALPACA_API_KEY: "your_api_key_here",
    ALPACA_BASE_URL: "http://user:pass@alpaca.example.com?x=1",
    ALPACA_TIMEOUT_MS: "soon",
    ALPACA_BREAKER_FAILURE_RATIO: "2",
    LOG_LEVEL: "loud",
    OTEL_EXPORTER_OTLP_ENDPOINT: "localhost:4318",
  };
  const error = errorOf(env);
  const names = error.problems.map(({ variable }) => variable);
  assert.deepEqual(
    names.sort(),
    [...Object.keys(env).filter((name) => name !== "ALPACA_ENABLED"), "ALPACA_API_SECRET"].sort(),
  );
  assert.match(error.message, /^Cannot use the configuration, 7 problems:\n {2}/);
  for (const { variable, message } of error.problems) {
    assert.ok(error.message.includes(`\n  ${variable}: ${message}`));
  }
  assert.equal(error.name, "ConfigError");
  assert.equal(exitCodeOf(error), EXIT.configuration);
});

test("one problem is one problem", () => {
  assert.match(
    errorOf({ LOG_LEVEL: "loud" }).message,
    /^Cannot use the configuration, 1 problem:\n {2}LOG_LEVEL: expected/,
  );
});

test("a bad variable does not hide that credentials are missing", () => {
  const problems = problemsOf({ ALPACA_ENABLED: "true", ALPACA_MAX_RETRIES: "many" });
  assert.deepEqual(
    problems.map(({ variable }) => variable),
    ["ALPACA_MAX_RETRIES", "ALPACA_API_KEY", "ALPACA_API_SECRET"],
  );
});
