import { setTimeout as delay } from "node:timers/promises";

/** How long to ask, and how often. */
export interface PollOptions {
  readonly timeoutMs?: number;
  readonly everyMs?: number;
}

/**
 * Asks until the answer is neither undefined nor false, and returns it. For programs of others, which cannot be told to
 * call back. Throws after `timeoutMs` (20 000) with what was awaited and the last error.
 */
export async function poll<T>(
  what: string,
  ask: () => T | Promise<T>,
  { timeoutMs = 20_000, everyMs = 50 }: PollOptions = {},
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  do {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    await delay(everyMs);
  } while (performance.now() < deadline);
  throw new Error(`Gave up waiting for ${what}: not so within ${timeoutMs} ms`, { cause });
}
