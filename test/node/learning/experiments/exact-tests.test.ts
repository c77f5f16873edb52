import { expect, it } from "vitest";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { atLeast, moreOften, notWorse, shareInterval } from "#src/learning/experiments/exact-tests.ts";

it("the tail of a binomial count equals R's binom.test, and its interval that of Clopper and Pearson", () => {
  // binom.test(8, 10, 0.25, "greater"), binom.test(7, 20, 0.2, "greater"), binom.test(8, 10).
  expect(atLeast(8, 10, 0.25)).toBeCloseTo(0.0004158, 7);
  expect(atLeast(7, 20, 0.2)).toBeCloseTo(0.0866925, 7);
  expect([atLeast(0, 10, 0.5), atLeast(11, 10, 0.5)]).toEqual([1, 0]);
  const { low, high } = shareInterval(8, 10);
  expect([low, high]).toEqual([expect.closeTo(0.4439045, 6), expect.closeTo(0.9747893, 6)]);
  expect([shareInterval(0, 10).low, shareInterval(10, 10).high]).toEqual([0, 1]);
});

it("a cheaper model that is worse by the margin passes for as good no oftener than stated", () => {
  const random = seededRandom(6);
  const count = (n: number, share: number) => ({
    n,
    hits: Array.from({ length: n }, () => random() < share).filter(Boolean).length,
  });
  const pValues = Array.from({ length: 400 }, () => notWorse(count(200, 0.6), count(200, 0.7), 0.1));
  expect(pValues.filter((one) => one <= 0.05).length).toBeLessThanOrEqual(20);
  expect(notWorse({ n: 800, hits: 728 }, { n: 800, hits: 720 }, 0.1)).toBeLessThan(1e-6);
});

it("Fisher's exact test equals R's fisher.test, and allows for odds", () => {
  // fisher.test(matrix(c(8, 2, 1, 9), 2), alternative = "greater"), and with or = 2.
  expect(moreOften({ hits: 1, n: 10 }, { hits: 8, n: 10 })).toBeCloseTo(0.002739, 6);
  expect(moreOften({ hits: 1, n: 10 }, { hits: 8, n: 10 }, 2)).toBeCloseTo(0.023189, 6);
  expect(moreOften({ hits: 0, n: 0 }, { hits: 5, n: 5 })).toBe(1);
});
