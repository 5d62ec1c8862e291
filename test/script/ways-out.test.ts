import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { type OtlpReceiver, startOtlpReceiver } from "../../src/local/otlp-receiver.ts";
import { type Simulator, startSimulator } from "../../src/local/simulator.ts";
import { type Outcome, runScriptFile, simulatorEnv, startScript } from "../support/script.ts";

let simulator: Simulator;
before(async () => {
  simulator = await startSimulator();
});
after(() => simulator.close());

const FIXTURE = "test/fixtures/way-out.ts";

function envFor(receiver: OtlpReceiver, way: string, more: Record<string, string> = {}) {
  return simulatorEnv(simulator, {
    OTEL_SDK_DISABLED: undefined,
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    WAY: way,
    ...more,
  });
}

/** The last data points of the run, its own span and its outcome. */
function readRun(receiver: OtlpReceiver) {
  const { spans, points } = receiver.received;
  const root = spans.filter(({ name }) => name === "script way-out");
  const runs = points.filter(({ name }) => name === "script.runs");
  const exit = points.filter(({ name }) => name === "script.exit_code");
  return { root, runs, exit, spans, points };
}

function assertDelivered(receiver: OtlpReceiver, { code, stderr }: Outcome, outcome: string): void {
  const { root, runs, exit, spans } = readRun(receiver);
  assert.equal(root.length, 1, stderr);
  assert.deepEqual(
    runs.map(({ value, attributes }) => [value, attributes["script.outcome"]]),
    [[1, outcome]],
  );
  assert.deepEqual(
    exit.map(({ value }) => value),
    [code],
  );
  const call = spans.find(({ name }) => name === "GET /v2/clock");
  assert.equal(call?.parentSpanId, root[0]?.spanId);
  assert.equal(call?.traceId, root[0]?.traceId);
  assert.equal(call?.kind, "client");
}

for (const [way, code, outcome, said] of [
  ["end", 0, "success", /^$/],
  ["throw", 1, "failure", /error: thrown on purpose/],
  ["exit", 3, "failure", /^$/],
  ["reject", 1, "failure", /error: rejected on purpose/],
  ["uncaught", 1, "failure", /error: uncaught on purpose/],
  ["never", 1, "failure", /nothing is left that could wake it/],
] as const) {
  test(`everything is delivered when a script ends by: ${way}`, async () => {
    await using receiver = await startOtlpReceiver();
    const ended = await runScriptFile(FIXTURE, { env: envFor(receiver, way) });
    assert.equal(ended.code, code, ended.stderr);
    assert.match(ended.stderr.trim(), said);
    assertDelivered(receiver, ended, outcome);
  });
}

for (const [way, said] of [
  ["unprintable", /error: render failed/],
  ["circular", /error: .*circular/i],
] as const) {
  test(`a result that cannot be printed is a failure that is said and reported: ${way}`, async () => {
    await using receiver = await startOtlpReceiver();
    const args = way === "circular" ? ["--json"] : [];
    const ended = await runScriptFile(FIXTURE, { env: envFor(receiver, way), args });
    assert.equal(ended.code, 1);
    assert.equal(ended.stdout, "");
    assert.match(ended.stderr, said);
    assertDelivered(receiver, ended, "failure");
  });
}

test("a result that a full disk did not take is a failure", {
  skip: !existsSync("/dev/full") && "there is no /dev/full",
}, async () => {
  const { child, ended } = startScript("test/fixtures/to-full-disk.ts", { env: simulatorEnv(simulator) });
  child.stdin.end();
  const { code, stderr } = await ended;
  assert.equal(code, 1);
  assert.match(stderr, /Cannot write the result to stdout: ENOSPC/);
});

test("the exit code that a body has set is the script's", async () => {
  await using receiver = await startOtlpReceiver();
  const ended = await runScriptFile(FIXTURE, { env: envFor(receiver, "code") });
  assert.equal(ended.code, 9);
  assertDelivered(receiver, ended, "failure");
});

for (const [signal, way, code] of [
  ["SIGINT", "wait", 130],
  ["SIGTERM", "wait", 143],
  ["SIGTERM", "deaf", 143],
] as const) {
  test(`everything is delivered when ${signal} meets a body that ${way === "deaf" ? "does not listen" : "stops"}`, async () => {
    await using receiver = await startOtlpReceiver();
    const { child, ended } = startScript(FIXTURE, { env: envFor(receiver, way) });
    for await (const chunk of child.stderr) if (String(chunk).includes("waiting")) break;
    child.kill(signal);
    const outcome = await ended;
    assert.equal(outcome.code, code);
    assert.equal(outcome.stdout, "");
    assertDelivered(receiver, outcome, "interrupted");
  });
}

test("a second signal ends the script at once, and one that comes with the first is no second one", async () => {
  await using receiver = await startOtlpReceiver({ mode: "hang" });
  const { child, ended } = startScript(FIXTURE, { env: envFor(receiver, "deaf") });
  for await (const chunk of child.stderr) if (String(chunk).includes("waiting")) break;
  const startMs = performance.now();
  let signals = 0;
  // Of a script that is deaf the first signal alone needs its grace of 2 s and the flush.
  const timer = setInterval(() => {
    signals++;
    child.kill("SIGINT");
  }, 100);
  const { code } = await ended;
  clearInterval(timer);
  assert.equal(code, 130);
  assert.ok(signals >= 3, `${signals} signals`);
  assert.ok(performance.now() - startMs < 1_900);
});

test("a state change arrives once as span, log event and count, linked to the call that caused it", async () => {
  await using receiver = await startOtlpReceiver();
  const repair = simulator.fault({ kind: "status", status: 503 }, { path: "/v2/clock" });
  const { code, stdout, stderr } = await runScriptFile(FIXTURE, { env: envFor(receiver, "open") });
  repair();
  assert.equal(code, 0, stderr);
  assert.match(stdout, /open/);
  assert.match(stderr, /rejected for \d+/);
  const { spans, logs, points } = receiver.received;
  const transitions = spans.filter(({ name }) => name === "circuit_breaker transition");
  assert.equal(transitions.length, 1);
  const [transition] = transitions;
  const calls = spans.filter(({ name }) => name === "GET /v2/clock");
  assert.equal(calls.length, 5);
  assert.equal(transition?.links[0]?.spanId, calls.at(-1)?.spanId);
  const events = logs.filter(({ eventName }) => eventName === "circuit_breaker.opened");
  assert.equal(events.length, 1);
  assert.equal(events[0]?.attributes["circuit_breaker.event_id"], transition?.attributes["circuit_breaker.event_id"]);
  assert.equal(events[0]?.spanId, transition?.spanId);
  const counted = points.filter(({ name }) => name === "circuit_breaker.transitions");
  assert.deepEqual(
    counted.map(({ value, attributes, temporality }) => [value, attributes["circuit_breaker.reason"], temporality]),
    [[1, "failure_threshold", "delta"]],
  );
  const outcomes = points.filter(({ name }) => name === "circuit_breaker.calls");
  const sum = (outcome: string) =>
    outcomes
      .filter(({ attributes }) => attributes["circuit_breaker.outcome"] === outcome)
      .reduce((all, { value }) => all + (value ?? 0), 0);
  assert.equal(sum("failure"), 5);
  assert.equal(sum("rejected"), 2);
  const opened = points.filter(({ name }) => name === "circuit_breaker.last_opened");
  assert.ok(Math.abs((opened.at(-1)?.value ?? 0) - Date.now() / 1_000) < 60);
});

test("a run continues the trace of TRACEPARENT", async () => {
  await using receiver = await startOtlpReceiver();
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  const env = envFor(receiver, "end", { TRACEPARENT: `00-${traceId}-b7ad6b7169203331-01` });
  assert.equal((await runScriptFile(FIXTURE, { env })).code, 0);
  const [root] = readRun(receiver).root;
  assert.equal(root?.traceId, traceId);
  assert.equal(root?.parentSpanId, "b7ad6b7169203331");
});

for (const protocol of ["http/protobuf", "http/json"]) {
  test(`${protocol} carries units, boundaries in seconds and the machine's name`, async () => {
    await using receiver = await startOtlpReceiver();
    const env = envFor(receiver, "end", {
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_RESOURCE_ATTRIBUTES: "host.name=cron-1,deployment.environment.name=home",
    });
    assert.equal((await runScriptFile(FIXTURE, { env })).code, 0);
    const enabled = receiver.received.points.find(({ name }) => name === "alpaca.enabled");
    assert.equal(enabled?.value, 1);
    assert.equal(enabled?.attributes["host.name"], "cron-1");
    assert.deepEqual(enabled?.resource, {
      "service.name": "breakwater",
      "service.namespace": "breakwater",
      "deployment.environment.name": "home",
    });
    const duration = receiver.received.points.find(({ name }) => name === "http.client.request.duration");
    assert.equal(duration?.unit, "s");
    assert.equal(duration?.bounds?.[0], 0.005);
    assert.equal(duration?.attributes["url.template"], "/v2/clock");
  });
}

test("no secret and no argument is in any exported byte or printed line", async () => {
  await using receiver = await startOtlpReceiver();
  const secret = "Zq8yQw1Planted7Secret";
  simulator.fault(
    { kind: "status", status: 422, message: `echo ${simulator.secretKey} ${simulator.keyId}` },
    { times: 1 },
  );
  const env = envFor(receiver, "end", { OTEL_EXPORTER_OTLP_HEADERS: `authorization=${secret}` });
  const { code, stdout, stderr } = await runScriptFile(FIXTURE, { env, args: ["--token", secret] });
  assert.equal(code, 1);
  const exported = receiver.received.bodies.map(({ bytes }) => Buffer.from(bytes).toString("latin1")).join("\n");
  assert.ok(exported.length > 1_000);
  for (const text of [exported, stdout, stderr]) {
    for (const hidden of [secret, simulator.secretKey, simulator.keyId]) assert.ok(!text.includes(hidden));
  }
});

for (const [state, mode] of [
  ["never answers", "hang"],
  ["answers 503", { status: 503 }],
  ["never ends its answer", "endless"],
  ["is not there", null],
] as const) {
  test(`a collector that ${state} delays the exit by at most 1.6 s, and one line says what it did not take`, async () => {
    await using healthy = await startOtlpReceiver();
    const timed = async (url: string) => {
      const startMs = performance.now();
      const outcome = await runScriptFile(FIXTURE, {
        env: { ...envFor(healthy, "end"), OTEL_EXPORTER_OTLP_ENDPOINT: url },
      });
      return { ...outcome, ms: performance.now() - startMs };
    };
    await using troubled = await startOtlpReceiver({ mode: mode ?? "ok" });
    if (mode === null) await troubled.close();
    const good = await timed(healthy.url);
    const bad = await timed(troubled.url);
    assert.equal(bad.code, 0);
    assert.match(bad.stderr.trim(), /^warning: the OpenTelemetry collector did not take [^\n]+$/);
    assert.ok(bad.ms - good.ms <= 1_600, `${bad.ms - good.ms} ms`);
  });
}

test("nothing is sent, and nothing said, with OTEL_SDK_DISABLED", async () => {
  await using receiver = await startOtlpReceiver();
  const outcome = await runScriptFile(FIXTURE, { env: envFor(receiver, "end", { OTEL_SDK_DISABLED: "true" }) });
  assert.deepEqual([outcome.code, outcome.stderr], [0, ""]);
  assert.equal(receiver.received.bodies.length, 0);
});

test("a wrong configuration is still reported by its exit code", async () => {
  await using receiver = await startOtlpReceiver();
  const { code } = await runScriptFile(FIXTURE, { env: envFor(receiver, "end", { ALPACA_TIMEOUT_MS: "banana" }) });
  assert.equal(code, 78);
  const { exit, points } = readRun(receiver);
  assert.deepEqual(
    exit.map(({ value }) => value),
    [78],
  );
  assert.equal(points.find(({ name }) => name === "alpaca.enabled")?.value, 0);
});
