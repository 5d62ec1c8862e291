/** Skew of this machine's clock that is worth a warning; tokens and market hours do not mind less. */
export const MOST_SKEW_MS = 5_000;

/** A time that a server gave, and when it was asked for it and had answered, on this machine's clock; in ms since 1970. */
export interface ServerTime {
  readonly serverMs: number;
  readonly sentMs: number;
  readonly receivedMs: number;
  /** How coarse the server's time is, such as 1 000 for a `Date` header; 0. */
  readonly resolutionMs?: number;
}

/** How far this machine's clock is off, positive when it is ahead. */
export interface ClockSkew {
  readonly skewMs: number;
  /** By how much that may be wrong either way. */
  readonly doubtMs: number;
  /** Whether it is more than MOST_SKEW_MS, whatever the time that the answer took. */
  readonly isOff: boolean;
}

/**
 * Compares this machine's clock with a server's. The server's time is of some moment between question and answer, which
 * may include waits and retries: half of that is in doubt, and a doubt is no skew.
 */
export function clockSkew({ serverMs, sentMs, receivedMs, resolutionMs = 0 }: ServerTime): ClockSkew {
  const skewMs = Math.round((sentMs + receivedMs) / 2 - (serverMs + resolutionMs / 2));
  const doubtMs = Math.max(0, receivedMs - sentMs + resolutionMs) / 2;
  return { skewMs, doubtMs, isOff: Math.abs(skewMs) - doubtMs > MOST_SKEW_MS };
}

/** `10800.0 s ahead of`, to be followed by whose clock it was compared with. */
export function describeSkew(skewMs: number): string {
  return `${(Math.abs(skewMs) / 1_000).toFixed(1)} s ${skewMs > 0 ? "ahead of" : "behind"}`;
}
