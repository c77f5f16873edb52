import type { PairsJudgement } from "../contract/machine/replay.ts";
import { errorFunction, mean, probit, sum, variance } from "simple-statistics";
import type { Interval } from "./exact-tests.ts";

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
  const interval = meanInterval(values, reach, (n < needed ? alpha.early : alpha.last) / 2);
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
function meanInterval(values: readonly number[], reach: number, side: number): Interval {
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
