/** Exact tests of counts, for samples that are fixed before they are read. Pure. */
import { gammaln, mean, sampleVariance, sum, errorFunction, probit, variance } from "simple-statistics";
import type { PairsJudgement } from "../contract/machine/learning.ts";

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

/**
 * Of the reading with all pairs that are needed, and of each before it, which decides only what is
 * beyond doubt (Haybittle 1971, Peto 1976): together below 5 % for a sample that is read while it
 * grows.
 */
const alpha = { last: 0.035, early: 0.002 };
const power = 0.8;

/** A comparison is never based on fewer pairs. */
const minPairs = 20;
/** Up to so many differences the test is exact. */
const maxExact = 50;
/** Steps of the largest difference to which all are rounded; the signs stay as likely. */
const levels = 120;
const bisections = 12;

/**
 * A fixed sample: differences of units under two settings, other minus present, of an outcome that
 * is better lower. [EX44]
 *
 * The interval has each mean that Fisher's randomization test of matched pairs does not reject
 * (The Design of Experiments, 1935, section 21; Pitman 1937): around the true mean a difference is
 * as likely above as below, so all signs of the deviations are equally likely, and their sum is
 * compared with those of all signs. The number of pairs that is needed follows from the spread of
 * the differences alone: by two one-sided tests they show with the power that a mean of 0 is within
 * the margin (Schuirmann 1987).
 *
 * @param reach a larger difference counts as this
 * @param margin differences of at most this size make no difference that matters
 */
export function judgePairs(differences: readonly number[], reach: number, margin: number): PairsJudgement {
  const values = differences.map((one) => Math.min(Math.max(one, -reach), reach));
  const n = values.length;
  if (n < minPairs) {
    const effect = n === 0 ? null : mean(values);
    return { verdict: "undecided", effect, interval: { low: -reach, high: reach }, n, isOver: false, needed: minPairs };
  }
  const perMargin = (probit(1 - alpha.last / 2) + probit((1 + power) / 2)) / margin;
  const needed = Math.max(minPairs, Math.ceil(perMargin ** 2 * variance(values)));
  const interval = intervalOfMean(values, reach, (n < needed ? alpha.early : alpha.last) / 2);
  const verdict = verdictOf(interval, margin);
  return { verdict, effect: mean(values), interval, n, isOver: verdict !== "undecided" || n >= needed, needed };
}

/**
 * Better or worse only where the interval excludes 0, equivalent only where it lies within the
 * margin; where both hold, equivalent: there is a difference, and it is too small to matter.
 */
function verdictOf({ low, high }: Interval, margin: number): PairsJudgement["verdict"] {
  if (low > high) return "undecided";
  if (low >= -margin && high <= margin) return "equivalent";
  if (low >= 0) return "worse";
  return high <= 0 ? "better" : "undecided";
}

/** @param side error at each end */
function intervalOfMean(values: readonly number[], reach: number, side: number): Interval {
  const end = (direction: 1 | -1): number => {
    let [included, excluded] = [mean([...values]), direction * reach];
    const isRejected = (middle: number): boolean => tail(values.map((one) => direction * (middle - one))) <= side;
    if (!isRejected(excluded)) return excluded;
    // 0 decides between better and worse: no rounding of an end may hide that it is rejected.
    if (direction * included < 0 && isRejected(0)) excluded = 0;
    else if (direction * included < 0) included = 0;
    for (let step = 0; step < bisections; step++) {
      const middle = (included + excluded) / 2;
      if (isRejected(middle)) excluded = middle;
      else included = middle;
    }
    return excluded;
  };
  return { low: end(-1), high: end(1) };
}

/** Probability, all signs being equally likely, of a sum of at least the present one. */
function tail(values: readonly number[]): number {
  const largest = Math.max(...values.map(Math.abs));
  const rounded = values.flatMap((one) => Math.round((levels * one) / largest) || []);
  if (rounded.length === 0) return 1;
  const total = sum(rounded);
  if (rounded.length > maxExact) return normalTail(total / Math.sqrt(sum(rounded.map((one) => one ** 2))));
  // The sum of those with a positive sign, one value after another (Pagano and Tritchler 1983).
  const sizes = rounded.map(Math.abs);
  const all = sum(sizes);
  const chances = new Float64Array(all + 1);
  chances[0] = 1;
  let most = 0;
  for (const size of sizes) {
    most += size;
    for (let at = most; at >= 0; at--)
      chances[at] = ((chances[at] ?? 0) + (at >= size ? (chances[at - size] ?? 0) : 0)) / 2;
  }
  return sum([...chances.subarray((all + total) / 2)]);
}

/** Probability that a standard normal variable is at least `z`. */
function normalTail(z: number): number {
  return (1 - errorFunction(z / Math.SQRT2)) / 2;
}
