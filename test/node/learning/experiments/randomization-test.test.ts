import { mean } from "simple-statistics";
import { expect, it } from "vitest";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { judgePairs } from "#src/learning/experiments/exact-tests.ts";

/** 1,000 in `npm run stress -- experiments`. */
const runs = Number(process.env["SHIM_EXPERIMENT_RUNS"] ?? 200);
const random = seededRandom(Number(process.env["SHIM_EXPERIMENT_SEED"] ?? 1));
const timeout = 240_000 + runs * 60;
const margin = 0.5;
/** As many as a review reads. */
const mostPairs = 500;

function normal(): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Verdict on differences of 20 sessions, and of four more at each reading until there is one. */
function judgeGrowing(draw: () => number): string {
  const differences = Array.from({ length: 20 }, draw);
  while (differences.length < mostPairs) {
    const { verdict } = judgePairs(differences, 12 * margin, margin);
    if (verdict !== "undecided") return verdict;
    differences.push(draw(), draw(), draw(), draw());
  }
  return "undecided";
}

function shareOf(draw: () => number, wanted: readonly string[]): number {
  return mean(Array.from({ length: runs }, () => (wanted.includes(judgeGrowing(draw)) ? 1 : 0)));
}

it.each([
  { what: "deviation 1", draw: normal },
  { what: "deviation 1.5", draw: () => 1.5 * normal() },
  { what: "most of them 0", draw: () => (random() < 0.1 ? 4 * normal() : 0) },
])("pairs without an effect, read while they grow: $what @night", { timeout }, ({ draw }) => {
  // Three standard errors of so many runs.
  expect(shareOf(draw, ["better", "worse"])).toBeLessThanOrEqual(0.05 + 3 * Math.sqrt(0.0475 / runs));
});

it("pairs with an effect of two margins are found better", { timeout }, () => {
  expect(shareOf(() => normal() - 2 * margin, ["better"])).toBeGreaterThan(0.9);
});

it("equivalent only within the margin, better or worse only without 0, undecided with fewer than 20 pairs", () => {
  const judged = (value: number, count = 30) =>
    judgePairs(
      Array.from({ length: count }, (_, index) => value + (index % 2) / 100),
      6,
      margin,
    ).verdict;
  expect([judged(0), judged(0.3), judged(-2), judged(2), judged(-2, 19)]).toEqual([
    "equivalent",
    "equivalent",
    "better",
    "worse",
    "undecided",
  ]);
  expect(judgePairs([], 6, margin)).toMatchObject({ verdict: "undecided", difference: null, n: 0 });
});
