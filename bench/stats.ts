export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** Median, and the 10th and 90th percentile. */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return { median: at(0.5), low: at(0.1), high: at(0.9) };
}

/** Runs all candidates in turn, round after round, so that a busy moment of the machine meets each of them. */
export async function interleave(
  rounds: number,
  candidates: Readonly<Record<string, () => Promise<number>>>,
): Promise<Record<string, Spread>> {
  const results: Record<string, number[]> = Object.fromEntries(Object.keys(candidates).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, run] of Object.entries(candidates)) {
      const value = await run();
      // The first round fills the caches.
      if (round > 0) results[name]?.push(value);
    }
  }
  return Object.fromEntries(Object.entries(results).map(([name, values]) => [name, spread(values)]));
}
