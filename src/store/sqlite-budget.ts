import type { DatabaseSync, StatementSync } from "node:sqlite";
import { MemoryBudget, type RequestBudget, type Reservation, THROTTLED, WINDOW_MS } from "./budget.ts";

interface BudgetRow {
  readonly starts: number;
  readonly paused_until_ms: number;
}

type Statement = "add" | "blocking" | "forget" | "forgetAhead" | "insert" | "pause" | "read" | "remove" | "setStarts";

/** A budget in SQLite: all scripts of the machine together start no more than `limit` requests within any 60 s. */
export class SqliteBudget implements RequestBudget {
  readonly #db: DatabaseSync;
  readonly #key: string;
  readonly #limit: number;
  readonly #now: () => number;
  readonly #unreachable: (error: unknown) => void;
  readonly #statements: Readonly<Record<Statement, StatementSync>>;
  #memory: MemoryBudget | null = null;

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
      () => void this.#statements.pause.run(this.#key, this.#now() + durationMs),
      (memory) => memory.pause(durationMs),
    );
  }

  pausedMs(): number {
    return this.#use(
      () => Math.max(0, this.#read().paused_until_ms - this.#now()),
      (memory) => memory.pausedMs(),
    );
  }

  remaining(): number {
    return this.#use(
      () => {
        const nowMs = this.#now();
        const starts = this.#forget(nowMs);
        return this.#read().paused_until_ms > nowMs ? 0 : Math.max(0, this.#limit - starts);
      },
      (memory) => memory.remaining(),
    );
  }

  #reserve(): Reservation {
    const nowMs = this.#now();
    const starts = this.#forget(nowMs);
    const { paused_until_ms: pausedUntilMs } = this.#read();
    const blocking =
      starts < this.#limit
        ? undefined
        : (this.#statements.blocking.get(this.#key, starts - this.#limit) as { at_ms: number } | undefined);
    const freeAtMs = Math.max(nowMs, blocking ? blocking.at_ms + WINDOW_MS : 0, pausedUntilMs);
    const waitMs = freeAtMs - nowMs;
    if (waitMs > WINDOW_MS) {
      const why = pausedUntilMs === freeAtMs ? THROTTLED : `the budget of ${this.#limit} requests a minute is used up`;
      return { granted: false, waitMs, why };
    }
    const { lastInsertRowid } = this.#statements.insert.run(this.#key, freeAtMs);
    this.#statements.setStarts.run(this.#key, starts + 1);
    return { granted: true, waitMs, giveBack: () => this.#giveBack(lastInsertRowid) };
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

  #read(): BudgetRow {
    return (
      (this.#statements.read.get(this.#key) as unknown as BudgetRow | undefined) ?? { starts: 0, paused_until_ms: 0 }
    );
  }

  /** Works on the file in one transaction or, where that cannot be used, with a budget of this run's own. */
  #use<T>(work: () => T, inMemory: (memory: MemoryBudget) => T): T {
    if (this.#memory) return inMemory(this.#memory);
    try {
      this.#db.exec("BEGIN IMMEDIATE");
      try {
        const result = work();
        this.#db.exec("COMMIT");
        return result;
      } catch (error) {
        if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
        throw error;
      }
    } catch (error) {
      this.#unreachable(error);
      this.#memory = new MemoryBudget(this.#limit, this.#now);
      return inMemory(this.#memory);
    }
  }
}
