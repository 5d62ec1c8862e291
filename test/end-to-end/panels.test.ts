import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { seriesNames } from "../../observability/prometheus/names.ts";
import { INSTRUMENTS, type Instrument, type InstrumentName } from "../../src/instruments.ts";
import { readMetrics } from "../support/collector.ts";
import { readDashboards } from "../support/observability.ts";
import { poll } from "../support/poll.ts";
import { skipWithout } from "../support/programs.ts";
import { type Point, send } from "../support/sender.ts";
import { type Stack, startStack } from "../support/stack.ts";

/** What the toolkit would say; everything else is "x". */
const VALUES: Readonly<Record<string, string>> = {
  "circuit_breaker.name": "alpaca.trading",
  "circuit_breaker.from": "closed",
  "circuit_breaker.to": "open",
  "circuit_breaker.state": "open",
  "circuit_breaker.outcome": "failure",
  "script.name": "account-check",
  "script.outcome": "failure",
};

function everyMetric(): Point[] {
  return Object.entries<Instrument>(INSTRUMENTS).map(([name, { attributes, scope }]) => ({
    name: name as InstrumentName,
    value: name === "circuit_breaker.last_opened" || name === "script.last_success" ? Date.now() / 1000 : 1,
    attributes: {
      ...Object.fromEntries(attributes.map((key) => [key, VALUES[key] ?? "x"])),
      ...(scope === "machine" && { "host.name": "box" }),
    },
  }));
}

/** As Grafana would ask for all of everything, with windows that a short test can fill. */
function filledIn(expression: string): string {
  return expression
    .replaceAll("$__rate_interval", "5s")
    .replaceAll("$__interval", "5s")
    .replaceAll("$__range", "5s")
    .replace(/"\$\w+"/g, '".*"');
}

suite("dashboards on real data", { skip: skipWithout("otelcol", "prometheus", "alertmanager") }, () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
    await send(stack.collector.otlpUrl, ...everyMetric());
  });
  after(() => stack?.stop());

  test("every metric has the name by which rules and panels know it", async () => {
    const expected = (Object.keys(INSTRUMENTS) as InstrumentName[]).flatMap(seriesNames).sort();
    const names = await poll("all metrics", async () => {
      const text = await readMetrics(stack.collector.metricsTarget);
      const found = [...new Set([...text.matchAll(/^([a-z_]+)[{ ]/gm)].map(([, name]) => name!))];
      return found.length >= expected.length && found;
    });
    assert.deepEqual(names.sort(), expected);
  });

  for (const [path, { panels }] of readDashboards()) {
    for (const { title, targets } of panels.filter(({ targets }) => targets.length > 0)) {
      test(`panel "${title}" of ${path} shows data`, { timeout: 60_000 }, async () => {
        for (const { expr } of targets) {
          await poll(
            `data for ${expr}`,
            async () => {
              const samples = await stack.prometheus.query(filledIn(expr));
              if (samples.some(({ value }) => !Number.isNaN(value))) return true;
              // A quantile needs observations within its window.
              await send(stack.collector.otlpUrl, ...everyMetric());
              return false;
            },
            { everyMs: 500 },
          );
        }
      });
    }
  }
});
