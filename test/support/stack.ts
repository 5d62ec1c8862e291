import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Alertmanager, startAlertmanager } from "./alertmanager.ts";
import { type Collector, startCollector } from "./collector.ts";
import { type Prometheus, startPrometheus } from "./prometheus.ts";
import { startWebhook, type Webhook } from "./webhook.ts";

/** Everything between a script and a pager, all of it real but the pager. */
export interface Stack {
  readonly collector: Collector;
  readonly prometheus: Prometheus;
  readonly alertmanager: Alertmanager;
  readonly webhook: Webhook;
  /** Stops all of it and removes its files. */
  readonly stop: () => Promise<void>;
}

/** Starts the whole path; `rules` replaces pieces of the committed rules. */
export async function startStack(rules: Readonly<Record<string, string>> = {}): Promise<Stack> {
  await using started = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "breakwater-"));
  started.defer(() => rm(folder, { recursive: true, force: true }));
  const webhook = await startWebhook();
  started.defer(() => webhook.stop());
  const collector = await startCollector({ folder });
  started.defer(() => collector.stop());
  const alertmanager = await startAlertmanager(folder, webhook.url);
  started.defer(() => alertmanager.stop());
  const prometheus = await startPrometheus({ folder, collector, alertmanagerTarget: alertmanager.target, rules });
  started.defer(() => prometheus.stop());
  const all = started.move();
  return { collector, prometheus, alertmanager, webhook, stop: () => all.disposeAsync() };
}
