import { clearTimeout, setTimeout } from "node:timers";
import type { Secret } from "../config/secret.ts";
import { Lane } from "./postgres-lane.ts";

/** Channel on which every write is told of; the payload says which store wrote. */
export const CHANNEL = "breakwater";

/** A connection that died in silence is noticed after this, and clocks are compared. */
const LOOK_AGAIN_MS = 10_000;
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;
/** A restart of the server, which takes a second or two, is nobody's trouble. */
const TROUBLE_RETRY_MS = 1_000;

/** What a listener does with what it hears. */
export interface ListenerOptions {
  readonly url: Secret;
  /** Name of this store, whose own writes are no news. */
  readonly self: string;
  /** Reads everything anew, after news and after a time without hearing. */
  readonly load: (lane: Lane) => Promise<void>;
  /** Hearing could not be restored for some seconds; it goes on trying. */
  readonly onTrouble: (error: unknown) => void;
}

/** Hears of what other stores write, on a connection of its own. It keeps no process alive. */
export class ChangeListener {
  readonly #options: ListenerOptions;
  #lane: Lane | null = null;
  #opening: Lane | null = null;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #isLoading = false;
  #hasNews = false;
  #isStopped = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** Connects, does what comes `first`, listens, and loads: nothing that is written after that can be missed. */
  async start(first?: (lane: Lane) => Promise<void>): Promise<void> {
    const { url, self } = this.#options;
    const lane = new Lane(url, {
      onNotify: (payload) => {
        if (payload !== self) void this.#hear(lane);
      },
      onLost: () => {
        if (this.#lane === lane) this.#retry();
      },
    });
    this.#opening = lane;
    try {
      await first?.(lane);
      await lane.query(`LISTEN ${CHANNEL}`);
      await this.#options.load(lane);
    } catch (error) {
      lane.discard();
      throw error;
    } finally {
      this.#opening = null;
    }
    if (this.#isStopped) return lane.end();
    this.#lane = lane;
    this.#retryMs = FIRST_RETRY_MS;
    this.#schedule(LOOK_AGAIN_MS, () => this.#hear(lane));
    if (lane.hasEnded) this.#retry();
    else if (this.#hasNews) void this.#hear(lane);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#opening?.discard();
    const lane = this.#lane;
    this.#lane = null;
    await lane?.end();
  }

  /** Loads once for all the news that came while it was loading before. */
  async #hear(lane: Lane): Promise<void> {
    this.#hasNews = true;
    if (this.#isLoading || this.#lane !== lane) return;
    this.#isLoading = true;
    try {
      while (this.#hasNews && this.#lane === lane) {
        this.#hasNews = false;
        await this.#options.load(lane);
      }
      if (this.#lane === lane) this.#schedule(LOOK_AGAIN_MS, () => this.#hear(lane));
    } catch {
      // A connection that cannot be read from is of no use; another one is opened.
      lane.discard();
    } finally {
      this.#isLoading = false;
    }
  }

  #retry(): void {
    this.#lane = null;
    this.#schedule(this.#retryMs, () =>
      this.start().catch((error) => {
        if (this.#isStopped) return;
        if (this.#retryMs >= TROUBLE_RETRY_MS) this.#options.onTrouble(error);
        this.#retryMs = Math.min(2 * this.#retryMs, LONGEST_RETRY_MS);
        this.#retry();
      }),
    );
  }

  #schedule(delayMs: number, act: () => Promise<void>): void {
    clearTimeout(this.#timer);
    if (!this.#isStopped) this.#timer = setTimeout(() => void act(), delayMs).unref();
  }
}
