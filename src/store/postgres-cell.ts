import { type BreakerCell, type Change, type MaybePromise, MemoryCell } from "../breaker/cell.ts";
import { type BreakerRecord, NEW_RECORD } from "../breaker/state.ts";
import type { Database } from "./postgres-database.ts";
import { insertTransition, type Parameter } from "./postgres-history.ts";
import type { Argument, Lane } from "./postgres-lane.ts";
import { CHANNEL } from "./postgres-listener.ts";
import {
  type HoldColumns,
  type KnownRecord,
  type KnownRecords,
  learn,
  readKnown,
  type Slot,
} from "./postgres-records.ts";
import { writeRow } from "./row.ts";
import type { BreakerKey, StoreContext } from "./store.ts";

/** How often a change is tried on what others have left; only who writes past the row's lock can make it more than one. */
const MOST_ATTEMPTS = 5;

/** What a cell needs of its store. */
export interface PostgresCellStore {
  readonly database: Database;
  readonly records: KnownRecords;
  readonly context: StoreContext;
  /** Name of this store in what it tells the others. */
  readonly self: string;
}

interface LockedRow {
  readonly known: KnownRecord;
  readonly generation: number;
  readonly nowMs: number;
}

/** One breaker's record in PostgreSQL, seen by the whole fleet. Without the database, it goes on in memory. */
export class PostgresCell implements BreakerCell {
  readonly now: () => number;
  readonly #store: PostgresCellStore;
  readonly #key: BreakerKey;
  readonly #slot: Slot;
  #memory: MemoryCell | null = null;
  #last: Promise<unknown> = Promise.resolve();
  #isMending = false;

  constructor(store: PostgresCellStore, key: BreakerKey) {
    this.#store = store;
    this.#key = key;
    this.#slot = store.records.slot(key);
    this.now = store.database.clock.now;
  }

  peek(): BreakerRecord {
    if (!this.#store.database.isLost) this.#memory = null;
    if (this.#memory) return this.#memory.peek();
    const { record, isCorrupt } = this.#slot.known;
    if (isCorrupt && !this.#isMending) {
      this.#isMending = true;
      void Promise.resolve(this.update((found) => ({ record: found, result: undefined }))).finally(() => {
        this.#isMending = false;
      });
    }
    return record;
  }

  update<T>(change: (record: BreakerRecord, nowMs: number) => Change<T>): MaybePromise<Change<T>> {
    if (this.#store.database.isLost) return this.#inMemory().update(change);
    // One after the other: more of them would only hold connections while they wait for the same row.
    const turn = this.#last.then(() => this.#update(change));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #update<T>(change: (record: BreakerRecord, nowMs: number) => Change<T>): Promise<Change<T>> {
    const { database } = this.#store;
    let made: Change<T> | undefined;
    try {
      for (let attempt = 1; attempt <= MOST_ATTEMPTS; attempt++) {
        made = undefined;
        const isStored = await database.use(async (lane) => {
          try {
            const locked = await this.#lock(lane);
            made = change(locked.known.record, locked.nowMs);
            return await this.#write(lane, locked, made);
          } catch (error) {
            lane.discard();
            throw error;
          }
        });
        if (isStored && made) return made;
      }
      made = undefined;
      throw new Error(`others changed it ${MOST_ATTEMPTS} times in a row`);
    } catch (error) {
      database.lose(error);
      // The answer to the end of the transaction may be what was lost: the same change again would be another one.
      return made ? this.#inMemory(made.record).update(() => made as Change<T>) : this.#inMemory().update(change);
    }
  }

  async #lock(lane: Lane): Promise<LockedRow> {
    const { clock } = this.#store.database;
    const key = [this.#key.name, this.#key.host];
    const askedAtMs = clock.local();
    // The hold and the clock are read when the row is ours: what came before may be from before the wait for it.
    const [, , [row], [rest]] = await Promise.all([
      lane.query("BEGIN"),
      lane.query(
        `INSERT INTO breakwater.breakers (name, host, generation, row) VALUES ($1, $2, ${NEW_RECORD.generation}, $3)
         ON CONFLICT DO NOTHING`,
        [...key, writeRow(NEW_RECORD)],
      ),
      lane.query<{ row: string; generation: number; revision: number }>(
        `SELECT row, generation::double precision AS generation, revision::double precision AS revision
         FROM breakwater.breakers WHERE name = $1 AND host = $2 FOR UPDATE`,
        key,
      ),
      lane.query<HoldColumns & { now_ms: number }>(
        `SELECT breakwater.now_ms() AS now_ms, h.reason, h.held_by, h.at_ms
         FROM (SELECT $1::text AS name, $2::text AS host) k LEFT JOIN breakwater.holds h USING (name, host)`,
        key,
      ),
    ]);
    if (!row || !rest) throw new Error("the row is gone");
    clock.heard(rest.now_ms, askedAtMs);
    return {
      known: { ...readKnown(row.row, rest), revision: row.revision },
      generation: row.generation,
      nowMs: rest.now_ms,
    };
  }

  /** False when someone else has written in the meantime, by whatever way. */
  async #write(lane: Lane, { known, generation, nowMs }: LockedRow, made: Change<unknown>): Promise<boolean> {
    const { context, database } = this.#store;
    const { record, transition } = made;
    if (record === known.record && !known.isCorrupt && !transition) {
      await lane.query("ROLLBACK");
      learn(this.#slot, known);
      return true;
    }
    const args: Argument[] = [];
    const parameter: Parameter = (value, type) => `$${args.push(value)}::${type}`;
    const [name, host] = [parameter(this.#key.name, "text"), parameter(this.#key.host, "text")];
    const parts = [
      `written AS (UPDATE breakwater.breakers SET generation = ${parameter(record.generation, "bigint")},
         row = ${parameter(writeRow(record), "text")}, revision = nextval('breakwater.revisions')
         WHERE name = ${name} AND host = ${host} AND generation = ${parameter(generation, "bigint")} RETURNING revision)`,
    ];
    if (record.hold !== known.record.hold) parts.push(`held AS (${writeHold(parameter, name, host, record.hold)})`);
    if (transition) parts.push(`told AS (${insertTransition(parameter, this.#key, transition, context, nowMs)})`);
    if (known.isCorrupt) {
      parts.push(`kept AS (INSERT INTO breakwater.quarantine (name, host, row, at_ms)
        SELECT name, host, row, ${parameter(nowMs, "double precision")} FROM breakwater.breakers, written
        WHERE name = ${name} AND host = ${host} RETURNING id)`);
    }
    const copy = known.isCorrupt ? "(SELECT id::integer FROM kept)" : "NULL";
    const [[row]] = await Promise.all([
      lane.query<{ revision: number; copy: number | null }>(
        `WITH ${parts.join(", ")} SELECT revision::double precision AS revision, ${copy} AS copy,
         pg_notify('${CHANNEL}', ${parameter(this.#store.self, "text")}) FROM written`,
        args,
      ),
      lane.query("COMMIT"),
    ]);
    if (!row) return false;
    learn(this.#slot, { record, isCorrupt: false, revision: row.revision });
    if (known.isCorrupt) {
      database.onProblem({
        kind: "corrupt",
        message: `stored state of circuit "${this.#key.name}" is corrupt: it starts closed, and a copy is row ${row.copy} of table breakwater.quarantine`,
      });
    }
    return true;
  }

  #inMemory(record: BreakerRecord = this.#slot.known.record): MemoryCell {
    this.#memory ??= new MemoryCell(this.now, record);
    return this.#memory;
  }
}

function writeHold(parameter: Parameter, name: string, host: string, hold: BreakerRecord["hold"]): string {
  if (!hold) return `DELETE FROM breakwater.holds USING written WHERE name = ${name} AND host = ${host}`;
  const [reason, by] = [parameter(hold.reason, "text"), parameter(hold.by, "text")];
  return `INSERT INTO breakwater.holds (name, host, reason, held_by, at_ms)
    SELECT ${name}, ${host}, ${reason}, ${by}, ${parameter(hold.atMs, "double precision")} FROM written
    ON CONFLICT (name, host) DO UPDATE SET reason = excluded.reason, held_by = excluded.held_by, at_ms = excluded.at_ms`;
}
