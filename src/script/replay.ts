import type { SignalName } from "../config/config.ts";
import type { Outbox } from "../store/store.ts";
import type { SignalSink } from "../telemetry/recorder.ts";
import { recordChange } from "../telemetry/signals.ts";

/** State changes that one run sends again; the rest is for the runs after it. */
const MOST_REPLAYED = 500;

/** Sends what earlier runs could not deliver, and notes what has arrived. */
export class Replay {
  readonly #outbox: Outbox;
  readonly #onError: (error: unknown) => void;
  /** Signals that a change of an earlier run has still to arrive in. */
  readonly #replayed = new Map<string, Set<SignalName>>();
  #sink: SignalSink | null = null;
  #writes: Promise<unknown> = Promise.resolve();
  #hasReplayed = false;

  constructor(outbox: Outbox, onError: (error: unknown) => void) {
    this.#outbox = outbox;
    this.#onError = onError;
  }

  /** Whether anything of earlier runs was sent. */
  get hasReplayed(): boolean {
    return this.#hasReplayed;
  }

  /** Takes what earlier runs left behind, and records it with its own ids and times. */
  async start(sink: SignalSink): Promise<void> {
    this.#sink = sink;
    try {
      for (const entry of await this.#outbox.claim(MOST_REPLAYED)) {
        this.#hasReplayed = true;
        this.#replayed.set(entry.eventId, new Set(entry.undelivered));
        recordChange(sink, entry);
      }
    } catch (error) {
      this.#onError(error);
    }
  }

  /** Notes that changes have arrived in a signal. */
  acknowledge(signal: SignalName, eventIds: readonly string[]): void {
    for (const eventId of eventIds) {
      const due = this.#replayed.get(eventId);
      if (!due?.delete(signal) || due.size > 0) continue;
      this.#replayed.delete(eventId);
      this.#sink?.measure({ name: "telemetry.outbox.replayed", value: 1, attributes: NONE });
    }
    this.#writes = this.#writes.then(() => this.#outbox.acknowledge(signal, eventIds)).catch(this.#onError);
  }

  /** Resolves when all that was noted is stored. */
  async settled(): Promise<void> {
    await this.#writes;
  }

  /** State changes that no collector has taken yet, of any run; null when the store cannot say. */
  async size(): Promise<number | null> {
    try {
      return await this.#outbox.size();
    } catch (error) {
      this.#onError(error);
      return null;
    }
  }
}

const NONE = {};
