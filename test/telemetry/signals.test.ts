import assert from "node:assert/strict";
import { hostname } from "node:os";
import { test } from "node:test";
import { INSTRUMENTS, TOOLKIT_VERSION } from "../../src/instruments.ts";
import { listenOnLoopback } from "../../src/local/loopback-server.ts";
import { startOtlpReceiver } from "../../src/local/otlp-receiver.ts";
import { hostName } from "../../src/telemetry/sdk.ts";
import { openSession, ROOT, recordEvent, recordOneOfEach, rootRecord, spanRecord } from "./support.ts";

const DEADLINE_MS = 1_200;
const NS_PER_MS = 1_000_000n;

for (const protocol of ["http/protobuf", "http/json"]) {
  test(`every export carries OTEL_EXPORTER_OTLP_HEADERS, over ${protocol}`, async (t) => {
    const arrived: unknown[] = [];
    const http = await listenOnLoopback((request, response) => {
      arrived.push(request.headers.authorization);
      response.writeHead(200).end();
    });
    t.after(() => http.close());
    const session = await openSession({
      OTEL_EXPORTER_OTLP_ENDPOINT: http.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20a-token",
    });
    recordOneOfEach(session);
    assert.deepEqual(await session.end(DEADLINE_MS), []);
    assert.deepEqual(arrived, Array(3).fill("Bearer a-token"));
  });
}

for (const protocol of ["http/protobuf", "http/json"]) {
  test(`spans and events arrive with the ids and times that they were given, over ${protocol}`, async () => {
    await using receiver = await startOtlpReceiver();
    const session = await openSession({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    });
    const link = { traceId: "1".repeat(32), spanId: "2".repeat(16) };
    session.sink.span(spanRecord({ links: [link], errorType: "503" }));
    session.sink.span(spanRecord({ spanId: "c".repeat(16), parentSpanId: "00f067aa0ba902b7", kind: "internal" }));
    recordEvent(session, "circuit_breaker.opened");
    session.sink.span(rootRecord());
    assert.deepEqual(await session.end(DEADLINE_MS), []);
    const { spans, logs } = receiver.received;
    const [child, grandchild, root] = spans;
    assert.equal(child?.traceId, ROOT.traceId);
    assert.equal(child.spanId, "00f067aa0ba902b7");
    assert.equal(child.parentSpanId, ROOT.spanId);
    assert.equal(child.kind, "client");
    assert.equal(child.status.code, "error");
    assert.equal(child.startTimeNs, BigInt(ROOT.startMs + 10) * NS_PER_MS);
    assert.equal(child.endTimeNs, BigInt(ROOT.startMs + 30) * NS_PER_MS);
    assert.deepEqual(
      child.links.map(({ traceId, spanId }) => ({ traceId, spanId })),
      [link],
    );
    assert.equal(grandchild?.parentSpanId, child.spanId);
    assert.deepEqual(
      [root?.traceId, root?.spanId, root?.parentSpanId, root?.name],
      [ROOT.traceId, ROOT.spanId, null, ROOT.name],
    );
    assert.equal(root?.startTimeNs, BigInt(ROOT.startMs) * NS_PER_MS);
    assert.equal(root.attributes["script.name"], "under-test");
    assert.equal(root.scope.version, TOOLKIT_VERSION);
    assert.deepEqual(
      logs.map(({ eventName, traceId, spanId, severityText, scope }) => [
        eventName,
        traceId,
        spanId,
        severityText,
        scope.version,
      ]),
      [["circuit_breaker.opened", ROOT.traceId, ROOT.spanId, "WARN", TOOLKIT_VERSION]],
    );
  });
}

test("the root continues the trace of another process, as that one sampled it", async () => {
  await using receiver = await startOtlpReceiver();
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
  for (const parentSampled of [true, false]) {
    const root = { ...ROOT, parentSpanId: "d".repeat(16), parentSampled };
    const session = await openSession(env, { root });
    session.sink.span(spanRecord());
    session.sink.span(rootRecord(root));
    await session.end(DEADLINE_MS);
  }
  assert.deepEqual(
    receiver.received.spans.map(({ traceId, spanId, parentSpanId }) => [traceId, spanId, parentSpanId]),
    [
      [ROOT.traceId, "00f067aa0ba902b7", ROOT.spanId],
      [ROOT.traceId, ROOT.spanId, "d".repeat(16)],
    ],
  );
});

test("a sampler decides for a whole run, and never drops what an earlier run kept", async () => {
  await using receiver = await startOtlpReceiver();
  const replayed = { traceId: "e".repeat(32), spanId: "f".repeat(16) };
  for (const sampler of ["always_off", "traceidratio", "parentbased_traceidratio", "parentbased_always_off"]) {
    const session = await openSession({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_TRACES_SAMPLER: sampler,
      OTEL_TRACES_SAMPLER_ARG: "0",
    });
    session.sink.span(spanRecord());
    session.sink.span(spanRecord({ spanId: "c".repeat(16), parentSpanId: "00f067aa0ba902b7" }));
    session.sink.span(spanRecord({ ...replayed, parentSpanId: null }));
    session.sink.span(spanRecord({ ...replayed, parentSpanId: "a".repeat(16) }));
    session.sink.span(rootRecord());
    await session.end(DEADLINE_MS);
    assert.deepEqual(
      receiver.received.spans.splice(0).map(({ traceId, spanId, parentSpanId }) => [traceId, spanId, parentSpanId]),
      [
        [replayed.traceId, replayed.spanId, null],
        [replayed.traceId, replayed.spanId, "a".repeat(16)],
      ],
      sampler,
    );
  }
});

test("metrics are deltas, with the units and boundaries of the instruments and no version", async () => {
  await using receiver = await startOtlpReceiver();
  const session = await openSession({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  for (let i = 0; i < 2; i++) {
    session.sink.measure({ name: "script.runs", value: 1, attributes: { "script.outcome": "success" } });
    session.sink.measure({ name: "http.client.request.duration", value: 0.3, attributes: {} });
    session.sink.measure({ name: "circuit_breaker.open.duration", value: 100, attributes: {} });
    await session.flush();
  }
  const of = (name: string) => receiver.received.points.filter((point) => point.name === name);
  assert.deepEqual(
    of("script.runs").map(({ value, temporality, isMonotonic }) => [value, temporality, isMonotonic]),
    [
      [1, "delta", true],
      [1, "delta", true],
    ],
  );
  for (const name of ["http.client.request.duration", "circuit_breaker.open.duration"] as const) {
    assert.equal(of(name).length, 2);
    for (const point of of(name)) {
      assert.deepEqual(point.bounds, [...INSTRUMENTS[name].boundaries]);
      assert.equal(point.count, 1);
      assert.equal(point.temporality, "delta");
      assert.equal(point.unit, "s");
      assert.equal(point.scope.version, "");
    }
  }
});

test("temporality follows its variable", async () => {
  await using receiver = await startOtlpReceiver();
  const session = await openSession({
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: "cumulative",
  });
  for (let i = 0; i < 2; i++) {
    session.sink.measure({ name: "script.runs", value: 1, attributes: {} });
    await session.flush();
  }
  const runs = receiver.received.points.filter(({ name }) => name === "script.runs");
  assert.deepEqual(
    runs.map(({ value, temporality }) => [value, temporality]),
    [
      [1, "cumulative"],
      [2, "cumulative"],
    ],
  );
});

test("facts of a machine carry its name, those of a fleet do not", async () => {
  await using receiver = await startOtlpReceiver();
  for (const breakersAreMachineLocal of [true, false]) {
    const session = await openSession(
      { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_RESOURCE_ATTRIBUTES: "host.name=worker-7" },
      { breakersAreMachineLocal },
    );
    session.sink.measure({ name: "script.runs", value: 1, attributes: {} });
    session.sink.measure({ name: "circuit_breaker.transitions", value: 1, attributes: {} });
    await session.end(DEADLINE_MS);
    const points = receiver.received.points.splice(0);
    assert.deepEqual(Object.fromEntries(points.map(({ name, attributes }) => [name, attributes["host.name"]])), {
      "script.runs": "worker-7",
      "circuit_breaker.transitions": breakersAreMachineLocal ? "worker-7" : undefined,
    });
  }
  assert.equal(hostName({ resourceAttributes: {} }), hostname());
});

test("the resource is what was configured, and nothing that a run changes", async () => {
  await using receiver = await startOtlpReceiver();
  const sent = async (env: Record<string, string>) => {
    const session = await openSession({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, ...env });
    recordOneOfEach(session);
    await session.end(DEADLINE_MS);
    const { spans, points, logs } = receiver.received;
    return [spans.splice(0), points.splice(0), logs.splice(0)].map((items) => items[0]?.resource);
  };
  for (const resource of await sent({})) {
    assert.deepEqual(resource, { "service.name": "breakwater", "service.namespace": "breakwater" });
  }
  const given = "service.namespace=desk,deployment.environment.name=prod,host.name=worker-7,service.name=ignored";
  for (const resource of await sent({ OTEL_SERVICE_NAME: "nightly", OTEL_RESOURCE_ATTRIBUTES: given })) {
    assert.deepEqual(resource, {
      "service.name": "nightly",
      "service.namespace": "desk",
      "deployment.environment.name": "prod",
    });
  }
});

test("a signal that is switched off is not sent, and not missed", async () => {
  await using receiver = await startOtlpReceiver();
  const session = await openSession({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_TRACES_EXPORTER: "none" });
  recordOneOfEach(session);
  assert.deepEqual(await session.end(DEADLINE_MS), []);
  const { spans, points, logs } = receiver.received;
  assert.deepEqual([spans.length, points.length, logs.length], [0, 1, 1]);
});
