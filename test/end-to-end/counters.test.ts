import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { execPath } from "node:process";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { poll } from "../support/poll.ts";
import { ROOT, skipWithout } from "../support/programs.ts";
import { type Point, Sender } from "../support/sender.ts";
import { type Stack, startStack } from "../support/stack.ts";

const run = promisify(execFile);

const BREAKER = { "circuit_breaker.name": "alpaca.trading", "server.address": "paper-api.alpaca.markets" };
const OPENED: Point = {
  name: "circuit_breaker.transitions",
  value: 1,
  attributes: {
    ...BREAKER,
    "circuit_breaker.from": "closed",
    "circuit_breaker.to": "open",
    "circuit_breaker.reason": "failure_threshold",
  },
};
const calls = (outcome: string, value: number): Point => ({
  name: "circuit_breaker.calls",
  value,
  attributes: { ...BREAKER, "circuit_breaker.outcome": outcome },
});

suite("counters of short and overlapping runs", { skip: skipWithout("otelcol", "prometheus", "alertmanager") }, () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
  });
  after(() => stack?.stop());

  const runScript = () =>
    run(execPath, [
      join(ROOT, "test/support/send-once.ts"),
      stack.collector.otlpUrl,
      JSON.stringify([OPENED, calls("failure", 5), calls("rejected", 2)]),
    ]);
  const expectSum = async (metric: string, expected: number) => {
    const sum = await poll(`${metric} to reach ${expected}`, async () => {
      const value = (await stack.prometheus.query(`sum(${metric})`))[0]?.value ?? 0;
      return value >= expected && { value };
    });
    assert.equal(sum.value, expected);
  };

  test("20 runs one after the other and 8 at once are counted exactly", { timeout: 90_000 }, async () => {
    for (let i = 0; i < 20; i++) await runScript();
    await Promise.all(Array.from({ length: 8 }, runScript));
    await expectSum("circuit_breaker_transitions_total", 28);
    await expectSum('circuit_breaker_calls_total{circuit_breaker_outcome="failure"}', 140);
    await expectSum('circuit_breaker_calls_total{circuit_breaker_outcome="rejected"}', 56);
  });

  test("64 senders at once, 30 deliveries each, are counted exactly", { timeout: 90_000 }, async () => {
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        const sender = new Sender(stack.collector.otlpUrl);
        for (let i = 0; i < 30; i++) await sender.record(calls("success", 1)).flush();
        await sender.end();
      }),
    );
    await expectSum('circuit_breaker_calls_total{circuit_breaker_outcome="success"}', 64 * 30);
  });

  test("the collector dropped no point", async () => {
    await poll("the collector's own metrics", async () => {
      return (await stack.prometheus.query("otelcol_deltatocumulative_datapoints")).length > 0;
    });
    const dropped = await stack.prometheus.query(
      'otelcol_deltatocumulative_datapoints{error!=""} or otelcol_receiver_refused_metric_points > 0 ' +
        "or otelcol_exporter_send_failed_metric_points > 0",
    );
    assert.deepEqual(dropped, []);
  });
});
