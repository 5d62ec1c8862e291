import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { context, logs, metrics, trace } from "@opentelemetry/api";
import { startOtlpReceiver } from "../../src/local/otlp-receiver.ts";
import { openSession, ROOT, rootRecord } from "./support.ts";

// The API takes its providers once in a process: this file has one test.
test("a script's own spans, metrics and logs leave with the toolkit's, below the root span", async () => {
  await using receiver = await startOtlpReceiver();
  const session = await openSession({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  await context.with(session.rootContext, async () => {
    await setImmediate();
    await trace.getTracer("own").startActiveSpan("outer", async (outer) => {
      await setImmediate();
      logs.getLogger("own").emit({ eventName: "own.event" });
      const bound = context.bind(context.active(), () => trace.getTracer("own").startSpan("inner").end());
      context.with(session.rootContext, bound);
      outer.end();
    });
    metrics.getMeter("own").createCounter("own.count").add(1);
  });
  session.sink.span(rootRecord());
  assert.deepEqual(await session.end(1_200), []);
  const { spans, points, logs: events } = receiver.received;
  const [inner, outer] = ["inner", "outer"].map((name) => spans.find((span) => span.name === name));
  assert.deepEqual([outer?.traceId, outer?.parentSpanId], [ROOT.traceId, ROOT.spanId]);
  assert.deepEqual([inner?.traceId, inner?.parentSpanId], [ROOT.traceId, outer?.spanId]);
  assert.deepEqual([events[0]?.eventName, events[0]?.spanId], ["own.event", outer?.spanId]);
  assert.equal(points[0]?.name, "own.count");
});
