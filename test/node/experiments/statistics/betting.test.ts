import { array, assert, constantFrom, double, property } from "fast-check";
import { expect, it } from "vitest";
import { seededRandom } from "#harness/clock/fake-time.ts";
import {
  evenGrid,
  intervalOf,
  meanOf,
  observe,
  type SequencePlan,
  type SequenceState,
  startSequence,
  vaguePrior,
} from "#src/experiments/statistics/betting.ts";

const bounds = { low: -2, high: 6 };

function aPlan(overrides: Partial<SequencePlan> = {}): SequencePlan {
  const grid = evenGrid(bounds, 81);
  return { ...bounds, alpha: 0.05, sides: "both", grid, horizon: null, prior: vaguePrior(bounds), ...overrides };
}

function afterAll(plan: SequencePlan, values: readonly number[], from = startSequence(plan)): SequenceState {
  return values.reduce((state, value) => observe(plan, state, value), from);
}

const horizons = constantFrom(null, 20, 500);
const observations = array(double({ min: -2, max: 6, noNaN: true }), { maxLength: 60 });

it("[EX4] a state that was stored as JSON continues like one that was not, and its size stays", () => {
  assert(
    property(observations, observations, horizons, (first, second, horizon) => {
      const plan = aPlan({ horizon });
      const state = afterAll(plan, first);
      const stored = JSON.parse(JSON.stringify(state)) as SequenceState;
      expect(stored).toEqual(state);
      expect(afterAll(plan, second, stored)).toEqual(afterAll(plan, [...first, ...second]));
      expect(state.above.length + state.below.length).toBe(162);
    }),
  );
});

it("[EX2] each interval lies within the one before, and the grid is excluded from its ends", () => {
  assert(
    property(observations, horizons, (values, horizon) => {
      const plan = aPlan({ horizon });
      let state = startSequence(plan);
      let before = intervalOf(plan, state);
      expect(before).toEqual(bounds);
      for (const value of values) {
        state = observe(plan, state, value);
        const interval = intervalOf(plan, state);
        expect(interval.low).toBeGreaterThanOrEqual(before.low);
        expect(interval.high).toBeLessThanOrEqual(before.high);
        const isExcluded = state.above.map((capital) => capital >= 40);
        expect(isExcluded.lastIndexOf(true)).toBe(isExcluded.filter(Boolean).length - 1);
        before = interval;
      }
    }),
  );
});

it("[EX2] the interval closes in on the mean, from both sides or from one", () => {
  const random = seededRandom(3);
  const values = Array.from({ length: 20_000 }, () => (random() < 0.25 ? 6 : -2));
  const both = aPlan();
  const { low, high } = intervalOf(both, afterAll(both, values));
  expect([low > -0.3, low <= 0, high >= 0, high < 0.3]).toEqual([true, true, true, true]);
  const above = aPlan({ sides: "above" });
  const oneSided = intervalOf(above, afterAll(above, values));
  expect(oneSided.high).toBe(6);
  expect(oneSided.low).toBeGreaterThanOrEqual(low);
  const below = aPlan({ sides: "below" });
  expect(intervalOf(below, afterAll(below, values)).low).toBe(-2);
});

it("[EX2] a mean that does not hold leaves an empty interval", () => {
  const plan = aPlan();
  const { low, high } = intervalOf(
    plan,
    afterAll(plan, [...Array<number>(300).fill(5), ...Array<number>(3000).fill(-1)]),
  );
  expect(low).toBeGreaterThan(high);
});

it("[EX5] an observation beyond the bounds counts as the bound", () => {
  const plan = aPlan();
  expect(afterAll(plan, [-100, Infinity, 3])).toEqual(afterAll(plan, [-2, 6, 3]));
  expect(meanOf(plan, afterAll(plan, [-100, Infinity, 2]))).toBeCloseTo(2, 12);
  expect(meanOf(plan, startSequence(plan))).toBe(null);
});

it("[EX5] what is no number and what is no plan are refused", () => {
  expect(() => afterAll(aPlan(), [NaN])).toThrow("An observation is a number.");
  for (const [wrong, why] of [
    [{ low: 6 }, "No range: 6 to 6."],
    [{ high: Infinity }, "No range"],
    [{ alpha: 0 }, "Alpha is between 0 and 1"],
    [{ alpha: NaN }, "Alpha is between 0 and 1"],
    [{ horizon: 0 }, "The horizon is at least 1"],
    [{ prior: { mean: 0, variance: 0, weight: 1 } }, "variance and weight"],
    [{ grid: [1, 1] }, "The grid ascends"],
    [{ grid: [7] }, "The grid ascends"],
  ] as const) {
    expect(() => startSequence(aPlan(wrong))).toThrow(why);
  }
});
