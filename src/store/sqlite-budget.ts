import type { DatabaseSync, StatementSync } from "node:sqlite";
import { LONGEST_PAUSE_MS, MemoryBudget, type RequestBudget, type Reservation, refused, WINDOW_MS } from "./budget.ts";
import { AGAIN_MS } from "./sqlite-cell.ts";
import { transact } from "./sqlite-file.ts";

interface BudgetRow {
  readonly starts: number;
  readonly paused_until_ms: number;
}

type Statement =
  | "add"
  | "blocking"
  | "count"
  | "reset"
  | "forget"
  | "forgetAhead"
  | "insert"
  | "pause"
  | "read"
  | "remove"
  | "setStarts";

/** A budget in SQLite: all scripts of the machine together start no more than `limit` requests within any 60 s. */
export class SqliteBudget implements RequestBudget {
  readonly #db: DatabaseSync;
  readonly #key: string;
  readonly #limit: number;
  readonly #now: () => number;
  readonly #unreachable: (error: unknown) => void;
  readonly #statements: Readonly<Record<Statement, StatementSync>>;
  #memory: MemoryBudget | null = null;
  #memorySinceMs = 0;

  constructor(db: DatabaseSync, key: string, limit: number, now: () => number, unreachable: (error: unknown) => void) {
    this.#db = db;
    this.#key = key;
    this.#limit = limit;
    this.#now = now;
    this.#unreachable = unreachable;
    this.#statements = {
      read: db.prepare("SELECT starts, paused_until_ms FROM budgets WHERE budget = ?"),
      // The number of starts is kept beside them: to count them would take longer the more there are.
      setStarts: db.prepare(
        `INSERT INTO budgets (budget, starts, paused_until_ms) VALUES (?, ?, 0)
         ON CONFLICT DO UPDATE SET starts = excluded.starts`,
      ),
      add: db.prepare("UPDATE budgets SET starts = starts + ? WHERE budget = ?"),
      pause: db.prepare(
        `INSERT INTO budgets (budget, starts, paused_until_ms) VALUES (?, 0, ?)
         ON CONFLICT DO UPDATE SET paused_until_ms = max(paused_until_ms, excluded.paused_until_ms)`,
      ),
      blocking: db.prepare("SELECT at_ms FROM budget_starts WHERE budget = ? ORDER BY at_ms LIMIT 1 OFFSET ?"),
      insert: db.prepare("INSERT INTO budget_starts (budget, at_ms) VALUES (?, ?)"),
      // Two statements: with an OR in one, SQLite would look at every start.
      forget: db.prepare("DELETE FROM budget_starts WHERE budget = ? AND at_ms <= ?"),
      forgetAhead: db.prepare("DELETE FROM budget_starts WHERE budget = ? AND at_ms > ?"),
      count: db.prepare("SELECT count(*) AS starts FROM budget_starts WHERE budget = ?"),
      reset: db.prepare("INSERT OR REPLACE INTO budgets (budget, starts, paused_until_ms) VALUES (?, ?, 0)"),
      remove: db.prepare("DELETE FROM budget_starts WHERE id = ?"),
    };
  }

  reserve(): Reservation {
    return this.#use(
      () => this.#reserve(),
      (memory) => memory.reserve(),
    );
  }

  pause(durationMs: number): void {
    this.#use(
      () => void this.#statements.pause.run(this.#key, this.#now() + Math.min(durationMs, LONGEST_PAUSE_MS)),
      (memory) => memory.pause(durationMs),
    );
  }

  pausedMs(): number {
    return this.#use(
      () => {
        const nowMs = this.#now();
        return Math.max(0, this.#pausedUntilMs(nowMs) - nowMs);
      },
      (memory) => memory.pausedMs(),
    );
  }

  remaining(): number {
    return this.#use(
      () => {
        const nowMs = this.#now();
        const starts = this.#forget(nowMs);
        return this.#pausedUntilMs(nowMs) > nowMs ? 0 : Math.max(0, this.#limit - starts);
      },
      (memory) => memory.remaining(),
    );
  }

  #reserve(): Reservation {
    const nowMs = this.#now();
    let starts = this.#forget(nowMs);
    const pausedUntilMs = this.#pausedUntilMs(nowMs);
    let blocking = this.#blocking(starts);
    if (starts >= this.#limit && !blocking) {
      starts = this.#recount();
      blocking = this.#blocking(starts);
    }
    const freeAtMs = Math.max(nowMs, blocking ? blocking.at_ms + WINDOW_MS : 0, pausedUntilMs);
    const waitMs = freeAtMs - nowMs;
    if (waitMs > WINDOW_MS) {
      return refused(waitMs, pausedUntilMs === freeAtMs, this.#limit);
    }
    const { lastInsertRowid } = this.#statements.insert.run(this.#key, freeAtMs);
    this.#statements.setStarts.run(this.#key, starts + 1);
    return { granted: true, waitMs, giveBack: () => this.#giveBack(lastInsertRowid) };
  }

  /** The start that the next one has to keep 60 s from; undefined when there is still a place. */
  #blocking(starts: number): { at_ms: number } | undefined {
    if (starts < this.#limit) return undefined;
    return this.#statements.blocking.get(this.#key, starts - this.#limit) as { at_ms: number } | undefined;
  }

  #giveBack(id: number | bigint): void {
    this.#use(
      () => {
        const { changes } = this.#statements.remove.run(id);
        this.#statements.add.run(-Number(changes), this.#key);
      },
      () => {},
    );
  }

  /** Drops what no longer matters, and returns how many starts are left. */
  #forget(nowMs: number): number {
    const old = this.#statements.forget.run(this.#key, nowMs - WINDOW_MS);
    // What lies further ahead than any wait was promised before the clock was set back.
    const ahead = this.#statements.forgetAhead.run(this.#key, nowMs + WINDOW_MS);
    const forgotten = Number(old.changes) + Number(ahead.changes);
    const starts = Math.max(0, this.#read().starts - forgotten);
    if (forgotten > 0) this.#statements.setStarts.run(this.#key, starts);
    return starts;
  }

  /** What is kept beside the starts; numbers that cannot be are counted anew. */
  #read(): BudgetRow {
    const row = this.#statements.read.get(this.#key) as unknown as BudgetRow | undefined;
    if (!row) return { starts: 0, paused_until_ms: 0 };
    if (Number.isSafeInteger(row.starts) && row.starts >= 0 && Number.isFinite(row.paused_until_ms)) return row;
    return { starts: this.#recount(), paused_until_ms: 0 };
  }

  #recount(): number {
    const { starts } = this.#statements.count.get(this.#key) as { starts: number };
    this.#statements.reset.run(this.#key, starts);
    return starts;
  }

  /** Until when Alpaca is left alone; what lies further ahead than any pause was noted by a clock that was wrong. */
  #pausedUntilMs(nowMs: number): number {
    const { paused_until_ms: untilMs } = this.#read();
    return untilMs - nowMs > LONGEST_PAUSE_MS ? 0 : untilMs;
  }

  /** Works on the file in one transaction or, where that cannot be used, with a budget of this run's own. */
  #use<T>(work: () => T, inMemory: (memory: MemoryBudget) => T): T {
    if (this.#memory && performance.now() - this.#memorySinceMs < AGAIN_MS) return inMemory(this.#memory);
    try {
      const result = transact(this.#db, work);
      this.#memory = null;
      return result;
    } catch (error) {
      this.#unreachable(error);
      this.#memorySinceMs = performance.now();
      this.#memory ??= new MemoryBudget(this.#limit, this.#now);
      return inMemory(this.#memory);
    }
  }
}
