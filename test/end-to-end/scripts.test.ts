import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, suite, test } from "node:test";
import { startOtlpReceiver } from "../../src/local/otlp-receiver.ts";
import { type Simulator, startSimulator } from "../../src/local/simulator.ts";
import { poll } from "../support/poll.ts";
import { skipWithout } from "../support/programs.ts";
import { newStateDir, runScriptFile, simulatorEnv } from "../support/script.ts";
import { type Stack, startStack } from "../support/stack.ts";

const STATUS = "scripts/status.ts";
/** Fails on purpose until the circuit opens: five failures, one change, two rejections. */
const ORDER_ID = "61e69015-8549-4bfd-b9c3-01e75843f47d";
const SYMBOL = "PLANTED";
const OUTAGE = "test/fixtures/way-out.ts";

suite("from a script of two seconds to the webhook", {
  skip: skipWithout("otelcol", "prometheus", "alertmanager"),
}, () => {
  let stack: Stack;
  let simulator: Simulator;
  before(async () => {
    simulator = await startSimulator({ requestsPerMinute: 100_000 });
    // The hour of BreakwaterCircuitOpened, and the longer one that it looks back.
    stack = await startStack({
      "age_seconds < 3600": "age_seconds < 10",
      "last_opened_seconds[2h]": "last_opened_seconds[1m]",
    });
  });
  after(async () => {
    await stack?.stop();
    await simulator?.close();
  });

  const envFor = (state: string, host: string, more: Record<string, string> = {}) =>
    simulatorEnv(simulator, {
      STATE_DIR: state,
      OTEL_SDK_DISABLED: undefined,
      OTEL_EXPORTER_OTLP_ENDPOINT: stack.collector.otlpUrl,
      // Tells apart what one test sends from the rest.
      OTEL_RESOURCE_ATTRIBUTES: `host.name=${host},deployment.environment.name=test`,
      ALPACA_REQUESTS_PER_MINUTE: "100000",
      ...more,
    });
  const sumOf = async (metric: string) => (await stack.prometheus.query(`sum(${metric})`))[0]?.value ?? 0;
  const reaches = async (metric: string, expected: number) => {
    await poll(`${metric} to reach ${expected}`, async () => (await sumOf(metric)) >= expected);
    assert.equal(await sumOf(metric), expected);
  };

  test("it opens the breaker and the alert fires; it recovers and the alert resolves", {
    timeout: 90_000,
  }, async (t) => {
    const state = newStateDir();
    const env = envFor(state, "a", { ALPACA_BREAKER_FAILURE_THRESHOLD: "1", ALPACA_BREAKER_RECOVERY_SECONDS: "0.1" });
    const repair = simulator.fault({ kind: "status", status: 503 });
    const { code } = await runScriptFile(STATUS, { env });
    repair();
    assert.equal(code, 69);
    const endedMs = performance.now();
    const labels = { circuit_breaker_name: "alpaca.trading", host_name: "a" };
    const fired = await stack.webhook.waitFor("BreakwaterCircuitOpened", "firing", labels);
    t.diagnostic(`the alert arrived ${Math.round(fired.arrivedMs - endedMs)} ms after the script had ended`);
    // Two scrapes and an evaluation of one second each; the rest is for a machine that is busy.
    assert.ok(fired.arrivedMs - endedMs < 3_000 + 4_000);
    assert.equal((await runScriptFile(STATUS, { env })).code, 0);
    await reaches(
      'circuit_breaker_state{host_name="a",circuit_breaker_name="alpaca.trading",circuit_breaker_state="closed"}',
      1,
    );
    await stack.webhook.waitFor("BreakwaterCircuitOpened", "resolved", labels, { timeoutMs: 40_000 });
  });

  test("20 runs one after the other and 8 at once are counted exactly", { timeout: 120_000 }, async () => {
    const repair = simulator.fault({ kind: "status", status: 503 });
    const run = async () => {
      const { code, stderr } = await runScriptFile(OUTAGE, { env: envFor(newStateDir(), "b", { WAY: "open" }) });
      assert.equal(code, 0, stderr);
    };
    for (let runs = 0; runs < 20; runs++) await run();
    await Promise.all(Array.from({ length: 8 }, run));
    repair();
    await reaches('circuit_breaker_transitions_total{host_name="b"}', 28);
    await reaches('circuit_breaker_calls_total{host_name="b",circuit_breaker_outcome="failure"}', 140);
    await reaches('circuit_breaker_calls_total{host_name="b",circuit_breaker_outcome="rejected"}', 56);
    await reaches('script_runs_total{host_name="b"}', 28);
    assert.deepEqual(await stack.prometheus.query('otelcol_deltatocumulative_datapoints{error!=""}'), []);
  });

  test("a collector that was down during the outage still gets the alert, and every change", {
    timeout: 90_000,
  }, async () => {
    const state = newStateDir();
    const down = await startOtlpReceiver();
    await down.close();
    const quick = { ALPACA_BREAKER_FAILURE_THRESHOLD: "1", ALPACA_BREAKER_RECOVERY_SECONDS: "0.1" };
    const repair = simulator.fault({ kind: "status", status: 503 });
    const deaf = envFor(state, "c", { ...quick, OTEL_EXPORTER_OTLP_ENDPOINT: down.url });
    // Opens, and then opens again after a probe that fails.
    for (let runs = 0; runs < 2; runs++) assert.equal((await runScriptFile(STATUS, { env: deaf })).code, 69);
    repair();
    // Those runs are over, and so would their leases be a little later.
    const db = new DatabaseSync(join(state, "breakwater.sqlite"));
    db.exec("UPDATE transitions SET claimed_until_ms = 0");
    const { made } = db.prepare("SELECT count(*) AS made FROM transitions").get() as { made: number };
    db.close();
    assert.equal(made, 3);
    assert.equal(
      (await runScriptFile("scripts/breaker.ts", { args: ["list"], env: envFor(state, "c", quick) })).code,
      0,
    );
    await stack.webhook.waitFor("BreakwaterCircuitOpened", "firing", {
      circuit_breaker_name: "alpaca.trading",
      host_name: "c",
    });
    await reaches('circuit_breaker_transitions_total{host_name="c"}', made);
    await reaches('telemetry_outbox_replayed_total{host_name="c"}', made);
    await poll("the size of the outbox", async () => {
      const sizes = await stack.prometheus.query('telemetry_outbox_size{host_name="c"}');
      return sizes.length > 0 && sizes.every(({ value }) => value === 0);
    });
  });

  test("switching Alpaca on clears its alert", { timeout: 90_000 }, async () => {
    const off = envFor(newStateDir(), "f", { ALPACA_API_KEY: "", ALPACA_API_SECRET: "" });
    const labels = { script_name: "status", host_name: "f" };
    assert.equal((await runScriptFile(STATUS, { env: off })).code, 78);
    await stack.webhook.waitFor("BreakwaterAlpacaDisabled", "firing", labels);
    assert.equal((await runScriptFile(STATUS, { env: envFor(newStateDir(), "f") })).code, 0);
    await stack.webhook.waitFor("BreakwaterAlpacaDisabled", "resolved", labels, { timeoutMs: 40_000 });
    await reaches('alpaca_enabled{host_name="f",script_name="status"}', 1);
  });
});

test("a secret in arguments, environment, URL and error bodies is in no exported byte", async () => {
  await using simulator = await startSimulator();
  await using receiver = await startOtlpReceiver();
  const secret = "Zq8yQw1Planted7SecretK3n5";
  simulator.fault({ kind: "status", status: 422, message: `echo ${simulator.secretKey} ${secret}` });
  const env = simulatorEnv(simulator, {
    OTEL_SDK_DISABLED: undefined,
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=${secret}`,
    SOME_TOKEN: secret,
    WAY: "end",
  });
  await runScriptFile(OUTAGE, { env, args: ["--token", secret] });
  await runScriptFile(STATUS, { env });
  await runScriptFile("test/fixtures/order-look.ts", { env, args: [ORDER_ID, SYMBOL] });
  const exported = receiver.received.bodies.map(({ bytes }) => Buffer.from(bytes).toString("latin1")).join("\n");
  for (const shown of ["script.runs", "/v2/orders/{order_id}", "order-look"])
    assert.ok(exported.includes(shown), shown);
  for (const hidden of [secret, simulator.secretKey, simulator.keyId, ORDER_ID, SYMBOL])
    assert.ok(!exported.includes(hidden));
});
