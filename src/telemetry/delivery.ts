import type { ExportResult } from "@opentelemetry/core";
import type { ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { SignalName } from "../config/config.ts";

/** What a collector did not acknowledge. */
export interface Undelivered {
  readonly signal: SignalName;
  /** Spans, data points or log records. */
  readonly items: number;
  readonly reason: string;
}

/** Keeps count of what a collector has acknowledged: the SDK's own shutdown may resolve although nothing arrived. */
export class Delivery {
  readonly #failed = new Map<SignalName, { items: number; reason: string }>();
  readonly #pending = new Map<SignalName, Set<{ items: number }>>();

  /** Notes an export that begins, and returns how to note its end. */
  begin(signal: SignalName, items: number): (result: ExportResult) => void {
    const batch = { items };
    const batches = this.#pending.get(signal) ?? new Set();
    this.#pending.set(signal, batches.add(batch));
    return (result) => {
      batches.delete(batch);
      if (result.code === 0) return;
      const failed = this.#failed.get(signal)?.items ?? 0;
      this.#failed.set(signal, { items: failed + items, reason: reasonOf(result.error) });
    };
  }

  /** What has failed, and what is still on its way when time is up. */
  undelivered(): Undelivered[] {
    const signals = new Set([...this.#failed.keys(), ...this.#pending.keys()]);
    return [...signals].flatMap((signal) => {
      let items = this.#failed.get(signal)?.items ?? 0;
      for (const batch of this.#pending.get(signal) ?? []) items += batch.items;
      const reason = this.#failed.get(signal)?.reason ?? "no answer in time";
      return items === 0 ? [] : [{ signal, items, reason }];
    });
  }
}

/** Number of spans, log records or data points in an export. */
export function exportSizeOf(items: ResourceMetrics | readonly unknown[]): number {
  if ("length" in items) return items.length;
  return items.scopeMetrics
    .flatMap(({ metrics }) => metrics)
    .reduce((sum, metric) => sum + metric.dataPoints.length, 0);
}

// An exporter's message may quote a header or a body: only its status, its code or its kind is said.
function reasonOf(error: Error | undefined): string {
  const { code } = (error ?? {}) as { code?: number | string };
  const text = error?.message ?? "";
  if (typeof code === "number" && code >= 100) return `HTTP ${code}`;
  if (code === "ECONNREFUSED" || /ECONNREFUSED|connection refused|UNAVAILABLE/i.test(text)) return "connection refused";
  if (/timed? ?out|DEADLINE_EXCEEDED/i.test(text)) return "no answer in time";
  if (typeof code === "string" && /^[A-Z_]{3,30}$/.test(code)) return code;
  return /retryable/i.test(text) ? "refused for now" : "the export failed";
}
