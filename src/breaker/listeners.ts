/** Observers of something. They cannot break it: what one throws, now or later, is dropped. */
export class Listeners<T> {
  readonly #listeners = new Set<(value: T) => unknown>();

  /** Returns how to remove it again. */
  add(listener: (value: T) => unknown): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  tell(value: T): void {
    for (const listener of this.#listeners) {
      try {
        const answer = listener(value);
        if (answer instanceof Promise) answer.catch(() => {});
      } catch {}
    }
  }
}
