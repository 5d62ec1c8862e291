import { clearTimeout, setTimeout } from "node:timers";
import type { Secret } from "../config/secret.ts";
import type { ServerClock } from "./postgres-clock.ts";
import { DatabaseError, Lane } from "./postgres-lane.ts";
import type { StoreProblem } from "./store.ts";

/** How long a connection is kept that nobody uses. */
const IDLE_MS = 30_000;

/** What a database is opened with. */
export interface DatabaseOptions {
  readonly url: Secret;
  readonly poolSize: number;
  readonly clock: ServerClock;
  readonly onProblem: (problem: StoreProblem) => void;
}

/**
 * Connections to one database, opened on demand. While it is lost the run goes on with its own memory, and nobody waits
 * for it, until its listener hears it again.
 */
export class Database {
  readonly clock: ServerClock;
  readonly onProblem: (problem: StoreProblem) => void;
  readonly #url: Secret;
  readonly #poolSize: number;
  readonly #idle: { lane: Lane; timer: NodeJS.Timeout }[] = [];
  readonly #waiting: ((lane: Lane) => void)[] = [];
  readonly #running = new Set<Promise<unknown>>();
  #lanes = 0;
  #isLost = false;
  #isClosed = false;
  #isReported = false;

  constructor({ url, poolSize, clock, onProblem }: DatabaseOptions) {
    this.#url = url;
    this.#poolSize = poolSize;
    this.clock = clock;
    this.onProblem = onProblem;
  }

  /** Whether there is no use in asking it any more. */
  get isLost(): boolean {
    return this.#isLost || this.#isClosed;
  }

  /** Does some work on a connection of its own. Work that fails in a transaction has to discard it. */
  use<T>(work: (lane: Lane) => Promise<T>): Promise<T> {
    const done = this.#use(work);
    this.#running.add(done);
    const forget = () => this.#running.delete(done);
    done.then(forget, forget);
    return done;
  }

  /** Gives it up, and says so once a run. */
  lose(error: unknown): void {
    if (this.isLost) return;
    this.#isLost = true;
    this.report(error);
    for (const { lane, timer } of this.#idle.splice(0)) {
      clearTimeout(timer);
      lane.discard();
    }
  }

  /** Takes it up again: it answers. */
  regain(): void {
    this.#isLost = false;
  }

  /** Says, once a run, that it cannot be reached. */
  report(error: unknown, consequence = "this run goes on with its own memory"): void {
    if (this.#isReported || this.#isClosed) return;
    this.#isReported = true;
    const why = error instanceof Error ? error.message : String(error);
    this.onProblem({
      kind: "unreachable",
      message: `stored breaker state (DATABASE_URL) cannot be used (${why}): ${consequence}`,
    });
  }

  /** Waits for what is under way, which is bounded, and ends all connections. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#running);
    this.#isClosed = true;
    const idle = this.#idle.splice(0);
    for (const { timer } of idle) clearTimeout(timer);
    await Promise.all(idle.map(({ lane }) => lane.end()));
  }

  async #use<T>(work: (lane: Lane) => Promise<T>): Promise<T> {
    if (this.isLost) throw new DatabaseError("the database was given up");
    const lane = await this.#take();
    try {
      if (this.isLost) throw new DatabaseError("the database was given up");
      return await work(lane);
    } catch (error) {
      if (lane.hasEnded) this.lose(error);
      throw error;
    } finally {
      this.#give(lane);
    }
  }

  #take(): Lane | Promise<Lane> {
    for (let free = this.#idle.pop(); free; free = this.#idle.pop()) {
      clearTimeout(free.timer);
      if (!free.lane.hasEnded) return free.lane;
      this.#lanes--;
    }
    if (this.#lanes >= this.#poolSize) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#lanes++;
    return new Lane(this.#url);
  }

  #give(lane: Lane): void {
    const next = this.#waiting.shift();
    if (next) {
      next(lane.hasEnded ? new Lane(this.#url) : lane);
      return;
    }
    if (lane.hasEnded || this.isLost) {
      this.#lanes--;
      lane.discard();
      return;
    }
    const timer = setTimeout(() => {
      this.#idle.splice(this.#idle.indexOf(entry), 1);
      this.#lanes--;
      void lane.end();
    }, IDLE_MS).unref();
    const entry = { lane, timer };
    this.#idle.push(entry);
  }
}
