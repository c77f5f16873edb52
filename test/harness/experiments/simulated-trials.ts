import { hasExcluded, observe, type SequencePlan, startSequence } from "#src/experiments/statistics/betting.ts";
import {
  type EffectPlan,
  judge,
  observeUnit,
  type Randomization,
  type RandomizedPlan,
  startRandomized,
  type Verdict,
} from "#src/experiments/statistics/effect.ts";

/** An outcome of the unit with that number, with and without the arm. */
export type Draw = (random: () => number, isTreated: boolean, unit: number) => number;

export interface Ended {
  readonly verdict: Verdict;
  /** Units until the verdict, or all that were planned. */
  readonly n: number;
}

/** Means that no verdict depends on are left out: the verdict is the same, and a run takes a tenth of the time. */
export function verdictOnly<Plan extends EffectPlan>(plan: Plan): Plan {
  return { ...plan, sequence: { ...plan.sequence, grid: [-plan.margin, 0, plan.margin] } };
}

/** A randomised experiment that is read after every unit, and ends at its first verdict or with its planned units. */
export function runRandomized(plan: RandomizedPlan, draw: Draw, random: () => number): Ended {
  let state = startRandomized(plan);
  for (;;) {
    const { verdict, isOver, n } = judge(plan, state.sequence);
    if (isOver) return { verdict, n };
    const isTreated = random() < plan.probability;
    state = observeUnit(plan, state, { isTreated, outcome: draw(random, isTreated, n) });
  }
}

/** Outcomes of one arm until the guardrail stops it; null where it does not within that many. */
export function stoppedAfter(sequence: SequencePlan, units: number, next: (unit: number) => number): number | null {
  let state = startSequence(sequence);
  while (state.n < units) {
    state = observe(sequence, state, next(state.n));
    if (hasExcluded(sequence, state)) return state.n;
  }
  return null;
}

/** Units until the sequence excludes any mean of its grid, whatever the verdict is; null where it does not within that many. */
export function excludedAfter(plan: Randomization, units: number, draw: Draw, random: () => number): number | null {
  let state = startRandomized(plan);
  while (state.sequence.n < units) {
    const isTreated = random() < plan.probability;
    state = observeUnit(plan, state, { isTreated, outcome: draw(random, isTreated, state.sequence.n) });
    if (hasExcluded(plan.sequence, state.sequence)) return state.sequence.n;
  }
  return null;
}

/** A normal variable with mean 0 and deviation 1. */
export function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
