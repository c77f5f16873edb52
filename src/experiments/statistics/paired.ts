import { evenGrid, observe, startSequence, type SequencePlan } from "./betting.ts";
import { judge, type EffectPlan, type Judgement } from "./effect.ts";

const alpha = 0.05;
const gridSize = 481;

/** A comparison is never based on fewer pairs. */
const minPairs = 20;

/**
 * Differences of units under two settings, other minus present, of an outcome that is better lower.
 *
 * @param reach a larger difference counts as this
 * @param margin differences of at most this size make no difference that matters
 */
export function judgeDifferences(differences: readonly number[], reach: number, margin: number): Judgement {
  const bounds = { low: -reach, high: reach };
  const units = Math.max(1, differences.length);
  const sequence: SequencePlan = {
    ...bounds,
    alpha,
    sides: "both",
    grid: evenGrid(bounds, gridSize),
    horizon: units,
    // Settings that SHIM compares differ by one step: most units hardly notice.
    prior: { mean: 0, variance: margin ** 2, weight: 10 },
  };
  const plan: EffectPlan = { goal: "lower", margin, units, sequence };
  const state = differences.reduce((before, one) => observe(sequence, before, one), startSequence(sequence));
  const judged = judge(plan, state);
  return state.n < minPairs ? { ...judged, verdict: "undecided" } : judged;
}
