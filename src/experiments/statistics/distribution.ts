/**
 * Outcomes that are expected, from a rate, from a spread or from history: what a plan is made of.
 * Pure.
 */
import { quantile } from "simple-statistics";
import type { Interval } from "./betting.ts";

/** Values with their probabilities, whose sum is 1. */
export type Distribution = readonly { readonly value: number; readonly probability: number }[];

/** An event that happens, 1, or does not, 0. */
export function rate(probability: number): Distribution {
  return [
    { value: 0, probability: 1 - probability },
    { value: 1, probability },
  ];
}

/** Where only mean and standard deviation are known. */
export function spread(mean: number, deviation: number): Distribution {
  return [
    { value: mean - deviation, probability: 0.5 },
    { value: mean + deviation, probability: 0.5 },
  ];
}

/**
 * Past outcomes, as 200 quantiles clipped to the bounds.
 *
 * @throws {RangeError} for no outcome
 */
export function history(outcomes: readonly number[], bounds: Interval): Distribution {
  if (outcomes.length === 0) throw new RangeError("There is no outcome in the history.");
  const count = 200;
  const at = Array.from({ length: count }, (_, index) => (index + 0.5) / count);
  const values = quantile([...outcomes], at).map((value) => Math.min(Math.max(value, bounds.low), bounds.high));
  return values.map((value) => ({ value, probability: 1 / count }));
}

/**
 * Bounds that clip the given share of past outcomes at each end. A tail that is clipped no longer
 * counts; one that is not makes every experiment longer.
 */
export function boundsOf(outcomes: readonly number[], clipped: number): Interval {
  const [low = 0, high = 0] = quantile([...outcomes], [clipped, 1 - clipped]);
  return { low, high };
}

/** The same outcomes, each larger by `effect`, within the bounds. */
export function shifted(distribution: Distribution, effect: number, { low, high }: Interval): Distribution {
  return distribution.map(({ value, probability }) => ({
    value: Math.min(Math.max(value + effect, low), high),
    probability,
  }));
}

export function meanOfDistribution(distribution: Distribution): number {
  return distribution.reduce((total, { value, probability }) => total + value * probability, 0);
}

export function varianceOf(distribution: Distribution): number {
  const mean = meanOfDistribution(distribution);
  return distribution.reduce((total, { value, probability }) => total + (value - mean) ** 2 * probability, 0);
}
