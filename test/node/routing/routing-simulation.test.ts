import { expect, it } from "vitest";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { expectedDollars, simulate, type Run, type Scenario } from "#harness/routing/simulate.ts";

const runs = Number(process.env["SHIM_ROUTING_RUNS"] ?? 10);
const tasks = Number(process.env["SHIM_ROUTING_TASKS"] ?? 400);
const seed = Number(process.env["SHIM_ROUTING_SEED"] ?? 1);
const isLong = process.env["SHIM_ROUTING_RUNS"] !== undefined;

function scenario(
  about: string,
  small: readonly number[],
  medium: readonly number[],
  large: readonly number[],
): Scenario {
  const tiers = Object.entries({ small, medium, large });
  return { about, tiers: tiers.map(([name, [success = 0, dollars = 0]]) => ({ name, success, dollars })) };
}

const scenarios = {
  asGood: scenario("the cheap tier is as good", [0.9, 1], [0.9, 4], [0.95, 10]),
  worse: scenario("the cheap tier is much worse", [0.4, 1], [0.9, 4], [0.95, 10]),
  justBelow: scenario("the cheap tier is just not good enough", [0.78, 1], [0.9, 4], [0.95, 10]),
  equal: scenario("no tier differs", [0.9, 4], [0.9, 4], [0.9, 4]),
  poorDefault: scenario("the default is poor, the best is good", [0.25, 1], [0.4, 4], [0.95, 5]),
};

function play(given: Scenario): Run[] {
  const random = seededRandom(seed);
  return Array.from({ length: runs }, () => simulate(given, tasks, random));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Share of the last quarter's tasks that begin at the tier. */
function lateShare(played: readonly Run[], tier: string): number {
  return mean(
    played.map(({ firstTiers }) => {
      const late = firstTiers.slice(-Math.floor(tasks / 4));
      return late.filter((one) => one === tier).length / late.length;
    }),
  );
}

/** Share of the reports with enough evidence whose interval has the true cost. */
function coverage(played: readonly Run[], baseline: "alwaysDefault" | "alwaysBest", truth: number): number | null {
  const reports = played.map(({ report }) => report[baseline]).filter(({ isEnough }) => isEnough);
  if (reports.length === 0) return null;
  return mean(reports.map(({ low, high }) => ((low ?? 0) <= truth && truth <= (high ?? 0) ? 1 : 0)));
}

function share(value: number | null): string {
  return value === null ? "no evidence" : `${(100 * value).toFixed(0)} %`;
}

function toLine(given: Scenario): Record<string, string> {
  const played = play(given);
  const [asDefault, best] = [expectedDollars(given, 1), expectedDollars(given, 2)];
  const verdicts = played.map(({ report }) => report.savedAgainstDefault?.verdict ?? "not enough evidence");
  return {
    scenario: given.about,
    "late choices s/m/l": ["small", "medium", "large"].map((tier) => share(lateShare(played, tier))).join(" / "),
    "extra failures of first attempts, mean": mean(played.map(({ extraFailures }) => extraFailures)).toFixed(1),
    max: Math.max(...played.map(({ extraFailures }) => extraFailures)).toFixed(1),
    "small excluded": share(mean(played.map(({ isCheapestExcluded }) => (isCheapestExcluded ? 1 : 0)))),
    "$ routed": mean(played.map(({ dollarsPerAccepted }) => dollarsPerAccepted)).toFixed(2),
    "$ default": asDefault.toFixed(2),
    "$ best": best.toFixed(2),
    "interval has default/best": [coverage(played, "alwaysDefault", asDefault), coverage(played, "alwaysBest", best)]
      .map(share)
      .join(" / "),
    "says cheaper/dearer than default": ["cheaper", "dearer"]
      .map((verdict) => share(mean(verdicts.map((one) => (one === verdict ? 1 : 0)))))
      .join(" / "),
  };
}

it.skipIf(isLong)("[RT10] [RT11] a cheap tier that is as good gets most tasks, and they cost less @night", () => {
  const played = play(scenarios.asGood);
  expect(lateShare(played, "small")).toBeGreaterThan(0.3);
  expect(mean(played.map(({ dollarsPerAccepted }) => dollarsPerAccepted))).toBeLessThan(
    expectedDollars(scenarios.asGood, 1) * 1.05,
  );
});

it.skipIf(isLong)(
  "[RT10] [RT11] a cheap tier that is worse costs few failures, and is not chosen any more in the long run",
  () => {
    const played = play(scenarios.worse);
    // Its share of the exploration, until there is strong evidence; and some choices before.
    const bound = 0.5 * Math.min(tasks * (0.1 / 3), 100) * 1.5 + 5;
    for (const { extraFailures } of played) expect(extraFailures).toBeLessThan(bound);
    expect(lateShare(played, "small")).toBeLessThan(0.06);
  },
);

it.skipIf(isLong)("[RT33] where no tier differs a saving is rarely reported, in either direction", () => {
  const verdicts = play(scenarios.equal).map(({ report }) => report.savedAgainstDefault?.verdict);
  const wrong = verdicts.filter((verdict) => verdict === "cheaper" || verdict === "dearer");
  expect(wrong.length / verdicts.length).toBeLessThanOrEqual(0.1);
});

it.skipIf(isLong)("[RT31] the interval of a baseline has its true cost about as often as it says", () => {
  const covered = coverage(play(scenarios.asGood), "alwaysDefault", expectedDollars(scenarios.asGood, 1));
  expect(covered ?? 1).toBeGreaterThanOrEqual(0.8);
});

it.runIf(isLong)(
  "the table of the simulation",
  () => {
    console.log(`${runs} runs of ${tasks} tasks, seed ${seed}`);
    for (const given of Object.values(scenarios))
      console.log(
        Object.entries(toLine(given))
          .map(([name, value]) => `${name}: ${value}`)
          .join("\n  "),
      );
  },
  3_600_000,
);
