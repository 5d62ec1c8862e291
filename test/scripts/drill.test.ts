import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import type { Transition } from "../../src/breaker/state.ts";
import { parseConfig } from "../../src/config/parse.ts";
import { missingOf, sightingsOf } from "../../src/local/drill-exports.ts";
import { SCRIPTED } from "../../src/local/drill-outage.ts";
import { resultOf } from "../../src/local/drill-result.ts";
import { type Received, startOtlpReceiver } from "../../src/local/otlp-receiver.ts";

const ROOT = join(import.meta.dirname, "..", "..");

function drill(env: Record<string, string>, ...flags: string[]) {
  const { PATH = "", HOME = "" } = process.env;
  return new Promise<{ exitCode: number; stdout: string; stderr: string }>((resolve) => {
    const options = { cwd: "/", env: { PATH, HOME, NO_COLOR: "1", ...env }, timeout: 60_000 };
    const child = execFile(
      process.execPath,
      [join(ROOT, "scripts/drill.ts"), ...flags],
      options,
      (_error, stdout, stderr) => resolve({ exitCode: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

describe("drill", { concurrency: true }, () => {
  test("leads through the scripted states, and reads each back once by its event id", async () => {
    const { exitCode, stdout, stderr } = await drill({}, "--json");
    assert.equal(exitCode, 0, stderr);
    assert.equal(stderr, "");
    const { timeline, transitions, exported, problems } = JSON.parse(stdout);
    assert.deepEqual(problems, []);
    assert.deepEqual(
      transitions.map(({ from, to, reason }: Transition) => ({ from, to, reason })),
      SCRIPTED,
    );
    assert.equal(new Set(transitions.map(({ eventId }: Transition) => eventId)).size, SCRIPTED.length);
    for (const { arrived } of transitions) {
      assert.equal(arrived.spans, 1);
      assert.equal(arrived.logs, 1);
      assert.equal(arrived.counted, arrived.due);
    }
    assert.equal(exported.to, "receiver");
    const elapsed = timeline.map(({ elapsedMs }: { elapsedMs: number }) => elapsedMs);
    assert.deepEqual(
      elapsed,
      elapsed.toSorted((a: number, b: number) => a - b),
    );
    assert.ok(elapsed.at(-1) < 8_000, `it took ${elapsed.at(-1)} ms`);
  });

  test("reports one run to a named collector, and says where", async () => {
    await using receiver = await startOtlpReceiver();
    const { exitCode, stdout, stderr } = await drill({
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    });
    assert.equal(exitCode, 0, stderr);
    assert.ok(stdout.includes(receiver.url));
    const { spans, logs, points } = receiver.received;
    assert.equal(spans.filter(({ name }) => name === "script drill").length, 1);
    assert.equal(spans.filter(({ name }) => name === "circuit_breaker transition").length, SCRIPTED.length);
    assert.equal(logs.filter(({ eventName }) => eventName.startsWith("circuit_breaker.")).length, SCRIPTED.length);
    assert.equal(points.filter(({ name }) => name === "script.runs").length, 1);
    assert.equal(points.find(({ name }) => name === "alpaca.enabled")?.value, 1);
  });

  test("fails when the named collector takes nothing, and says what is missing", async () => {
    await using receiver = await startOtlpReceiver({ mode: { status: 400 } });
    const { exitCode, stderr } = await drill({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url }, "--quiet");
    assert.equal(exitCode, 1);
    assert.match(stderr, /error: Cannot pass the drill: the collector did not take \d+ spans .*HTTP 400/);
  });

  test("keeps to its own receiver where telemetry is switched off, and to its own Alpaca", async () => {
    await using receiver = await startOtlpReceiver();
    const { exitCode, stdout, stderr } = await drill({
      OTEL_SDK_DISABLED: "true",
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_TRACES_SAMPLER: "always_off",
      ALPACA_ENABLED: "true",
      ALPACA_API_KEY: "your_api_key_here",
      APCA_API_KEY_ID: "PKSOMEBODYELSES00000",
    });
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /What arrived/);
    const widest = `${stdout}\n${stderr}`.split("\n").toSorted((a, b) => b.length - a.length)[0] ?? "";
    assert.ok(widest.length <= 80, `${widest.length} columns: ${widest}`);
    assert.doesNotMatch(stderr, /warning|error/);
    assert.equal(receiver.received.bodies.length, 0);
  });
});

const TRANSITION: Transition = {
  eventId: "5b0c2a86-3a0b-4b8f-9a1c-0d6f6a3c7e11",
  breaker: "alpaca.trading",
  from: "closed",
  to: "open",
  reason: "failure_threshold",
  at: new Date(0),
  generation: 1,
  cause: undefined,
  serverAddress: null,
  operator: null,
  outageMs: null,
  call: null,
  span: null,
};

test("a state change that did not arrive is named, in every signal", () => {
  const received: Received = { spans: [], points: [], logs: [], bodies: [] };
  assert.deepEqual(sightingsOf(received, [TRANSITION]), [{ spans: 0, logs: 0, counted: 0, due: 1 }]);
  const missing = missingOf(received, [TRANSITION]);
  assert.equal(missing.length, 3);
  assert.match(missing[0] ?? "", /the span of closed → open \(event 5b0c2a86-.*\) arrived 0 times, expected 1/);
});

test("a state change that nobody knows of is a problem too", () => {
  const span = { name: "circuit_breaker transition", attributes: { "circuit_breaker.event_id": "another" } };
  const received = { spans: [span], points: [], logs: [], bodies: [] } as unknown as Received;
  assert.deepEqual(missingOf(received, []), ["1 records of other state changes arrived, expected none"]);
});

test("of a collector's URL the origin is named, and never a token", () => {
  const endpoint = "https://collector.example:4318/v1/t0ken?key=t0ken";
  const { config } = parseConfig({ OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: endpoint });
  const course = { timeline: [], transitions: [TRANSITION], deviations: [] };
  const result = resultOf(course, config.telemetry, null, []);
  assert.deepEqual(result.exported, { to: "collector", origins: ["https://collector.example:4318"], undelivered: [] });
  assert.ok(!JSON.stringify(result).includes("t0ken"));
});
