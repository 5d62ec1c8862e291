import assert from "node:assert/strict";
import { test } from "node:test";
import type { SignalName } from "../../src/config/config.ts";
import { configOf, problemsOf, warningsOf } from "./support.ts";

const SIGNALS = ["traces", "metrics", "logs"] as const satisfies readonly SignalName[];

function endpointsOf(env: Record<string, string>): (string | null)[] {
  const { signals } = configOf(env).telemetry;
  return SIGNALS.map((name) => signals[name].endpoint);
}

test("without a variable every signal goes to the default by http/protobuf", () => {
  const { telemetry } = configOf({});
  const signal = { enabled: true, protocol: "http/protobuf", endpoint: null };
  assert.deepEqual(telemetry, {
    disabled: false,
    serviceName: "breakwater",
    resourceAttributes: {},
    signals: { traces: signal, metrics: signal, logs: signal },
    sampler: { name: "parentbased_always_on", ratio: 1 },
    temporality: "delta",
    exportTimeoutMs: 1_000,
  });
});

test("the common endpoint gets the path of each signal over HTTP, and none over gRPC", () => {
  const endpoint = "http://collector:4318/";
  const paths = SIGNALS.map((name) => `http://collector:4318/v1/${name}`);
  assert.deepEqual(endpointsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }), paths);
  assert.deepEqual(
    endpointsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" }),
    paths,
  );
  assert.deepEqual(endpointsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }), [
    endpoint,
    endpoint,
    endpoint,
  ]);
});

test("a signal's own endpoint is used as it is and goes before the common one", () => {
  assert.deepEqual(
    endpointsOf({
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318",
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "https://metrics.example.com/push/",
    }),
    ["http://collector:4318/v1/traces", "https://metrics.example.com/push/", "http://collector:4318/v1/logs"],
  );
});

test("a signal's own protocol goes before the common one", () => {
  const { signals } = configOf({
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4317",
    OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
    OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: "http/json",
  }).telemetry;
  assert.deepEqual(signals.traces, { enabled: true, protocol: "grpc", endpoint: "http://collector:4317" });
  assert.deepEqual(signals.logs, { enabled: true, protocol: "http/json", endpoint: "http://collector:4317/v1/logs" });
});

test("an endpoint without a scheme is told how it should look", () => {
  for (const name of [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    ...SIGNALS.map((one) => `OTEL_EXPORTER_OTLP_${one.toUpperCase()}_ENDPOINT`),
  ]) {
    for (const value of ["localhost:4318", "127.0.0.1:4318", "collector.example.com"]) {
      assert.deepEqual(problemsOf({ [name]: value }), [
        {
          variable: name,
          message:
            "expected the collector's URL with its scheme, such as http://localhost:4318, or remove the variable",
        },
      ]);
    }
  }
});

test("user and password have no place in an endpoint, since it is shown", () => {
  for (const url of ["http://user:pass@collector:4318", "https://token@collector"]) {
    const [problem] = problemsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: url });
    assert.match(problem?.message ?? "", /do not belong in it: use OTEL_EXPORTER_OTLP_HEADERS$/);
  }
});

test("resource attributes are decoded, and one without a value is empty", () => {
  assert.deepEqual(
    configOf({ OTEL_RESOURCE_ATTRIBUTES: " host.name = desk , team=a%2Cb%3D%C3%A9,empty=" }).telemetry
      .resourceAttributes,
    { "host.name": "desk", team: "a,b=é", empty: "" },
  );
});

test("resource attributes that cannot be read are ignored as a whole, with one warning", () => {
  for (const text of ["team", "team=a,nonsense,other", "=a", "team=a=b", "team=%E0%A4%A", "team=a,,"]) {
    assert.deepEqual(configOf({ OTEL_RESOURCE_ATTRIBUTES: text }).telemetry.resourceAttributes, {}, text);
    assert.deepEqual(
      warningsOf({ OTEL_RESOURCE_ATTRIBUTES: text }),
      [
        {
          area: "telemetry",
          variable: "OTEL_RESOURCE_ATTRIBUTES",
          message: "expected key=value pairs with commas between them, percent-encoded; all of it is ignored",
        },
      ],
      text,
    );
  }
});

test("a name cannot reach the prototype of the attributes", () => {
  const { resourceAttributes } = configOf({ OTEL_RESOURCE_ATTRIBUTES: "__proto__=x,team=a" }).telemetry;
  assert.equal(resourceAttributes.team, "a");
  assert.equal(Object.getPrototypeOf(resourceAttributes), Object.prototype);
});

test("the service's name comes from its variable, then from the attributes, then from us", () => {
  const name = (env: Record<string, string>) => configOf(env).telemetry.serviceName;
  const attributes = { OTEL_RESOURCE_ATTRIBUTES: "service.name=from-attributes" };
  assert.equal(name({ ...attributes, OTEL_SERVICE_NAME: "from-variable" }), "from-variable");
  assert.equal(name(attributes), "from-attributes");
  assert.equal(name({}), "breakwater");
});
