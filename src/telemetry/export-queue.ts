import { setTimeout } from "node:timers";
import { context, ROOT_CONTEXT, TraceFlags } from "@opentelemetry/api";
import { type ExportResult, suppressTracing } from "@opentelemetry/core";
import type { LogRecordExporter, LogRecordProcessor, ReadableLogRecord } from "@opentelemetry/sdk-logs";
import type { ReadableSpan, SpanExporter, SpanProcessor } from "@opentelemetry/sdk-trace";

/** Items of one export; with the 30 exports that an exporter allows at a time, more than a recorder holds back. */
const MOST_AT_ONCE = 1_024;

/** Longest that an item of a long-running script waits. */
const EXPORT_EVERY_MS = 5_000;

/**
 * Collects items and exports them in batches. Unlike the SDK's batch processors, a flush exports everything at once
 * even while an earlier one is under way, and waits for the exports of both.
 */
class ExportQueue<T> {
  readonly #export: (items: T[], done: (result: ExportResult) => void) => void;
  readonly #pending = new Set<Promise<void>>();
  #waiting: T[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(exportItems: (items: T[], done: (result: ExportResult) => void) => void) {
    this.#export = exportItems;
  }

  add(item: T): void {
    this.#waiting.push(item);
    if (this.#waiting.length >= MOST_AT_ONCE) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), EXPORT_EVERY_MS).unref();
  }

  async flush(): Promise<void> {
    this.#send();
    await Promise.all(this.#pending);
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0) return;
    const items = this.#waiting;
    this.#waiting = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#pending.add(promise);
    // An export is no part of anybody's trace, however its request is instrumented.
    context.with(suppressTracing(ROOT_CONTEXT), () => this.#export(items, () => resolve()));
    void promise.then(() => this.#pending.delete(promise));
  }
}

/** Exports spans that are sampled. */
export function queueSpans(exporter: SpanExporter): SpanProcessor {
  const queue = new ExportQueue<ReadableSpan>((spans, done) => exporter.export(spans, done));
  return {
    onStart: () => {},
    onEnd: (span) => {
      if (span.spanContext().traceFlags & TraceFlags.SAMPLED) queue.add(span);
    },
    forceFlush: () => queue.flush(),
    shutdown: () => queue.flush(),
  };
}

/** Exports log records. */
export function queueLogs(exporter: LogRecordExporter): LogRecordProcessor {
  const queue = new ExportQueue<ReadableLogRecord>((records, done) => exporter.export(records, done));
  return {
    onEmit: (record) => queue.add(record),
    forceFlush: () => queue.flush(),
    shutdown: () => queue.flush(),
  };
}
