/** Exact tests of counts, for samples that are fixed before they are read. Pure. */
import { errorFunction, gammaln, mean, probit, sampleStandardDeviation, sum } from "simple-statistics";
import type { Verdict } from "../../contract/learning.ts";

export interface Counted {
  readonly hits: number;
  readonly n: number;
}

/** Probability of at least so many heads in `n` tosses of a fair coin. */
export function headsAtLeast(heads: number, n: number): number {
  const counts = Array.from({ length: Math.max(0, n - heads + 1) }, (_, index) => heads + index);
  return sum(counts.map((count) => Math.exp(lnChoose(n, count) - n * Math.LN2)));
}

function lnChoose(n: number, hits: number): number {
  return gammaln(n + 1) - gammaln(hits + 1) - gammaln(n - hits + 1);
}

/**
 * Fisher's exact test: the probability of at least so many hits in the second group, given the hits
 * of both, if its odds of a hit are those of the first.
 */
export function moreOften(usual: Counted, since: Counted): number {
  const hits = usual.hits + since.hits;
  const first = Math.max(0, hits - usual.n);
  const counts = Array.from({ length: Math.min(hits, since.n) - first + 1 }, (_, index) => first + index);
  const logarithms = counts.map((count) => lnChoose(since.n, count) + lnChoose(usual.n, hits - count));
  const largest = logarithms.reduce((most, one) => Math.max(most, one), -Infinity);
  const weights = logarithms.map((one) => Math.exp(one - largest));
  return sum(weights.slice(since.hits - first)) / sum(weights);
}

/**
 * Error of each bound: small, since a growing sample is read again and again (Haybittle 1971, Peto
 * 1976).
 */
const side = 0.001;

/** A comparison is never based on fewer pairs. */
const minPairs = 20;
/** Standard errors that the nearer verdict must be away, to be found four times of five. */
const distance = probit(1 - side) + probit(0.8);
/** Up to so many differences the test is exact. */
const maxExact = 50;
/** Steps of the largest difference to which all are rounded; the signs stay as likely. */
const levels = 120;

export interface PairsJudgement {
  readonly verdict: Verdict;
  /** Mean, other minus present; null: no pair. */
  readonly difference: number | null;
  readonly n: number;
  /** Pairs that a verdict takes, four times of five, if the rest is as those that are known. */
  readonly needed: number;
}

/**
 * Differences of units under two settings, other minus present, of an outcome that is better
 * lower. By Fisher's randomization test of matched pairs (The Design of Experiments, 1935,
 * section 21): around the true mean a difference is as likely above as below, so all signs of the
 * deviations are equally likely, and their sum is compared with those of all signs.
 * Equivalent where both ends of the margin are rejected (Schuirmann 1987), also if 0 is: there is a
 * difference, and it is too small to matter.
 *
 * @param reach a larger difference counts as this
 * @param margin differences of at most this size make no difference that matters
 */
export function judgePairs(differences: readonly number[], reach: number, margin: number): PairsJudgement {
  const values = differences.map((one) => Math.min(Math.max(one, -reach), reach));
  const n = values.length;
  const difference = n === 0 ? null : mean(values);
  const judged = { difference, n, needed: pairsNeeded(values, margin) };
  if (n < minPairs) return { verdict: "undecided", ...judged };
  const isAbove = (middle: number): boolean => tail(values.map((one) => one - middle)) <= side;
  const isBelow = (middle: number): boolean => tail(values.map((one) => middle - one)) <= side;
  if (isAbove(-margin) && isBelow(margin)) return { verdict: "equivalent", ...judged };
  // A benefit has to matter, too; harm need not.
  const isBetter = mean(values) <= -margin && isBelow(0);
  return { verdict: isAbove(0) ? "worse" : isBetter ? "better" : "undecided", ...judged };
}

/** More are as good as never. */
const maxNeeded = 100_000;

function pairsNeeded(values: readonly number[], margin: number): number {
  if (values.length < 2) return minPairs;
  const size = Math.abs(mean(values));
  const apart = size >= margin ? size : margin - size;
  const needed = Math.ceil(((distance * sampleStandardDeviation([...values])) / apart) ** 2);
  return Math.min(maxNeeded, Math.max(minPairs, needed));
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
