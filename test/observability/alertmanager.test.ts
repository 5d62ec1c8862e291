import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { renderAlertmanagerConfig } from "../support/alertmanager.ts";
import { readAlerts, readYaml } from "../support/observability.ts";
import { ROOT, runProgram, skipWithout } from "../support/programs.ts";

const CONFIG = "observability/alertmanager/alertmanager.yml";
const folder = mkdtempSync(join(tmpdir(), "breakwater-"));
after(() => rmSync(folder, { recursive: true, force: true }));

suite("amtool", { skip: skipWithout("amtool") }, () => {
  const accepts = (path: string) => {
    const { status, output } = runProgram("amtool", ["check-config", path]);
    assert.equal(status, 0, output);
  };

  test("accepts the configuration", () => accepts(CONFIG));

  test("accepts the configuration with the receiver of the environment", () => {
    const url = "https://hooks.example/a?token=x&y=$1|z";
    const rendered = renderAlertmanagerConfig(url);
    assert.ok(rendered.includes(`- url: "${url}"\n`));
    assert.ok(!rendered.includes("127.0.0.1:9094"));
    const path = join(folder, "alertmanager.yml");
    writeFileSync(path, rendered);
    accepts(path);
  });
});

suite("alertmanager configuration", () => {
  test("is not rendered for a receiver that is no address", () => {
    for (const url of [undefined, "", "hooks.example", "http://a b", 'http://a"b', "http://a\nb"]) {
      const { status, stderr } = spawnSync("sh", [join(ROOT, "observability/alertmanager/render.sh")], {
        encoding: "utf8",
        env: { PATH: process.env.PATH, ...(url === undefined ? {} : { ALERT_WEBHOOK_URL: url }) },
      });
      assert.notEqual(status, 0, url);
      assert.match(stderr, /Cannot render alertmanager\.yml: ALERT_WEBHOOK_URL/);
      if (url?.includes("http") === true) assert.ok(!stderr.includes(url), "the address may be a secret");
    }
  });

  test("names only alerts that exist", () => {
    const text = JSON.stringify(readYaml(CONFIG));
    const alerts = new Set(readAlerts().map(({ alert }) => alert));
    const named = [...text.matchAll(/Breakwater\w+/g)].map(([name]) => name);
    assert.ok(named.length > 0);
    assert.deepEqual(
      named.filter((name) => !alerts.has(name)),
      [],
    );
  });
});
