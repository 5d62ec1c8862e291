interface Waiter {
  /** Whether it has what it waits for; it is then done. */
  check(): boolean;
  stop(reason: Error): void;
}

/** Lets a caller wait until something that was announced satisfies it. */
export class Arrivals {
  readonly #waiters = new Set<Waiter>();

  /** Looks at every waiting predicate again; called after something arrived. */
  announce(): void {
    for (const waiter of this.#waiters) {
      if (waiter.check()) this.#waiters.delete(waiter);
    }
  }

  /**
   * Resolves with what `find` gives as soon as that is not `undefined`, at once if it is so already.
   * Throws after `timeoutMs`, with `what` in the message.
   */
  waitFor<T>(find: () => T | undefined, timeoutMs: number, what: string): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const waiter: Waiter = {
      check: () => {
        try {
          const found = find();
          if (found === undefined) return false;
          resolve(found);
        } catch (error) {
          reject(error);
        }
        clearTimeout(timer);
        return true;
      },
      stop: (reason) => {
        clearTimeout(timer);
        reject(reason);
      },
    };
    const timer = setTimeout(() => {
      this.#waiters.delete(waiter);
      reject(new Error(`Cannot wait any longer for ${what}: nothing matched within ${timeoutMs} ms`));
    }, timeoutMs);
    if (!waiter.check()) this.#waiters.add(waiter);
    return promise;
  }

  /** Ends every wait with an error. */
  close(): void {
    for (const waiter of this.#waiters) waiter.stop(new Error("Cannot wait any longer: the server was closed"));
    this.#waiters.clear();
  }
}
