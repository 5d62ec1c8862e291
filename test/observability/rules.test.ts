import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { readAlerts, readDashboards, readRuleGroups, readText } from "../support/observability.ts";
import { ROOT, runProgram, skipWithout } from "../support/programs.ts";

const FOLDER = "observability/prometheus";

suite("promtool", { skip: skipWithout("promtool") }, () => {
  const accepts = (...args: string[]) => {
    const { status, output } = runProgram("promtool", args);
    assert.equal(status, 0, output);
  };
  test("accepts the scrape configuration", () => accepts("check", "config", `${FOLDER}/prometheus.yml`));
  test("accepts the rules", () => accepts("check", "rules", `${FOLDER}/breakwater.rules.yml`));
  test("finds each alert silent before its threshold and firing after", () =>
    accepts("test", "rules", `${FOLDER}/breakwater.test.yml`));
});

suite("rules", () => {
  const alerts = readAlerts();
  const tests = readText(`${FOLDER}/breakwater.test.yml`);
  const uids = new Set([...readDashboards().values()].map(({ uid }) => uid));

  test("are all evaluated at the global interval", () => {
    for (const group of readRuleGroups()) assert.equal(group.interval, undefined, group.name);
  });

  for (const { alert, labels = {}, annotations = {}, expr, for: pending } of alerts) {
    test(`${alert} says what, how bad and where to look`, () => {
      assert.match(alert, /^Breakwater[A-Z][A-Za-z]+$/);
      assert.match(labels.severity ?? "", /^(critical|warning|info)$/);
      assert.match(annotations.summary ?? "", /^[^{}]+\.$/);
      assert.match(annotations.description ?? "", /\{\{/);
      for (const key of ["runbook_url", "dashboard_url"]) {
        const uid = new URL(annotations[key] ?? "").pathname.replace(/^\/d\//, "");
        assert.ok(uids.has(uid), `${key} leads to ${uid}, which is no dashboard`);
      }
    });

    test(`${alert} has a runbook`, () => {
      const path = `observability/runbooks/${alert}.md`;
      assert.ok(existsSync(join(ROOT, path)), `${path} is missing`);
      const headings = readText(path).match(/^#+ .*$/gm);
      assert.deepEqual(headings, [
        `# ${alert}`,
        "## What it means",
        "## How to look",
        "## How to act",
        "## How to silence",
      ]);
      assert.match(annotations.runbook_url ?? "", new RegExp(`/${alert}$`));
    });

    test(`${alert} is tested on both sides of its threshold`, () => {
      assert.match(tests, new RegExp(`alertname: ${alert}\n        exp_alerts:`));
      assert.match(tests, new RegExp(`alertname="${alert}", alertstate="firing"}\\)\n.*\n        exp_samples: \\[\\]`));
    });

    test(`${alert} waits only where it may`, () => {
      const isOfCollector = /\bup\{|otelcol_/.test(expr);
      if (isOfCollector) assert.notEqual(pending, undefined);
      if (expr.includes("last_opened")) assert.equal(pending, undefined);
    });
  }
});
