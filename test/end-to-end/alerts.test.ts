import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { poll } from "../support/poll.ts";
import { skipWithout } from "../support/programs.ts";
import { type Point, send } from "../support/sender.ts";
import { type Stack, startStack } from "../support/stack.ts";

const breaker = (name: string) => ({ "circuit_breaker.name": name, "server.address": "127.0.0.1", "host.name": "box" });
const openedNow = (name: string): Point => ({
  name: "circuit_breaker.last_opened",
  value: Date.now() / 1000,
  attributes: breaker(name),
});
const transition = (name: string): Point => ({
  name: "circuit_breaker.transitions",
  value: 1,
  attributes: { ...breaker(name), "circuit_breaker.from": "closed", "circuit_breaker.to": "open" },
});
const enabled = (value: 0 | 1): Point => ({
  name: "alpaca.enabled",
  value,
  attributes: { "script.name": "account-check", "alpaca.environment": "paper", "host.name": "box" },
});

suite("from a sample to the webhook", { skip: skipWithout("otelcol", "prometheus", "alertmanager") }, () => {
  let stack: Stack;
  before(async () => {
    // The hour of BreakwaterCircuitOpened, and the longer one that it looks back.
    stack = await startStack({
      "age_seconds < 3600": "age_seconds < 10",
      "last_opened_seconds[2h]": "last_opened_seconds[1m]",
    });
  });
  after(() => stack?.stop());

  test("one sample of an opened circuit fires at once, and resolves when its window has passed", {
    timeout: 60_000,
  }, async (t) => {
    const sentMs = performance.now();
    await send(stack.collector.otlpUrl, openedNow("alpaca.trading"), transition("alpaca.trading"));
    const labels = { circuit_breaker_name: "alpaca.trading" };
    const fired = await stack.webhook.waitFor("BreakwaterCircuitOpened", "firing", labels);
    t.diagnostic(`the alert arrived ${Math.round(fired.arrivedMs - sentMs)} ms after the script began to send`);
    // Two scrapes and an evaluation of one second each; the rest is for a machine that is busy.
    assert.ok(fired.arrivedMs - sentMs < 3_000 + 4_000, `arrived after ${fired.arrivedMs - sentMs} ms`);
    assert.equal(fired.labels.deployment_environment_name, "paper");
    assert.equal(fired.labels.job, "breakwater");
    assert.match(fired.annotations.description ?? "", /^Circuit alpaca\.trading of 127\.0\.0\.1 on box opened .* ago/);
    await stack.webhook.waitFor("BreakwaterCircuitOpened", "resolved", labels, { timeoutMs: 30_000 });
  });

  test("a collector that restarts in mid-series loses neither the alert nor a count", { timeout: 60_000 }, async () => {
    const name = "alpaca.data";
    const total = `sum(circuit_breaker_transitions_total{circuit_breaker_name="${name}"})`;
    const counted = (expected: number) =>
      poll(`${expected} transitions`, async () => (await stack.prometheus.query(total))[0]?.value === expected);
    for (let i = 0; i < 3; i++) await send(stack.collector.otlpUrl, transition(name));
    await counted(3);
    await stack.collector.stop();
    await poll("the collector to be seen down", async () => {
      return (await stack.prometheus.query('up{job="otelcol"} == 0')).length > 0;
    });
    await stack.collector.restart();
    for (let i = 0; i < 2; i++) await send(stack.collector.otlpUrl, transition(name));
    await send(stack.collector.otlpUrl, openedNow(name));
    await counted(2);
    await stack.webhook.waitFor("BreakwaterCircuitOpened", "firing", { circuit_breaker_name: name });
    // Prometheus takes the lower value for a counter reset and adds it to what was before: 3 and 2 transitions.
    assert.equal(
      (await stack.prometheus.query(`resets(circuit_breaker_transitions_total{circuit_breaker_name="${name}"}[1m])`))[0]
        ?.value,
      1,
    );
    await stack.webhook.waitFor(
      "BreakwaterCircuitOpened",
      "resolved",
      { circuit_breaker_name: name },
      { timeoutMs: 30_000 },
    );
  });

  test("Alpaca switched off is told, and switched on again resolves it", { timeout: 60_000 }, async () => {
    await send(stack.collector.otlpUrl, enabled(0));
    await stack.webhook.waitFor("BreakwaterAlpacaDisabled", "firing", { script_name: "account-check" });
    await send(stack.collector.otlpUrl, enabled(1));
    await stack.webhook.waitFor("BreakwaterAlpacaDisabled", "resolved", { script_name: "account-check" });
  });
});
