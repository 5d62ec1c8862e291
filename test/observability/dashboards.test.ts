import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { suite, test } from "node:test";
import { readAlerts, readDashboards, readText } from "../support/observability.ts";
import { ROOT } from "../support/programs.ts";

const dashboards = readDashboards();

suite("dashboards", () => {
  test("are what their source makes", () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(ROOT, "observability/grafana/generate.ts"), "--check"],
      { encoding: "utf8", timeout: 60_000 },
    );
    assert.equal(status, 0, stderr);
  });

  test("have an address each, and tell their panels and queries apart", () => {
    const uids = [...dashboards.values()].map(({ uid }) => uid);
    assert.equal(new Set(uids).size, uids.length);
    for (const [path, { panels }] of dashboards) {
      assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, path);
      for (const { title, targets } of panels) {
        assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, `${path}: ${title}`);
      }
    }
  });

  test("show the runbook of every alert", () => {
    for (const { alert } of readAlerts()) {
      const panel = dashboards.get(join("Breakwater runbooks", `${alert}.json`))?.panels[0] as unknown as {
        options: { content: string };
      };
      assert.equal(panel.options.content, readText(`observability/runbooks/${alert}.md`));
    }
  });
});
