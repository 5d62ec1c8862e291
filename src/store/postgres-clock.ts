/** The server's clock, by this machine's and what is known of the difference: machines of a fleet do not agree. */
export class ServerClock {
  /** This machine's clock, in ms since the Unix epoch. */
  readonly local: () => number;
  #aheadMs: number | null = null;

  constructor(local: () => number) {
    this.local = local;
  }

  readonly now = (): number => Math.round(this.local() + (this.#aheadMs ?? 0));

  /**
   * Learns from a round trip: the server read its clock somewhere between the question and now. What was known before
   * stays while it can be true, so that a slow answer spoils nothing; the middle is the best guess otherwise.
   */
  heard(serverMs: number, askedAtMs: number): void {
    const least = serverMs - this.local();
    const most = serverMs - askedAtMs;
    if (this.#aheadMs === null || this.#aheadMs < least || this.#aheadMs > most) this.#aheadMs = (least + most) / 2;
  }
}
