import type { ResourceMetrics } from "@opentelemetry/sdk-metrics";
import type { SignalName } from "../config/config.ts";
import { ATTRIBUTE } from "../instruments.ts";

const COUNTER = "circuit_breaker.transitions";

/** Hears of state changes that a collector has taken, by signal and event id. */
export type OnAcknowledged = (signal: SignalName, eventIds: readonly string[]) => void;

/**
 * Finds the state changes in what is exported. Spans and log events carry their ids; a counter does not, so that of a
 * batch of metrics it is known by its sum: the changes were counted in their order.
 */
export class Acknowledgements {
  readonly #onAcknowledged: OnAcknowledged;
  readonly #isCumulative: boolean;
  /** Counted and not exported yet, in order. */
  #counted: string[] = [];
  #exportedSum = 0;

  constructor(onAcknowledged: OnAcknowledged, isCumulative: boolean) {
    this.#onAcknowledged = onAcknowledged;
    this.#isCumulative = isCumulative;
  }

  /** Notes that a state change was added to the counter. */
  counted(eventId: string): void {
    this.#counted.push(eventId);
  }

  /** Notes that the span of a state change is not sampled: there is nothing to wait for. */
  unsampled(eventId: string): void {
    this.#onAcknowledged("traces", [eventId]);
  }

  /** Notes an export that begins, and returns how to note that the collector took it. */
  begin(signal: SignalName, items: ResourceMetrics | readonly { readonly attributes: object }[]): () => void {
    const eventIds = "length" in items ? idsIn(items) : this.#take(items);
    return () => {
      if (eventIds.length > 0) this.#onAcknowledged(signal, eventIds);
    };
  }

  #take(metrics: ResourceMetrics): string[] {
    const sum = sumOf(metrics);
    const fresh = this.#isCumulative ? sum - this.#exportedSum : sum;
    if (this.#isCumulative) this.#exportedSum = sum;
    return this.#counted.splice(0, fresh);
  }
}

function idsIn(items: readonly { readonly attributes: object }[]): string[] {
  return items.flatMap(({ attributes }) => {
    const eventId: unknown = (attributes as Record<string, unknown>)[ATTRIBUTE.breakerEventId];
    return typeof eventId === "string" ? [eventId] : [];
  });
}

function sumOf({ scopeMetrics }: ResourceMetrics): number {
  let sum = 0;
  for (const { metrics } of scopeMetrics) {
    for (const { descriptor, dataPoints } of metrics) {
      if (descriptor.name !== COUNTER) continue;
      for (const { value } of dataPoints) sum += typeof value === "number" ? value : 0;
    }
  }
  return sum;
}
