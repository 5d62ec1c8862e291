import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { listenOnLoopback } from "../../src/local/loopback-server.ts";
import { type ReceiverMode, startOtlpReceiver } from "../../src/local/otlp-receiver.ts";
import type { Undelivered } from "../../src/telemetry/sdk.ts";
import { openSession, recordEvent, recordOneOfEach } from "./support.ts";

const DEADLINE_MS = 1_200;
const BOUND_MS = 1_500;

async function endTimed(session: { end(ms: number): Promise<readonly Undelivered[]> }) {
  const startMs = performance.now();
  const undelivered = await session.end(DEADLINE_MS);
  return { undelivered, tookMs: performance.now() - startMs };
}

function oneOfEach(reason: RegExp, undelivered: readonly Undelivered[]): void {
  assert.deepEqual(
    undelivered.map(({ signal, items }) => [signal, items]),
    [
      ["traces", 1],
      ["metrics", 1],
      ["logs", 1],
    ],
  );
  for (const one of undelivered) assert.match(one.reason, reason);
}

/** A port that nothing listens on. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const STATES: [string, ReceiverMode, RegExp][] = [
  ["that answers 503", { status: 503 }, /^HTTP 503$/],
  ["that answers 401", { status: 401 }, /^HTTP 401$/],
  ["that never answers", "hang", /^no answer within \d+ ms$/],
  ["whose answer never ends", "endless", /^no answer within \d+ ms$/],
];

for (const [what, mode, reason] of STATES) {
  test(`end() is bounded with a collector ${what}, and names the reason`, async () => {
    await using receiver = await startOtlpReceiver({ mode });
    const session = await openSession({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
    recordOneOfEach(session);
    const { undelivered, tookMs } = await endTimed(session);
    assert.ok(tookMs < BOUND_MS, `${tookMs} ms`);
    oneOfEach(reason, undelivered);
  });
}

for (const protocol of ["http/protobuf", "http/json", "grpc"]) {
  test(`end() is bounded where nothing listens, over ${protocol}`, async () => {
    const session = await openSession({
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await closedPort()}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    });
    recordOneOfEach(session);
    const { undelivered, tookMs } = await endTimed(session);
    assert.ok(tookMs < BOUND_MS, `${tookMs} ms`);
    oneOfEach(/^connection refused$/, undelivered);
  });
}

test("a flush under way hides nothing that is recorded during it", async () => {
  await using receiver = await startOtlpReceiver({ mode: "hang" });
  const session = await openSession({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_METRICS_EXPORTER: "none" });
  recordEvent(session, "circuit_breaker.opened");
  void session.flush();
  await receiver.waitFor(({ bodies }) => bodies[0], 5_000, "the flush");
  receiver.mode = "ok";
  recordEvent(session, "circuit_breaker.closed");
  await session.end(500);
  assert.ok(receiver.received.logs.some(({ eventName }) => eventName === "circuit_breaker.closed"));
});

test("end() waits for an export that an earlier flush began", async () => {
  let answer = () => {};
  const asked = Promise.withResolvers<void>();
  const server = await listenOnLoopback((_request, response) => {
    answer = () => response.writeHead(200).end();
    asked.resolve();
  });
  try {
    const session = await openSession({ OTEL_EXPORTER_OTLP_ENDPOINT: server.url, OTEL_METRICS_EXPORTER: "none" });
    recordEvent(session, "circuit_breaker.opened");
    void session.flush();
    await asked.promise;
    const ended = session.end(DEADLINE_MS);
    setImmediate(() => answer());
    assert.deepEqual(await ended, []);
  } finally {
    await server.close();
  }
});

test("concurrent flushes deliver everything once", async () => {
  await using receiver = await startOtlpReceiver();
  const session = await openSession({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  for (let i = 0; i < 5; i++) {
    recordEvent(session, `circuit_breaker.opened.${i}`);
    session.sink.measure({ name: "circuit_breaker.transitions", value: 1, attributes: {} });
    void session.flush();
  }
  assert.deepEqual(await session.end(DEADLINE_MS), []);
  const { logs, points } = receiver.received;
  assert.deepEqual(
    logs.map(({ eventName }) => eventName).sort(),
    [0, 1, 2, 3, 4].map((i) => `circuit_breaker.opened.${i}`),
  );
  assert.equal(
    points
      .filter(({ name }) => name === "circuit_breaker.transitions")
      .reduce((sum, { value }) => sum + (value ?? 0), 0),
    5,
  );
});

test("thousands of records at once all arrive", async () => {
  await using receiver = await startOtlpReceiver();
  const session = await openSession({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
  for (let i = 0; i < 5_000; i++) recordEvent(session, "circuit_breaker.opened");
  await session.flush();
  assert.deepEqual(await session.end(DEADLINE_MS), []);
  assert.equal(receiver.received.logs.length, 5_000);
});

test("items that a collector rejects within a success count as undelivered", async () => {
  const server = await listenOnLoopback((request, response) => {
    const isLogs = request.url === "/v1/logs";
    request.resume().on("end", () => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(
        JSON.stringify(isLogs ? { partialSuccess: { rejectedLogRecords: "1", errorMessage: "s3cret" } } : {}),
      );
    });
  });
  try {
    const session = await openSession({
      OTEL_EXPORTER_OTLP_ENDPOINT: server.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    });
    recordOneOfEach(session);
    assert.deepEqual(await session.end(DEADLINE_MS), [
      { signal: "logs", items: 1, reason: "rejected by the collector" },
    ]);
  } finally {
    await server.close();
  }
});

test("a secret in the headers reaches no reason", async () => {
  for (const [protocol, mode] of [
    ["http/protobuf", { status: 401 }],
    ["http/protobuf", { status: 503 }],
    ["grpc", { status: 401 }],
  ] as const) {
    await using receiver = await startOtlpReceiver({ mode });
    // A line break makes the transport itself complain of the value.
    for (const secret of ["s3cret-t0ken", "s3cret%0At0ken"]) {
      const session = await openSession({
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${secret}`,
      });
      recordOneOfEach(session);
      const undelivered = await session.end(DEADLINE_MS);
      assert.equal(undelivered.length, 3);
      assert.doesNotMatch(JSON.stringify(undelivered), /s3cret|t0ken|Bearer/);
    }
  }
});

test("nothing is written to stdout or stderr, and no secret, whatever goes wrong", async () => {
  const program = join(import.meta.dirname, "unheard.ts");
  for (const protocol of ["http/protobuf", "grpc"]) {
    for (const token of ["s3cret-t0ken", "s3cret%0At0ken"]) {
      const env = {
        ...process.env,
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await closedPort()}`,
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${token}`,
        OTEL_LOG_LEVEL: "debug",
      };
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [program], { env });
      const [undelivered, ...rest] = stdout.trimEnd().split("\n");
      assert.equal(JSON.parse(undelivered ?? "").length, 3);
      assert.deepEqual([rest, stderr], [[], ""]);
      assert.doesNotMatch(stdout, /s3cret|t0ken|Bearer/);
    }
  }
});
