import type { DatabaseSync, StatementSync } from "node:sqlite";
import { type BreakerCell, type Change, MemoryCell } from "../breaker/cell.ts";
import { type BreakerRecord, NEW_RECORD, type Transition } from "../breaker/state.ts";
import { readRow, writeRow } from "./row.ts";
import { transact } from "./sqlite-file.ts";
import type { BreakerKey, StoreContext } from "./store.ts";

/** How old a look at the shared state may be when a call is admitted. */
export const LOOK_MS = 100;

/** How long a store that could not be used is left alone. */
export const AGAIN_MS = 5_000;

/** What a cell needs of its store. */
export interface SqliteCellStore {
  readonly db: DatabaseSync;
  readonly context: StoreContext;
  readonly now: () => number;
  /** Writes a state change, within the transaction that is open. */
  readonly remember: (key: BreakerKey, transition: Transition) => void;
  /** Says, once a run, that the file cannot be used. */
  readonly unreachable: (error: unknown) => void;
}

/** One breaker's record in SQLite, seen by every script of the machine. Without the file, it goes on in memory. */
export class SqliteCell implements BreakerCell {
  readonly now: () => number;
  readonly #store: SqliteCellStore;
  readonly #key: BreakerKey;
  readonly #select: StatementSync;
  #known: BreakerRecord = NEW_RECORD;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #memory: MemoryCell | null = null;
  #memorySinceMs = 0;

  constructor(store: SqliteCellStore, key: BreakerKey) {
    this.#store = store;
    this.#key = key;
    this.now = store.now;
    this.#select = store.db.prepare(
      `SELECT b.row, h.reason, h.held_by, h.at_ms FROM (SELECT ? AS name, ? AS host) k
       LEFT JOIN breakers b USING (name, host) LEFT JOIN holds h USING (name, host)`,
    );
  }

  peek(): BreakerRecord {
    // By a clock that nobody sets: after a step back, a look by the other one would be far in the future.
    const atMs = performance.now();
    if (this.#memory && !this.#triesAgain(atMs)) return this.#memory.peek();
    if (atMs - this.#lookedAtMs < LOOK_MS) return this.#known;
    this.#lookedAtMs = atMs;
    try {
      const found = this.#read();
      // A row that cannot be read is put right by the next update, which may write.
      this.#memory = null;
      if (found) this.#known = found;
      else this.update((record) => ({ record, result: undefined }));
    } catch (error) {
      this.#goOnInMemory(error);
    }
    return this.#current();
  }

  update<T>(change: (record: BreakerRecord, nowMs: number) => Change<T>): Change<T> {
    if (this.#memory && !this.#triesAgain(performance.now())) return this.#memory.update(change);
    let made: Change<T>;
    try {
      made = transact(this.#store.db, () => {
        const found = this.#read() ?? this.#quarantine();
        const changed = change(found, this.now());
        if (changed.record !== found) this.#write(found, changed.record);
        if (changed.transition) this.#store.remember(this.#key, changed.transition);
        return changed;
      });
    } catch (error) {
      return this.#goOnInMemory(error).update(change);
    }
    this.#memory = null;
    this.#known = made.record;
    this.#lookedAtMs = performance.now();
    return made;
  }

  #current(): BreakerRecord {
    return this.#memory?.peek() ?? this.#known;
  }

  #read(): BreakerRecord | null {
    const { name, host } = this.#key;
    const found = this.#select.get(name, host) as unknown as {
      row: string | null;
      reason: string | null;
      held_by: string | null;
      at_ms: number | null;
    };
    const { row, reason, held_by, at_ms } = found;
    return readRow(row, reason === null ? null : { reason, by: held_by, atMs: at_ms });
  }

  #write(before: BreakerRecord, after: BreakerRecord): void {
    const { name, host } = this.#key;
    const { db } = this.#store;
    db.prepare(
      `INSERT INTO breakers (name, host, generation, row) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET generation = excluded.generation, row = excluded.row`,
    ).run(name, host, after.generation, writeRow(after));
    if (before.hold === after.hold) return;
    db.prepare("DELETE FROM holds WHERE name = ? AND host = ?").run(name, host);
    if (!after.hold) return;
    const { reason, by, atMs } = after.hold;
    db.prepare("INSERT INTO holds (name, host, reason, held_by, at_ms) VALUES (?, ?, ?, ?, ?)").run(
      name,
      host,
      reason,
      by,
      atMs,
    );
  }

  /** Keeps a row that nobody can read aside, and begins anew: closed, with the hold that is stored apart. */
  #quarantine(): BreakerRecord {
    const { name, host } = this.#key;
    const { db, context } = this.#store;
    const { lastInsertRowid } = db
      .prepare(
        "INSERT INTO quarantine (name, host, row, at_ms) SELECT name, host, row, ? FROM breakers WHERE name = ? AND host = ?",
      )
      .run(this.now(), name, host);
    db.prepare("DELETE FROM breakers WHERE name = ? AND host = ?").run(name, host);
    context.onProblem({
      kind: "corrupt",
      message: `stored state of circuit "${name}" is corrupt: it starts closed, and a copy is row ${lastInsertRowid} of table quarantine`,
    });
    return this.#read() ?? NEW_RECORD;
  }

  #goOnInMemory(error: unknown): MemoryCell {
    this.#store.unreachable(error);
    this.#memorySinceMs = performance.now();
    this.#memory ??= new MemoryCell(this.now, this.#known);
    return this.#memory;
  }

  /** A service that runs for days must hear of an operator again, when the file can be used again. */
  #triesAgain(atMs: number): boolean {
    return atMs - this.#memorySinceMs >= AGAIN_MS;
  }
}
