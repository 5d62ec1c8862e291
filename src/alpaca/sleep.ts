/** Waits, in ms; ends at once, with the signal's reason, when it is aborted. */
export type Sleep = (durationMs: number, signal?: AbortSignal) => Promise<void>;

export const sleep: Sleep = (durationMs, signal) =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, durationMs);
    signal?.addEventListener("abort", stop, { once: true });
  });
