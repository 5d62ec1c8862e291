import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { OTLPMetricExporter as JsonExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPMetricExporter as ProtobufExporter } from "@opentelemetry/exporter-metrics-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { type OtlpReceiver, startOtlpReceiver } from "../../src/local/otlp-receiver.ts";

const JSON_TYPE = { "content-type": "application/json" };
const SPANS = {
  resourceSpans: [
    {
      resource: { attributes: [{ key: "service.name", value: { stringValue: "breakwater" } }] },
      scopeSpans: [
        { scope: { name: "s", version: "1" }, spans: [{ name: "sent", traceId: "ab", spanId: "cd", kind: 3 }] },
      ],
    },
  ],
};

function post(receiver: OtlpReceiver, path: string, body: BodyInit, headers: Record<string, string> = JSON_TYPE) {
  return fetch(receiver.url + path, { method: "POST", headers, body });
}

for (const [format, Exporter] of [
  ["protobuf", ProtobufExporter],
  ["JSON", JsonExporter],
] as const) {
  test(`metric points of every kind are read from gzipped ${format}`, async () => {
    await using receiver = await startOtlpReceiver();
    const url = `${receiver.url}/v1/metrics`;
    const exporter = new Exporter({ url, compression: "gzip" as never });
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
    const provider = new MeterProvider({ resource: resourceFromAttributes({ where: "here" }), readers: [reader] });
    const meter = provider.getMeter("meter", "9");
    meter.createGauge("g", { unit: "s" }).record(-1.5, { deep: ["a", "b"], yes: true });
    meter.createCounter("c").add(2);
    meter.createUpDownCounter("u").add(-7);
    const advice = { explicitBucketBoundaries: [1, 10] };
    for (const value of [0.5, 5, 50, 60]) meter.createHistogram("h", { advice }).record(value);
    await provider.shutdown();
    const [g, c, u, h] = ["g", "c", "u", "h"].map((name) => receiver.received.points.find((one) => one.name === name));
    assert.deepEqual([g?.kind, g?.unit, g?.value, g?.temporality, g?.isMonotonic], ["gauge", "s", -1.5, null, null]);
    assert.deepEqual(g?.attributes, { deep: ["a", "b"], yes: true });
    assert.equal(g?.resource.where, "here");
    assert.deepEqual(g?.scope, { name: "meter", version: "9" });
    assert.deepEqual([c?.kind, c?.value, c?.temporality, c?.isMonotonic], ["sum", 2, "cumulative", true]);
    assert.deepEqual([u?.value, u?.isMonotonic], [-7, false]);
    assert.deepEqual([h?.kind, h?.count, h?.sum, h?.min, h?.max], ["histogram", 4, 115.5, 0.5, 60]);
    assert.deepEqual(
      [h?.bounds, h?.bucketCounts],
      [
        [1, 10],
        [1, 1, 2],
      ],
    );
    assert.ok(g!.timeNs > 1_600_000_000_000_000_000n);
  });
}

test("an answer has the content type of its request", async () => {
  await using receiver = await startOtlpReceiver();
  const json = await post(receiver, "/v1/traces", JSON.stringify(SPANS));
  assert.deepEqual([json.status, json.headers.get("content-type"), await json.text()], [200, "application/json", "{}"]);
  const type = "application/x-protobuf";
  const protobuf = await post(receiver, "/v1/traces", new Uint8Array(), { "content-type": type });
  assert.deepEqual([protobuf.status, protobuf.headers.get("content-type"), await protobuf.text()], [200, type, ""]);
  const [span] = receiver.received.spans;
  assert.deepEqual([span?.name, span?.kind, span?.parentSpanId, span?.scope.version], ["sent", "client", null, "1"]);
});

test("bodies are kept unzipped, so that a secret in one would be found", async () => {
  await using receiver = await startOtlpReceiver();
  const body = JSON.stringify({ ...SPANS, hidden: "needle" });
  await post(receiver, "/v1/traces", gzipSync(body), { ...JSON_TYPE, "content-encoding": "gzip" });
  assert.equal(Buffer.from(receiver.received.bodies[0]!.bytes).toString(), body);
});

test("what is no export request is refused and not kept", async () => {
  await using receiver = await startOtlpReceiver();
  assert.equal((await post(receiver, "/v1/profiles", "{}")).status, 404);
  assert.equal((await fetch(`${receiver.url}/v1/traces`)).status, 404);
  assert.equal((await post(receiver, "/v1/logs", "{")).status, 400);
  assert.equal((await post(receiver, "/v1/logs", '{"resourceLogs":3}')).status, 400);
  const early = new Uint8Array([0x0a, 0x7f]);
  assert.equal((await post(receiver, "/v1/logs", early, { "content-type": "application/x-protobuf" })).status, 400);
  assert.deepEqual(receiver.received, { spans: [], points: [], logs: [], bodies: [] });
});

test("the mode changes while it runs, and only `ok` takes anything", async () => {
  await using receiver = await startOtlpReceiver({ mode: { status: 503 } });
  const body = JSON.stringify(SPANS);
  assert.equal((await post(receiver, "/v1/traces", body)).status, 503);
  assert.equal(receiver.received.spans.length, 0);
  receiver.mode = "ok";
  assert.equal((await post(receiver, "/v1/traces", body)).status, 200);
  assert.equal(receiver.received.spans.length, 1);
});

test("an endless answer has its status and dribbles on", async () => {
  await using receiver = await startOtlpReceiver({ mode: "endless" });
  const response = await post(receiver, "/v1/traces", JSON.stringify(SPANS));
  assert.equal(response.status, 200);
  const reader = response.body!.getReader();
  for (let count = 0; count < 2; count += 1) assert.equal((await reader.read()).done, false);
  await reader.cancel();
});

test("closing ends an export that hangs and a wait at once", async () => {
  const receiver = await startOtlpReceiver({ mode: "hang" });
  const hung = assert.rejects(post(receiver, "/v1/traces", JSON.stringify(SPANS)), TypeError);
  const waited = assert.rejects(
    receiver.waitFor(() => undefined, 60_000, "nothing"),
    /server was closed/,
  );
  await receiver.waitFor(({ bodies }) => bodies[0], 5_000, "the export");
  await receiver.close();
  await Promise.all([hung, waited]);
});

test("a wait ends with what arrives, or with its deadline", async () => {
  await using receiver = await startOtlpReceiver();
  const span = receiver.waitFor(({ spans }) => spans.find(({ name }) => name === "sent"), 5_000, "the span");
  await post(receiver, "/v1/traces", JSON.stringify(SPANS));
  assert.equal((await span).spanId, "cd");
  await assert.rejects(
    receiver.waitFor(() => undefined, 5, "a log"),
    /a log: nothing matched within 5 ms/,
  );
});
