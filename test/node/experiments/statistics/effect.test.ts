import { expect, it } from "vitest";
import { observe, type SequenceState, startSequence } from "#src/experiments/statistics/betting.ts";
import { judge, observeUnit, type RandomizedPlan, startRandomized } from "#src/experiments/statistics/effect.ts";
import { isViolated } from "#src/experiments/statistics/guardrail.ts";
import { rate } from "#src/experiments/statistics/distribution.ts";
import { planAgainstControl, planLimit, planRandomized } from "#src/experiments/statistics/plan.ts";

function aPlan(overrides: Partial<RandomizedPlan> = {}): RandomizedPlan {
  const { plan } = planRandomized({
    bounds: { low: 0, high: 1 },
    control: rate(0.5),
    treated: rate(0.6),
    margin: 0.1,
    goal: "higher",
    alpha: 0.05,
    power: 0.8,
    probability: 0.5,
  });
  return { ...plan, ...overrides };
}

const margin = 0.1;
const grid = [-0.2, -margin, 0, margin, 0.2];

/** A state whose interval has these ends, of the grid; null: nothing is excluded at that end. */
function aState(low: number | null, high: number | null, n = 10): SequenceState {
  return {
    n,
    sum: n / 2,
    squares: 0,
    above: grid.map((one) => (low !== null && one <= low ? 1e9 : 0)),
    below: grid.map((one) => (high !== null && one >= high ? 1e9 : 0)),
  };
}

it.each([
  [null, null, "undecided"],
  [-margin, 0.2, "undecided"],
  [-margin, margin, "equivalent"],
  [0, margin, "equivalent"],
  [0, 0.2, "better"],
  [0, null, "better"],
  [margin, null, "better"],
  [-0.2, 0, "worse"],
  [null, -margin, "worse"],
  [0.2, -0.2, "undecided"],
] as const)("[EX7] an interval from %s to %s is %s", (low, high, verdict) => {
  const plan = aPlan({ margin, sequence: { ...aPlan().sequence, grid } });
  const judged = judge(plan, aState(low, high));
  expect(judged).toEqual({
    verdict,
    effect: 0,
    interval: { low: low ?? -2, high: high ?? 2 },
    n: 10,
    isOver: verdict !== "undecided",
  });
  const mirrored = { better: "worse", worse: "better", equivalent: "equivalent", undecided: "undecided" }[verdict];
  expect(judge({ ...plan, goal: "lower" }, aState(low, high)).verdict).toBe(mirrored);
});

it("[EX9] an experiment without a verdict is over after its planned units", () => {
  const plan = aPlan();
  expect(judge(plan, aState(null, null, plan.units - 1)).isOver).toBe(false);
  expect(judge(plan, aState(null, null, plan.units))).toMatchObject({ verdict: "undecided", isOver: true });
});

/** Scores summed, for scores from -4 to 4. */
function sumOf({ sum, n }: SequenceState): number {
  return sum * 8 - n * 4;
}

it("[EX6] the baseline of a unit is the mean of the units before it", () => {
  const plan = aPlan({ probability: 0.25, expected: 0.5, sequence: { ...aPlan().sequence, low: -4, high: 4 } });
  const first = observeUnit(plan, startRandomized(plan), { isTreated: true, outcome: 1 });
  expect(sumOf(first.sequence)).toBeCloseTo(4 * (1 - 0.5), 12);
  const second = observeUnit(plan, first, { isTreated: false, outcome: 1 });
  expect(sumOf(second.sequence)).toBeCloseTo(2 - (4 / 3) * (1 - 0.75), 12);
});

it("[EX5] an outcome beyond its bounds counts as the bound, and one that is none is refused", () => {
  const plan = aPlan();
  const at = (outcome: number) => observeUnit(plan, startRandomized(plan), { isTreated: true, outcome });
  expect(at(1e9)).toEqual(at(1));
  expect(at(-Infinity)).toEqual(at(0));
  expect(() => at(NaN)).toThrow("An observation is a number.");
});

it("[EX10] a guardrail is violated once the limit is excluded, and stays so", () => {
  const bounds = { low: 0, high: 1 };
  const limit = planLimit({ bounds, limit: 0.9, worse: "lower", harmed: rate(0.5), alpha: 0.01, power: 0.9 });
  const against = planAgainstControl({
    bounds,
    control: rate(0.9),
    harmed: rate(0.5),
    margin: 0.1,
    worse: "lower",
    probability: 0.5,
    alpha: 0.01,
    power: 0.9,
  });
  let outcomes = startSequence(limit.sequence);
  let units = startRandomized(against);
  expect([isViolated(limit, outcomes), isViolated(against, units.sequence)]).toEqual([false, false]);
  for (let n = 0; n < 200; n++) {
    outcomes = observe(limit.sequence, outcomes, 0);
    units = observeUnit(against, units, { isTreated: n % 2 === 0, outcome: n % 2 === 0 ? 0 : 1 });
  }
  expect([isViolated(limit, outcomes), isViolated(against, units.sequence)]).toEqual([true, true]);
  for (let n = 0; n < 200; n++) units = observeUnit(against, units, { isTreated: n % 2 === 0, outcome: 1 });
  expect(isViolated(against, units.sequence)).toBe(true);
});
