import type { BreakerCell, Change } from "../../src/breaker/cell.ts";
import { type BreakerRecord, NEW_RECORD } from "../../src/breaker/state.ts";

/** A row that several cells share, as processes share a database. */
export class SharedRow {
  record: BreakerRecord = NEW_RECORD;
  /** How often the row was replaced by another record. */
  writes = 0;
  conflicts = 0;
}

/**
 * A store across a network: it answers later, several callers may read before one of them writes, and a write goes
 * through only while the row is what was read.
 */
export class AsyncCell implements BreakerCell {
  readonly now: () => number;
  readonly #row: SharedRow;
  #seen: BreakerRecord;

  constructor(now: () => number, row = new SharedRow()) {
    this.now = now;
    this.#row = row;
    this.#seen = row.record;
  }

  peek(): BreakerRecord {
    return this.#seen;
  }

  async update<T>(change: (record: BreakerRecord, nowMs: number) => Change<T>): Promise<Change<T>> {
    for (;;) {
      await roundTrip();
      const found = this.#row.record;
      const made = change(found, this.now());
      await roundTrip();
      if (this.#row.record !== found) {
        this.#row.conflicts++;
        continue;
      }
      if (made.record !== found) this.#row.writes++;
      this.#row.record = made.record;
      this.#seen = made.record;
      return made;
    }
  }
}

function roundTrip(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
