import { expect, it } from "vitest";
import { betaProbability, betaQuantile, sampleBeta } from "#src/experiments/statistics/beta.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";

/** [probability, alpha, beta, quantile] of scipy.stats.beta.ppf 1.17.1 */
const references = [
  [0.5, 2, 3, 0.3857275681323895],
  [0.025, 1, 1, 0.025],
  [0.975, 0.5, 0.5, 0.9984586668665639],
  [0.1, 0.01, 3, 2.2452073024965523e-101],
  [0.9, 1000, 10, 0.9938256662324106],
  [0.5, 1e6, 2e6, 0.3333332962962917],
  [1e-6, 3, 4, 0.003694265299405909],
  [0.3, 40, 2, 0.9415424064674367],
] as const;

it("[EX1] quantiles of the Beta distribution equal those of scipy", () => {
  for (const [probability, alpha, beta, quantile] of references) {
    expect(Math.abs(betaQuantile(probability, alpha, beta) / quantile - 1)).toBeLessThan(1e-7);
    expect(betaProbability(quantile, alpha, beta)).toBeCloseTo(probability, 8);
  }
  expect([betaQuantile(0, 2, 2), betaQuantile(1, 2, 2)]).toEqual([0, 1]);
  expect([betaProbability(-1, 2, 2), betaProbability(2, 2, 2)]).toEqual([0, 1]);
});

it("[EX1] draws of the Beta distribution have its quantiles", () => {
  const random = seededRandom(3);
  const parameters = [
    [1, 1],
    [2, 5],
    [90, 10],
  ] as const;
  for (const [alpha, beta] of parameters) {
    const draws = Array.from({ length: 20_000 }, () => sampleBeta(alpha, beta, random));
    for (const probability of [0.05, 0.25, 0.5, 0.75, 0.95]) {
      const quantile = betaQuantile(probability, alpha, beta);
      const below = draws.filter((one) => one <= quantile).length;
      expect(Math.abs(below / draws.length - probability)).toBeLessThan(0.015);
    }
  }
  expect(() => sampleBeta(0.5, 1, random)).toThrow("parameters from 1");
});

it("[EX1] what is no probability and no parameter is refused", () => {
  for (const probability of [-0.1, 1.1, NaN]) expect(() => betaQuantile(probability, 1, 1)).toThrow("no probability");
  for (const [alpha, beta] of [
    [0, 1],
    [1, -1],
    [NaN, 1],
    [1, Infinity],
  ] as const) {
    expect(() => betaQuantile(0.5, alpha, beta)).toThrow("two parameters");
  }
});
