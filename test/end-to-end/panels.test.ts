import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, suite, test } from "node:test";
import { seriesNames } from "../../observability/prometheus/names.ts";
import { INSTRUMENTS, type InstrumentName } from "../../src/instruments.ts";
import { startOtlpReceiver } from "../../src/local/otlp-receiver.ts";
import { type Simulator, startSimulator } from "../../src/local/simulator.ts";
import { readMetrics } from "../support/collector.ts";
import { readDashboards } from "../support/observability.ts";
import { poll } from "../support/poll.ts";
import { skipWithout } from "../support/programs.ts";
import { newStateDir, runScriptFile, simulatorEnv } from "../support/script.ts";
import { type Stack, startStack } from "../support/stack.ts";

/** As Grafana would ask for all of everything, with windows that a short test can fill. */
function filledIn(expression: string): string {
  return expression
    .replaceAll("$__rate_interval", "5s")
    .replaceAll("$__interval", "5s")
    .replaceAll("$__range", "5s")
    .replace(/"\$\w+"/g, '".*"');
}

suite("dashboards on what real scripts have sent", {
  skip: skipWithout("otelcol", "prometheus", "alertmanager"),
}, () => {
  let stack: Stack;
  let simulator: Simulator;
  const state = newStateDir();

  const status = (more: Record<string, string>) =>
    runScriptFile("scripts/status.ts", {
      env: simulatorEnv(simulator, {
        STATE_DIR: state,
        OTEL_SDK_DISABLED: undefined,
        OTEL_EXPORTER_OTLP_ENDPOINT: stack.collector.otlpUrl,
        OTEL_RESOURCE_ATTRIBUTES: "host.name=box",
        ALPACA_BREAKER_FAILURE_THRESHOLD: "1",
        ALPACA_BREAKER_RECOVERY_SECONDS: "0.1",
        ...more,
      }),
    });
  /** One run that opens the circuit, and one that closes it. */
  const outage = async (more: Record<string, string> = {}) => {
    const repair = simulator.fault({ kind: "status", status: 503 });
    assert.equal((await status(more)).code, 69);
    repair();
    assert.equal((await status(more)).code, 0);
  };

  before(async () => {
    simulator = await startSimulator({ requestsPerMinute: 100_000 });
    stack = await startStack();
    const down = await startOtlpReceiver();
    await down.close();
    await outage({ OTEL_EXPORTER_OTLP_ENDPOINT: down.url });
    // Nobody holds these changes any more; the first is too old to be told, and the row of the breaker is damaged.
    const db = new DatabaseSync(join(state, "breakwater.sqlite"));
    db.exec(`UPDATE transitions SET claimed_until_ms = 0;
      UPDATE transitions SET at_ms = 0 WHERE at_ms = (SELECT min(at_ms) FROM transitions);
      UPDATE breakers SET row = 'no row'`);
    db.close();
    await outage();
  });
  after(async () => {
    await stack?.stop();
    await simulator?.close();
  });

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
              // A rate needs something that happens within its window.
              await outage();
              return false;
            },
            { everyMs: 500 },
          );
        }
      });
    }
  }
});
