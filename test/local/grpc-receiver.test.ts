import assert from "node:assert/strict";
import { test } from "node:test";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { ProtobufLogsSerializer } from "@opentelemetry/otlp-transformer";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { InMemoryLogRecordExporter, LoggerProvider, SimpleLogRecordProcessor } from "@opentelemetry/sdk-logs";
import { type GrpcReceiver, startGrpcReceiver } from "../support/grpc-receiver.ts";

const LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const asIs = (bytes: Buffer) => bytes;

/** Bytes of an export of one event. */
async function exportOf(eventName: string): Promise<Buffer> {
  const exporter = new InMemoryLogRecordExporter();
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ "service.name": "breakwater" }),
    processors: [new SimpleLogRecordProcessor({ exporter })],
  });
  provider.getLogger("under-test", "1.2.3").emit({ eventName, body: "text", attributes: { count: 3 } });
  await provider.forceFlush();
  return Buffer.from(ProtobufLogsSerializer.serializeRequest(exporter.getFinishedLogRecords())!);
}

function send(receiver: GrpcReceiver, bytes: Buffer, headers: Record<string, string> = {}) {
  const client = new Client(new URL(receiver.url).host, credentials.createInsecure());
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const sent = new Promise<Buffer | undefined>((resolve, reject) => {
    client.makeUnaryRequest(LOGS, asIs, asIs, bytes, metadata, (error: ServiceError | null, answer?: Buffer) =>
      error === null ? resolve(answer) : reject(error),
    );
  });
  return sent.finally(() => client.close());
}

test("an export over gRPC is decoded and acknowledged with an empty message", async () => {
  await using receiver = await startGrpcReceiver();
  const waiting = receiver.waitFor(({ logs }) => logs.find(({ eventName }) => eventName === "it.happened"), 5000, "it");
  const bytes = await exportOf("it.happened");
  assert.equal((await send(receiver, bytes, { "x-mine": "kept" }))?.length, 0);
  const log = await waiting;
  assert.equal(log.body, "text");
  assert.deepEqual(log.attributes, { count: 3 });
  assert.deepEqual(log.scope, { name: "under-test", version: "1.2.3" });
  assert.equal(log.resource["service.name"], "breakwater");
  assert.deepEqual(receiver.received.bodies, [{ signal: "logs", bytes }]);
  assert.deepEqual(receiver.metadata.at(0)?.get("x-mine"), ["kept"]);
});

test("what is refused or cannot be read is counted and not kept", async () => {
  await using receiver = await startGrpcReceiver({ code: 14 });
  await assert.rejects(send(receiver, await exportOf("refused")), { code: 14 });
  receiver.mode = "ok";
  await assert.rejects(send(receiver, Buffer.from([0x0a, 0x7f])), { code: 3 });
  assert.deepEqual(receiver.counts, { traces: 0, metrics: 0, logs: 2 });
  assert.deepEqual(receiver.received.logs, []);
});

test("closing ends an export that was never answered", async () => {
  const receiver = await startGrpcReceiver("hang");
  const refused = assert.rejects(send(receiver, await exportOf("unheard")));
  await receiver.waitFor(() => (receiver.counts.logs === 1 ? true : undefined), 5000, "the export");
  await receiver.close();
  await refused;
});
