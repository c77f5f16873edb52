import { expect, it } from "vitest";
import { seededRandom } from "#harness/clock/fake-time.ts";
import {
  boundsOf,
  history,
  meanOfDistribution,
  rate,
  shifted,
  spread,
  varianceOf,
} from "#src/experiments/statistics/distribution.ts";
import { planLimit, planRandomized, type RandomizedQuestion } from "#src/experiments/statistics/plan.ts";

const bounds = { low: 0, high: 1 };

function aQuestion(overrides: Partial<RandomizedQuestion> = {}): RandomizedQuestion {
  const question = {
    bounds,
    control: rate(0.5),
    treated: rate(0.6),
    margin: 0.1,
    goal: "higher",
    alpha: 0.05,
  } as const;
  return { ...question, power: 0.8, probability: 0.5, ...overrides };
}

it("[EX9] a plan has its units, and costs more than a test that is read once", () => {
  const { plan, difference, equivalence } = planRandomized(aQuestion());
  // n of the z-test: (1.96 + 0.84)^2 x 4 x the mean variance / the squared effect.
  const once = (7.849 * 4 * 0.245) / 0.01;
  expect(difference.units / once).toBeGreaterThan(1.2);
  expect(difference.units / once).toBeLessThan(1.6);
  expect(difference.average).toBeLessThan(difference.units);
  expect(plan.units).toBe(Math.max(difference.units, equivalence.units));
  expect(plan.sequence.horizon).toBe(plan.units);
});

function units(overrides: Partial<RandomizedQuestion>): number {
  return planRandomized(aQuestion(overrides)).difference.units;
}

it("[EX9] smaller effects, higher power, smaller alpha and uneven shares need more units", () => {
  const basis = units({});
  expect(units({ treated: rate(0.55) })).toBeGreaterThan(3 * basis);
  expect(units({ power: 0.95 })).toBeGreaterThan(basis);
  expect(units({ alpha: 0.001 })).toBeGreaterThan(basis);
  expect(units({ probability: 0.1 })).toBeGreaterThan(2 * basis);
  expect(units({ treated: rate(0.4) })).toBe(basis);
});

it("[EX9] the grid has 0, the margin on both sides, and the bounds", () => {
  const { grid } = planRandomized(aQuestion()).plan.sequence;
  expect(grid).toEqual([...grid].sort((a, b) => a - b));
  expect(grid).toEqual(expect.arrayContaining([-2, -0.1, 0, 0.1, 2]));
  expect(grid.length).toBeLessThan(100);
});

it("[EX9] what cannot be planned is refused", () => {
  expect(() => planRandomized(aQuestion({ probability: 1 }))).toThrow("1 is no share of an arm.");
  expect(() => planRandomized(aQuestion({ margin: 0 }))).toThrow("A margin is above 0");
  expect(() => planRandomized(aQuestion({ margin: 2 }))).toThrow("A margin is above 0 and below 2");
  expect(() => planRandomized(aQuestion({ treated: rate(0.5) }))).toThrow("Ten million units");
  expect(() => planRandomized(aQuestion({ treated: rate(0.50001) }))).toThrow("Ten million units");
  const limit = { bounds, limit: 0.1, worse: "higher", alpha: 0.01, power: 0.9 } as const;
  expect(() => planLimit({ ...limit, harmed: rate(0.1) })).toThrow("Ten million units");
  expect(() => planLimit({ ...limit, harmed: rate(0.05) })).toThrow("Ten million units");
});

it("[EX12] distributions have the mean and the variance of what they are made of", () => {
  expect([meanOfDistribution(rate(0.2)), varianceOf(rate(0.2))]).toEqual([0.2, expect.closeTo(0.16, 12)]);
  expect([meanOfDistribution(spread(3, 2)), varianceOf(spread(3, 2))]).toEqual([3, 4]);
  const random = seededRandom(4);
  const past = Array.from({ length: 5000 }, () => -Math.log(1 - random()));
  const clipped = boundsOf(past, 0.02);
  expect(clipped.low).toBeCloseTo(0.02, 1);
  expect(clipped.high).toBeCloseTo(-Math.log(0.02), 0);
  const found = history(past, clipped);
  expect(found).toHaveLength(200);
  expect(meanOfDistribution(found)).toBeCloseTo(0.98, 1);
  const moved = shifted(found, 0.5, clipped);
  expect(meanOfDistribution(moved)).toBeGreaterThan(meanOfDistribution(found) + 0.4);
  expect(Math.max(...moved.map(({ value }) => value))).toBeLessThanOrEqual(clipped.high);
  expect(() => history([], bounds)).toThrow("There is no outcome in the history.");
});
