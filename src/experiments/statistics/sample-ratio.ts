/**
 * Whether units reached the arms in the shares that were meant, tested at every reading. Pure.
 *
 * Lindon and Malek, "Anytime-valid inference for multinomial count data" (2022, arXiv 2011.03567):
 * the Bayes factor of a Dirichlet prior with the mean of the shares against the shares themselves
 * is a martingale when they are true.
 */
import { lnGamma } from "./beta.ts";

export interface SampleRatioPlan {
  /** Meant shares of the arms; their sum is 1. */
  readonly shares: readonly number[];
  /** Probability, at most, that shares which are right ever raise the alarm. */
  readonly alpha: number;
}

/**
 * How sure the prior is of the shares, in units: a higher number finds smaller deviations, later.
 */
const concentration = 100;

/**
 * ln of the evidence against the shares; an alarm is due once it has reached ln(1 / alpha) at any
 * reading.
 *
 * @param counts units in each arm
 */
export function lnImbalance(shares: readonly number[], counts: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const start = lnGamma(concentration) - lnGamma(concentration + total);
  return shares.reduce((sum, share, index) => {
    const count = counts[index] ?? 0;
    const prior = concentration * share;
    return sum + lnGamma(prior + count) - lnGamma(prior) - count * Math.log(share);
  }, start);
}

/**
 * @returns true where the counts of this reading raise the alarm; the caller stops then, for a
 * later one may not.
 */
export function isImbalanced({ shares, alpha }: SampleRatioPlan, counts: readonly number[]): boolean {
  return lnImbalance(shares, counts) >= Math.log(1 / alpha);
}
