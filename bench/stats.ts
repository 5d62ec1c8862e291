export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** Median of the ratios to the first candidate, each taken within one round: both had the same weather. */
  readonly ratio: number;
}

/** The value that the given share of all values does not exceed. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/**
 * Runs all candidates in turn, round after round, forwards and backwards, so that a busy moment of the machine meets
 * each of them. Median, 10th and 90th percentile.
 */
export async function interleave(
  rounds: number,
  candidates: Readonly<Record<string, () => Promise<number>>>,
): Promise<Record<string, Spread>> {
  const entries = Object.entries(candidates);
  const results = new Map(entries.map(([name]) => [name, [] as number[]]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, run] of round % 2 === 0 ? entries : entries.toReversed()) {
      const value = await run();
      // The first round fills the caches.
      if (round > 0) results.get(name)?.push(value);
    }
  }
  const base = [...results.values()][0] ?? [];
  return Object.fromEntries(
    [...results].map(([name, values]) => {
      const ratios = values.map((value, round) => value / (base[round] ?? Number.NaN));
      const spread = { median: quantile(values, 0.5), low: quantile(values, 0.1), high: quantile(values, 0.9) };
      return [name, { ...spread, ratio: quantile(ratios, 0.5) }];
    }),
  );
}
