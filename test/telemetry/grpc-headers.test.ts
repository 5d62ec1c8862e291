import assert from "node:assert/strict";
import { test } from "node:test";
import { startGrpcReceiver } from "../support/grpc-receiver.ts";
import { openSession, recordOneOfEach } from "./support.ts";

test("every export carries OTEL_EXPORTER_OTLP_HEADERS, over grpc", async () => {
  await using receiver = await startGrpcReceiver();
  const session = await openSession({
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20a-token",
  });
  recordOneOfEach(session);
  assert.deepEqual(await session.end(1_200), []);
  const arrived = receiver.metadata.flatMap((metadata) => metadata.get("authorization"));
  assert.deepEqual(arrived, Array(3).fill("Bearer a-token"));
});
