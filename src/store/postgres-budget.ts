import { LONGEST_PAUSE_MS, MemoryBudget, type RequestBudget, type Reservation, refused, WINDOW_MS } from "./budget.ts";
import type { Database } from "./postgres-database.ts";
import type { Argument } from "./postgres-lane.ts";

/** A budget in PostgreSQL: the whole fleet starts no more than `limit` requests within any 60 s of the server's clock. */
export class PostgresBudget implements RequestBudget {
  readonly #database: Database;
  readonly #key: string;
  readonly #limit: number;
  #memory: MemoryBudget | null = null;

  constructor(database: Database, key: string, limit: number) {
    this.#database = database;
    this.#key = key;
    this.#limit = limit;
  }

  async reserve(): Promise<Reservation> {
    const place = await this.#ask<{ start_id: string | null; wait_ms: number; is_paused: boolean }>(
      "SELECT start_id::text, wait_ms, is_paused FROM breakwater.reserve($1, $2, $3)",
      [this.#key, this.#limit, WINDOW_MS],
    );
    if (!place) return this.#inMemory().reserve();
    const { start_id: id, wait_ms: waitMs, is_paused: isPaused } = place;
    if (id !== null) return { granted: true, waitMs, giveBack: () => this.#giveBack(id) };
    return refused(waitMs, isPaused, this.#limit);
  }

  async pause(durationMs: number): Promise<void> {
    const isNoted = await this.#ask(
      `INSERT INTO breakwater.budgets AS b (budget, paused_until_ms) VALUES ($1, breakwater.now_ms() + $2)
       ON CONFLICT (budget) DO UPDATE SET paused_until_ms = greatest(b.paused_until_ms, excluded.paused_until_ms)
       RETURNING budget`,
      [this.#key, Math.min(durationMs, LONGEST_PAUSE_MS)],
    );
    if (!isNoted) this.#inMemory().pause(durationMs);
  }

  async pausedMs(): Promise<number> {
    const found = await this.#ask<{ paused_ms: number }>(
      `SELECT greatest(0, max(paused_until_ms) - breakwater.now_ms()) AS paused_ms
       FROM breakwater.budgets WHERE budget = $1 AND paused_until_ms <= breakwater.now_ms() + $2`,
      [this.#key, LONGEST_PAUSE_MS],
    );
    return found?.paused_ms ?? this.#inMemory().pausedMs();
  }

  async remaining(): Promise<number> {
    const found = await this.#ask<{ is_paused: boolean; starts: number }>(
      `SELECT EXISTS (SELECT FROM breakwater.budgets WHERE budget = $1 AND paused_until_ms > now_ms
           AND paused_until_ms <= now_ms + ${LONGEST_PAUSE_MS}) AS is_paused,
         (SELECT count(*)::integer FROM breakwater.budget_starts
          WHERE budget = $1 AND at_ms > now_ms - $2::double precision) AS starts
       FROM (SELECT breakwater.now_ms() AS now_ms OFFSET 0) c`,
      [this.#key, WINDOW_MS],
    );
    if (!found) return this.#inMemory().remaining();
    return found.is_paused ? 0 : Math.max(0, this.#limit - found.starts);
  }

  async #giveBack(id: string): Promise<void> {
    await this.#ask("DELETE FROM breakwater.budget_starts WHERE id = $1::text::bigint", [id]);
  }

  /** The one row of an answer; undefined when the database is lost. */
  async #ask<Row>(text: string, args: Argument[]): Promise<Row | undefined> {
    if (this.#database.isLost) return undefined;
    this.#memory = null;
    try {
      const [row] = await this.#database.use((lane) => lane.query<Row>(text, args));
      return row;
    } catch (error) {
      this.#database.lose(error);
      return undefined;
    }
  }

  #inMemory(): MemoryBudget {
    this.#memory ??= new MemoryBudget(this.#limit, this.#database.clock.now);
    return this.#memory;
  }
}
