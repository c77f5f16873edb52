/** Exact tests of counts, for samples that are fixed before they are read. Pure. */
import { gammaln, mean, sampleVariance, sum } from "simple-statistics";

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface Counted {
  readonly hits: number;
  readonly n: number;
}

/** Probability of at least `hits` in `n` independent cases, each with the probability `share`. */
export function atLeast(hits: number, n: number, share: number): number {
  if (hits <= 0) return 1;
  if (hits > n || share <= 0) return 0;
  if (share >= 1) return 1;
  return hits > n * share ? upperTail(hits, n, share) : 1 - upperTail(n - hits + 1, n, 1 - share);
}

/** @param hits above the mean, so that each term is smaller than the one before */
function upperTail(hits: number, n: number, share: number): number {
  let term = Math.exp(lnChoose(n, hits) + hits * Math.log(share) + (n - hits) * Math.log1p(-share));
  let total = 0;
  for (let count = hits; count <= n && term > total * 1e-17; count++) {
    total += term;
    term *= ((n - count) / (count + 1)) * (share / (1 - share));
  }
  return Math.min(1, total);
}

function lnChoose(n: number, hits: number): number {
  return gammaln(n + 1) - gammaln(hits + 1) - gammaln(n - hits + 1);
}

/** Clopper-Pearson: holds the share with a probability of at least 1 - `alpha`. */
export function shareInterval(hits: number, n: number, alpha = 0.05): Interval {
  return {
    low: hits === 0 ? 0 : firstAbove((share) => atLeast(hits, n, share) > alpha / 2),
    high: hits === n ? 1 : firstAbove((share) => atLeast(hits + 1, n, share) > 1 - alpha / 2),
  };
}

/** The number from 0 to 1 above which `isAbove` is true. */
function firstAbove(isAbove: (value: number) => boolean): number {
  let [low, high] = [0, 1];
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (isAbove(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/**
 * Fisher's exact test: the probability of at least so many hits in the second group, given the hits
 * of both, if its odds of a hit are `ratio` times those of the first.
 */
export function moreOften(usual: Counted, since: Counted, ratio = 1): number {
  const hits = usual.hits + since.hits;
  const first = Math.max(0, hits - usual.n);
  const counts = Array.from({ length: Math.min(hits, since.n) - first + 1 }, (_, index) => first + index);
  const logarithms = counts.map(
    (count) => lnChoose(since.n, count) + lnChoose(usual.n, hits - count) + count * Math.log(ratio),
  );
  const largest = logarithms.reduce((most, one) => Math.max(most, one), -Infinity);
  const weights = logarithms.map((one) => Math.exp(one - largest));
  return sum(weights.slice(since.hits - first)) / sum(weights);
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

/**
 * P-value of "the cheaper share is not more than `margin` below the other", by two exact intervals
 * whose error is split in half.
 */
export function notWorse(cheap: Counted, dear: Counted, margin: number): number {
  const isShown = (alpha: number): boolean =>
    shareInterval(cheap.hits, cheap.n, alpha).low >= shareInterval(dear.hits, dear.n, alpha).high - margin;
  return isShown(1) ? firstAbove(isShown) : 1;
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

/** Mean of at least two paired differences with its approximate 95 % interval. */
export function meanInterval(values: readonly number[]): Interval & { readonly mean: number } {
  const middle = mean([...values]);
  const half = 1.96 * Math.sqrt(sampleVariance([...values]) / values.length);
  return { mean: middle, low: middle - half, high: middle + half };
}
