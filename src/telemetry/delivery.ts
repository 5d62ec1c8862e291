import type { ExportResult } from "@opentelemetry/core";
import type { ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { SignalName } from "../config/config.ts";

/** What a collector did not acknowledge. */
export interface Undelivered {
  readonly signal: SignalName;
  /** Spans, data points or log records. */
  readonly items: number;
  /** Such as `connection refused` or `HTTP 503`; never an error's own words, which may quote a header. */
  readonly reason: string;
}

interface Tally {
  delivered: number;
  failed: number;
  /** Of the last failure. */
  reason: string;
  /** Of the last answer that was an error; the exporters do not hand on that of a retryable one. */
  status: number | null;
  readonly pending: Set<{ readonly items: number }>;
}

/** Keeps count of what a collector has acknowledged: the SDK's own shutdown may resolve although nothing arrived. */
export class Delivery {
  readonly #tallies: Record<SignalName, Tally> = { traces: newTally(), metrics: newTally(), logs: newTally() };

  /** Notes an export that begins and may take `timeoutMs`, and returns how to note its end. */
  begin(signal: SignalName, items: number, timeoutMs: number): (result: ExportResult) => void {
    const tally = this.#tallies[signal];
    const batch = { items };
    tally.pending.add(batch);
    return ({ code, error }) => {
      if (!tally.pending.delete(batch)) return;
      if (code === 0) tally.delivered += items;
      else this.#fail(signal, items, reasonOf(error, tally.status, timeoutMs));
    };
  }

  /** Notes the status of an answer. */
  answered(signal: SignalName, status: number): void {
    if (status >= 400) this.#tallies[signal].status = status;
  }

  /** Notes that a collector has acknowledged an export and refused some of its items all the same. */
  rejected(signal: SignalName, items: number): void {
    this.#tallies[signal].delivered -= items;
    this.#fail(signal, items, "rejected by the collector");
  }

  /** What has failed, and what has had no answer after `waitedMs`. */
  undelivered(waitedMs: number): Undelivered[] {
    return (Object.keys(this.#tallies) as SignalName[]).flatMap((signal) => {
      const { failed, reason, pending } = this.#tallies[signal];
      let items = failed;
      for (const batch of pending) items += batch.items;
      return items === 0 ? [] : [{ signal, items, reason: failed > 0 ? reason : noAnswer(waitedMs) }];
    });
  }

  #fail(signal: SignalName, items: number, reason: string): void {
    const tally = this.#tallies[signal];
    tally.failed += items;
    tally.reason = reason;
  }
}

/** Number of spans, log records or data points in an export. */
export function exportSizeOf(items: ResourceMetrics | readonly unknown[]): number {
  if ("length" in items) return items.length;
  return items.scopeMetrics
    .flatMap(({ metrics }) => metrics)
    .reduce((sum, metric) => sum + metric.dataPoints.length, 0);
}

function newTally(): Tally {
  return { delivered: 0, failed: 0, reason: "", status: null, pending: new Set() };
}

function noAnswer(ms: number): string {
  return `no answer within ${Math.round(ms)} ms`;
}

const GRPC_DEADLINE_EXCEEDED = 4;

// An exporter's message may quote a header or a body: only a status, a code or a kind is said.
function reasonOf(error: Error | undefined, lastStatus: number | null, timeoutMs: number): string {
  const text = error?.message ?? "";
  const code = codeOf(error);
  if (typeof code === "number" && code >= 100) return `HTTP ${code}`;
  if (code === "ECONNREFUSED" || text.includes("ECONNREFUSED")) return "connection refused";
  if (code === GRPC_DEADLINE_EXCEEDED || text === "Request timed out") return noAnswer(timeoutMs);
  if (typeof code === "number") return `gRPC ${/^\d+ ([A-Z_]{2,30}):/.exec(text)?.[1] ?? `status ${code}`}`;
  if (typeof code === "string" && /^[A-Z][A-Z_]{2,40}$/.test(code)) return code;
  if (/retryable/.test(text) && lastStatus !== null) return `HTTP ${lastStatus}`;
  if (/concurren/i.test(text)) return "too many exports at a time";
  return "the export failed";
}

// A name with several addresses fails with an error of errors.
function codeOf(error: unknown): unknown {
  const { code, errors } = (error ?? {}) as { code?: unknown; errors?: unknown[] };
  return code ?? (errors?.[0] as { code?: unknown } | undefined)?.code;
}
