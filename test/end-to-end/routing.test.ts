import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { type Alertmanager, startAlertmanager } from "../support/alertmanager.ts";
import { skipWithout } from "../support/programs.ts";
import { startWebhook, type Webhook } from "../support/webhook.ts";

const breaker = (circuit_breaker_name: string) => ({
  circuit_breaker_name,
  server_address: "127.0.0.1",
  host_name: "box",
});
const script = (script_name: string) => ({ script_name, host_name: "box" });

suite("messages of Alertmanager", { skip: skipWithout("alertmanager") }, () => {
  const folder = mkdtempSync(join(tmpdir(), "breakwater-"));
  let webhook: Webhook;
  let alertmanager: Alertmanager;
  before(async () => {
    webhook = await startWebhook();
    alertmanager = await startAlertmanager(folder, webhook.url);
  });
  after(async () => {
    await alertmanager?.stop();
    await webhook?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const raise = async (alertname: string, severity: string, labels: Record<string, string>) => {
    const response = await fetch(`http://${alertmanager.target}/api/v2/alerts`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify([{ labels: { alertname, severity, ...labels } }]),
    });
    assert.equal(response.status, 200);
  };
  /** The control: what is not held back arrives, and by then what came before it would have, too. */
  const assertHeldBack = async (held: string, control: Record<string, string>, labels: Record<string, string>) => {
    await webhook.waitFor(held, "firing", control);
    const of = (alert: { labels: Readonly<Record<string, string>> }) =>
      Object.entries({ alertname: held, ...labels }).every(([key, value]) => alert.labels[key] === value);
    assert.deepEqual(webhook.alerts.filter(of), []);
  };

  test("a circuit that is stuck open holds back its rejected calls, not those of another circuit", async () => {
    await raise("BreakwaterCircuitStuckOpen", "critical", breaker("alpaca.trading"));
    await webhook.waitFor("BreakwaterCircuitStuckOpen", "firing");
    await raise("BreakwaterCallsRejected", "warning", breaker("alpaca.trading"));
    await raise("BreakwaterCallsRejected", "warning", breaker("alpaca.data"));
    await assertHeldBack("BreakwaterCallsRejected", breaker("alpaca.data"), breaker("alpaca.trading"));
  });

  test("rejected credentials hold back the failing script, not another one", async () => {
    await raise("BreakwaterCredentialsRejected", "critical", script("account-check"));
    await webhook.waitFor("BreakwaterCredentialsRejected", "firing");
    await raise("BreakwaterScriptFailing", "warning", script("account-check"));
    await raise("BreakwaterScriptFailing", "warning", script("other"));
    await assertHeldBack("BreakwaterScriptFailing", script("other"), script("account-check"));
  });
});
