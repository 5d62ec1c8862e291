import { type BreakerRecord, NEW_RECORD } from "../breaker/state.ts";
import type { ServerClock } from "./postgres-clock.ts";
import type { Lane } from "./postgres-lane.ts";
import { readRow } from "./row.ts";
import type { BreakerKey, StoredBreaker } from "./store.ts";

/** What is known of a breaker's row. */
export interface KnownRecord {
  readonly record: BreakerRecord;
  /** Nobody can read the row: the next update puts it right. */
  readonly isCorrupt: boolean;
  /** Grows with every write, so that an answer that was overtaken shows. */
  readonly revision: number;
}

const UNKNOWN: KnownRecord = { record: NEW_RECORD, isCorrupt: false, revision: 0 };

/** Hold columns of a row; null without one. */
export interface HoldColumns {
  readonly reason: string | null;
  readonly held_by: string | null;
  readonly at_ms: number | null;
}

/** Where the latest that is known of one breaker is found. */
export interface Slot {
  known: KnownRecord;
}

/** All breakers of the database, as last heard of: the copy that answers without waiting. */
export class KnownRecords {
  readonly #slots = new Map<string, Slot>();

  slot({ name, host }: BreakerKey): Slot {
    const id = JSON.stringify([name, host]);
    const slot = this.#slots.get(id) ?? { known: UNKNOWN };
    this.#slots.set(id, slot);
    return slot;
  }

  /** Reads all rows, and the server's clock with them. */
  async load(lane: Lane, clock: ServerClock): Promise<void> {
    const askedAtMs = clock.local();
    const rows = await lane.query<LoadedRow>(SELECT_ALL);
    if (rows[0]) clock.heard(rows[0].now_ms, askedAtMs);
    for (const { name, host, row, revision, ...columns } of rows) {
      if (name === null || host === null || row === null) continue;
      learn(this.slot({ name, host }), { ...readKnown(row, columns), revision: revision ?? 0 });
    }
  }

  list(): StoredBreaker[] {
    return [...this.#slots].flatMap(([id, { known }]) => {
      const [name, host] = JSON.parse(id) as [string, string];
      return known.revision === 0 || known.isCorrupt ? [] : [{ name, host, record: known.record }];
    });
  }
}

/** Takes what is newer than what is known. */
export function learn(slot: Slot, known: KnownRecord): void {
  if (known.revision >= slot.known.revision) slot.known = known;
}

/** Reads a row; one that nobody can read is a new record, with the hold that is stored apart. */
export function readKnown(row: string, hold: HoldColumns): Omit<KnownRecord, "revision"> {
  const held = hold.reason === null ? null : { reason: hold.reason, by: hold.held_by, atMs: hold.at_ms };
  const record = readRow(row, held);
  if (record) return { record, isCorrupt: false };
  return { record: readRow(null, held) ?? NEW_RECORD, isCorrupt: true };
}

interface LoadedRow extends HoldColumns {
  readonly now_ms: number;
  readonly name: string | null;
  readonly host: string | null;
  readonly row: string | null;
  readonly revision: number | null;
}

// The clock is there even where no breaker is.
const SELECT_ALL = `
  SELECT c.now_ms, b.name, b.host, b.row, b.revision::double precision AS revision, h.reason, h.held_by, h.at_ms
  FROM (SELECT breakwater.now_ms() AS now_ms) c LEFT JOIN breakwater.breakers b ON true
  LEFT JOIN breakwater.holds h ON h.name = b.name AND h.host = b.host ORDER BY b.name, b.host`;
