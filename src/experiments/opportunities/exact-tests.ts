/** Exact tests of counts, for samples that are fixed before they are read. Pure. */
import type { Interval } from "../statistics/betting.ts";
import { betaProbability, betaQuantile } from "../statistics/beta.ts";

/** Probability of at least `hits` in `n` independent cases, each with the probability `share`. */
export function atLeast(hits: number, n: number, share: number): number {
  if (hits <= 0) return 1;
  return hits > n ? 0 : betaProbability(share, hits, n - hits + 1);
}

/** Clopper-Pearson: holds the share with a probability of at least 1 - `alpha`. */
export function shareInterval(hits: number, n: number, alpha = 0.05): Interval {
  return {
    low: hits === 0 ? 0 : betaQuantile(alpha / 2, hits, n - hits + 1),
    high: hits === n ? 1 : betaQuantile(1 - alpha / 2, hits + 1, n - hits),
  };
}

/** Tails of the number of hits in independent cases, each with a probability of its own. */
export function unequalTails(probabilities: readonly number[], hits: number): { atMost: number; atLeast: number } {
  const counts = [1];
  for (const probability of probabilities) {
    counts.push(0);
    for (let count = counts.length - 1; count >= 0; count--)
      counts[count] = (counts[count] ?? 0) * (1 - probability) + (counts[count - 1] ?? 0) * probability;
  }
  return { atMost: sum(counts.slice(0, hits + 1)), atLeast: sum(counts.slice(hits)) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, one) => total + one, 0);
}

/**
 * P-value of "the cheaper share is not more than `margin` below the other", by two exact intervals
 * whose error is split in half.
 */
export function notWorse(cheap: Counted, dear: Counted, margin: number): number {
  const isShown = (alpha: number): boolean =>
    shareInterval(cheap.hits, cheap.n, alpha).low >= shareInterval(dear.hits, dear.n, alpha).high - margin;
  if (!isShown(1)) return 1;
  let [low, high] = [0, 1];
  for (let step = 0; step < 30; step++) {
    const middle = (low + high) / 2;
    if (isShown(middle)) high = middle;
    else low = middle;
  }
  return high;
}

export interface Counted {
  readonly hits: number;
  readonly n: number;
}

/**
 * Holm's correction.
 *
 * @returns the adjusted p-values, in the order of the given ones: those of at most alpha hold
 *   together, with one false among them with a probability of at most alpha.
 */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((_, index) => index).sort((a, b) => (pValues[a] ?? 1) - (pValues[b] ?? 1));
  const adjusted = pValues.map(() => 1);
  let highest = 0;
  order.forEach((index, rank) => {
    highest = Math.max(highest, Math.min(1, (pValues[index] ?? 1) * (pValues.length - rank)));
    adjusted[index] = highest;
  });
  return adjusted;
}

/** Mean of paired differences with its approximate 95 % interval. */
export function meanInterval(values: readonly number[]): Interval & { readonly mean: number } {
  const n = values.length;
  const mean = sum(values) / n;
  const variance = sum(values.map((one) => (one - mean) ** 2)) / (n - 1);
  const half = 1.96 * Math.sqrt(variance / n);
  return { mean, low: mean - half, high: mean + half };
}
