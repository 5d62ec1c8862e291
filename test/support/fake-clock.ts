/** A clock that stands still until it is told to move. */
export class FakeClock {
  nowMs = Date.parse("2026-01-05T14:30:00Z");

  readonly now = (): number => this.nowMs;

  /** Lets time pass; a negative duration sets the clock back. */
  advance(durationMs: number): void {
    this.nowMs += durationMs;
  }
}
