import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { prometheusLabel, prometheusName, seriesNames } from "../../observability/prometheus/names.ts";
import { ATTRIBUTE, INSTRUMENTS, type InstrumentName } from "../../src/instruments.ts";
import { readDashboards, readRuleGroups } from "../support/observability.ts";
import { labelsIn, metricsIn } from "../support/promql.ts";

const rules = readRuleGroups().flatMap(({ rules }) => rules);
const known = new Set([
  ...(Object.keys(INSTRUMENTS) as InstrumentName[]).flatMap(seriesNames),
  ...rules.flatMap(({ record = [] }) => record),
  // Prometheus's own, and the collector's.
  "up",
  "ALERTS",
  "otelcol_deltatocumulative_datapoints",
  "otelcol_receiver_accepted_metric_points",
  "otelcol_receiver_refused_metric_points",
  "otelcol_exporter_send_failed_metric_points",
]);
const knownLabels = new Set([
  ...Object.values(ATTRIBUTE).map(prometheusLabel),
  ..."alertname alertstate deployment_environment_name error instance job le".split(" "),
]);
const isKnown = (expression: string, where: string) => {
  assert.notDeepEqual(metricsIn(expression), [], `${where} reads no series: ${expression}`);
  assert.deepEqual(
    metricsIn(expression).filter((name) => !known.has(name)),
    [],
    `${where} reads what nobody records`,
  );
  assert.deepEqual(
    labelsIn(expression).filter((label) => !knownLabels.has(label)),
    [],
    `${where} matches what nobody sets`,
  );
};

suite("metric names", () => {
  test("follow the exporter's translation", () => {
    assert.equal(prometheusName("circuit_breaker.last_opened"), "circuit_breaker_last_opened_seconds");
    assert.equal(prometheusName("circuit_breaker.transitions"), "circuit_breaker_transitions_total");
    assert.equal(prometheusName("config.warnings"), "config_warnings");
    assert.equal(prometheusName("script.duration"), "script_duration_seconds");
  });

  for (const { record, alert, expr } of rules) {
    test(`${record ?? alert} reads only what is recorded`, () => isKnown(expr, `${record ?? alert}`));
  }

  for (const [path, { panels }] of readDashboards()) {
    for (const { title, targets } of panels.filter(({ targets }) => targets.length > 0)) {
      test(`panel "${title}" of ${path} reads only what is recorded`, () => {
        for (const { expr } of targets) isKnown(expr, title);
      });
    }
  }

  test("are found in an expression", () => {
    const expression =
      'sum by (le, a) (rate(x_bucket{b=~"y.*", c!="z"}[5m])) / on (d) (q:r:s offset 1h > bool 2) or vector(0)';
    assert.deepEqual(metricsIn(expression), ["x_bucket", "q:r:s"]);
    assert.deepEqual(labelsIn(expression).sort(), ["a", "b", "c", "d", "le"]);
  });
});
