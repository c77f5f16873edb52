import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type Interval, intervalOf, observe, startSequence, vaguePrior } from "#src/experiments/statistics/betting.ts";
import type { SequencePlan, SequenceState } from "#src/experiments/statistics/betting.ts";
import { observeUnit, type RandomizedState, startRandomized } from "#src/experiments/statistics/effect.ts";
import { planRandomized } from "#src/experiments/statistics/plan.ts";
import { rate } from "#src/experiments/statistics/distribution.ts";
import { lnImbalance } from "#src/experiments/statistics/sample-ratio.ts";

interface Reference {
  samples: Record<string, number[]>;
  means: number[];
  grid: number[];
  sequences: {
    sample: string;
    alpha: number;
    horizon: number | null;
    above: (number | null)[];
    below: (number | null)[];
    intervals: Record<string, [number, number]>;
  }[];
  randomized: { probability: number; expected: number; treated: number[]; scores: number[] };
  ratios: { shares: number[]; counts: number[]; ln: number }[];
}

/** Made by reference.py beside it. */
const reference = JSON.parse(
  readFileSync(join(import.meta.dirname, "reference", "reference.json"), "utf8"),
) as Reference;
const unit: Interval = { low: 0, high: 1 };

function afterAll(plan: SequencePlan, values: readonly number[]): SequenceState {
  return values.reduce((state, value) => observe(plan, state, value), startSequence(plan));
}

function expectNear(found: number | undefined, expected: number): void {
  expect(Math.abs((found ?? NaN) - expected)).toBeLessThan(1e-6 * Math.max(1, Math.abs(expected)));
}

it.each(reference.sequences)(
  "[EX3] capital and intervals of $sample, alpha $alpha, horizon $horizon equal the reference",
  ({ sample, alpha, horizon, above, below, intervals }) => {
    const values = reference.samples[sample] ?? [];
    const plan: SequencePlan = {
      ...unit,
      alpha,
      sides: "both",
      grid: reference.means,
      horizon,
      prior: vaguePrior(unit),
    };
    const state = afterAll(plan, values.slice(0, 50));
    for (const [sides, capitals] of [
      [state.above, above],
      [state.below, below],
    ] as const) {
      for (const [index, capital] of capitals.entries()) {
        // Capital that has sufficed is kept as it was then.
        if (capital === null) expect(sides[index]).toBeGreaterThanOrEqual(2 / alpha);
        else expectNear(sides[index], capital);
      }
    }
    for (const [count, [low, high]] of Object.entries(intervals)) {
      const fine = { ...plan, grid: reference.grid };
      expect(intervalOf(fine, afterAll(fine, values.slice(0, Number(count))))).toEqual({ low, high });
    }
  },
);

it("[EX3] scores of a randomised experiment equal the reference", () => {
  const { probability, expected, treated, scores } = reference.randomized;
  const { plan } = planRandomized({
    bounds: unit,
    control: rate(expected),
    treated: rate(0.4),
    margin: 0.2,
    goal: "higher",
    alpha: 0.05,
    power: 0.8,
    probability,
  });
  let state: RandomizedState = startRandomized(plan);
  let scored = 0;
  for (const [index, outcome] of (reference.samples["skewed"] ?? []).entries()) {
    state = observeUnit(plan, state, { isTreated: treated[index] === 1, outcome });
    scored += scores[index] ?? NaN;
    const range = plan.sequence.high - plan.sequence.low;
    expectNear(state.sequence.sum * range + state.sequence.n * plan.sequence.low, scored);
  }
  expect(state.sequence.n).toBe(400);
});

it.each(reference.ratios)("[EX3] imbalance of $counts equals the reference", ({ shares, counts, ln }) => {
  expectNear(lnImbalance(shares, counts), ln);
});
