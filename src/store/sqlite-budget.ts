import type { DatabaseSync, StatementSync } from "node:sqlite";
import { MemoryBudget, type RequestBudget, type Reservation, THROTTLED, WINDOW_MS } from "./budget.ts";

/** A budget in SQLite: all scripts of the machine together start no more than `limit` requests within any 60 s. */
export class SqliteBudget implements RequestBudget {
  readonly #db: DatabaseSync;
  readonly #key: string;
  readonly #limit: number;
  readonly #now: () => number;
  readonly #unreachable: (error: unknown) => void;
  readonly #statements: Record<
    "blocking" | "insert" | "forget" | "remove" | "count" | "paused" | "pause",
    StatementSync
  >;
  #memory: MemoryBudget | null = null;

  constructor(db: DatabaseSync, key: string, limit: number, now: () => number, unreachable: (error: unknown) => void) {
    this.#db = db;
    this.#key = key;
    this.#limit = limit;
    this.#now = now;
    this.#unreachable = unreachable;
    this.#statements = {
      blocking: db.prepare("SELECT at_ms FROM budget_starts WHERE budget = ? ORDER BY at_ms DESC LIMIT 1 OFFSET ?"),
      insert: db.prepare("INSERT INTO budget_starts (budget, at_ms) VALUES (?, ?)"),
      // What lies further ahead than any wait was promised before the clock was set back.
      forget: db.prepare("DELETE FROM budget_starts WHERE budget = ? AND (at_ms <= ? OR at_ms > ?)"),
      remove: db.prepare("DELETE FROM budget_starts WHERE id = ?"),
      count: db.prepare("SELECT count(*) AS starts FROM budget_starts WHERE budget = ? AND at_ms > ?"),
      paused: db.prepare("SELECT until_ms FROM budget_pauses WHERE budget = ?"),
      pause: db.prepare(
        "INSERT INTO budget_pauses (budget, until_ms) VALUES (?, ?) ON CONFLICT DO UPDATE SET until_ms = max(until_ms, excluded.until_ms)",
      ),
    };
  }

  reserve(): Reservation {
    if (this.#memory) return this.#memory.reserve();
    try {
      return this.#inTransaction(() => this.#reserve());
    } catch (error) {
      return this.#goOnInMemory(error).reserve();
    }
  }

  pause(durationMs: number): void {
    try {
      if (this.#memory) this.#memory.pause(durationMs);
      else this.#statements.pause.run(this.#key, this.#now() + durationMs);
    } catch (error) {
      this.#goOnInMemory(error).pause(durationMs);
    }
  }

  pausedMs(): number {
    if (this.#memory) return this.#memory.pausedMs();
    try {
      return Math.max(0, this.#pausedUntilMs() - this.#now());
    } catch (error) {
      return this.#goOnInMemory(error).pausedMs();
    }
  }

  remaining(): number {
    if (this.#memory) return this.#memory.remaining();
    try {
      const nowMs = this.#now();
      if (this.#pausedUntilMs() > nowMs) return 0;
      const { starts } = this.#statements.count.get(this.#key, nowMs - WINDOW_MS) as { starts: number };
      return Math.max(0, this.#limit - starts);
    } catch (error) {
      return this.#goOnInMemory(error).remaining();
    }
  }

  #reserve(): Reservation {
    const nowMs = this.#now();
    this.#statements.forget.run(this.#key, nowMs - WINDOW_MS, nowMs + WINDOW_MS);
    const blocking = this.#statements.blocking.get(this.#key, this.#limit - 1) as { at_ms: number } | undefined;
    const pausedUntilMs = this.#pausedUntilMs();
    const freeAtMs = Math.max(nowMs, blocking ? blocking.at_ms + WINDOW_MS : 0, pausedUntilMs);
    const waitMs = freeAtMs - nowMs;
    if (waitMs > WINDOW_MS) {
      const why = pausedUntilMs === freeAtMs ? THROTTLED : `the budget of ${this.#limit} requests a minute is used up`;
      return { granted: false, waitMs, why };
    }
    const { lastInsertRowid } = this.#statements.insert.run(this.#key, freeAtMs);
    return { granted: true, waitMs, giveBack: () => this.#remove(lastInsertRowid) };
  }

  #remove(id: number | bigint): void {
    try {
      this.#statements.remove.run(id);
    } catch (error) {
      this.#goOnInMemory(error);
    }
  }

  #pausedUntilMs(): number {
    const row = this.#statements.paused.get(this.#key) as { until_ms: number } | undefined;
    return row?.until_ms ?? 0;
  }

  #inTransaction<T>(work: () => T): T {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#db.exec("COMMIT");
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  #goOnInMemory(error: unknown): MemoryBudget {
    this.#unreachable(error);
    this.#memory ??= new MemoryBudget(this.#limit, this.#now);
    return this.#memory;
  }
}
