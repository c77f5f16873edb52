import { expect, it } from "vitest";
import type { Band, TierCounts } from "#src/contract/model-routes.ts";
import {
  bandOf,
  chooseRoute,
  escalate,
  hasHigherTier,
  successBounds,
  type RouteTable,
} from "#src/learning/routing/model-router.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";

const table: RouteTable = {
  tiers: [
    { name: "tiny", model: "nano" },
    { name: "small", model: "haiku" },
    { name: "medium", model: "sonnet" },
    { name: "large", model: "opus", effort: "high" },
  ],
  default: "medium",
  exploration: 0.1,
  acceptable: 0.9,
};

function count(tier: string, succeeded: number, tried: number, change: Partial<TierCounts> = {}): TierCounts {
  const found = table.tiers.find(({ name }) => name === tier);
  const { model = "", effort = null } = found ?? {};
  return { tier, model, effort, band: "usual", tried, succeeded, meanCostMicros: null, ...change };
}

/** Tiers and reasons of many choices, each with its share. */
function choices(band: Band, counts: readonly TierCounts[] | null): Record<string, number> {
  const random = seededRandom(3);
  const all = Array.from({ length: 2_000 }, () => chooseRoute(table, band, counts, random));
  const names = all.map(({ tier, reason }) => `${tier} ${reason}`);
  return Object.fromEntries(names.map((name) => [name, names.filter((one) => one === name).length / names.length]));
}

const standard = count("medium", 90, 100);

it("bands: no evidence is unknown, whatever the score; many points are complex", () => {
  const analyses = [
    { kind: null, evidence: "none", complexity: 9 },
    { kind: null, evidence: "weak", complexity: 2 },
    { kind: null, evidence: "weak", complexity: 6 },
    { kind: null, evidence: "strong", complexity: 5 },
  ] as const;
  expect(analyses.map(bandOf)).toEqual(["unknown", "weak", "complex", "usual"]);
});

it("without evidence, or without counts, the default tier does the task", () => {
  expect(choices("unknown", [count("small", 99, 99)])).toEqual({ "medium no_evidence": 1 });
  expect(choices("usual", null)).toEqual({ "medium no_counts": 1 });
});

it("exploration: one tier below the default for weak evidence, none for a complex task, all for others", () => {
  expect(choices("usual", [])).toEqual({
    "medium chosen": expect.closeTo(0.9, 1),
    "small explored": expect.closeTo(0.05, 1),
    "tiny explored": expect.closeTo(0.05, 1),
  });
  expect(Object.keys(choices("weak", [])).toSorted()).toEqual(["medium chosen", "small explored"]);
  expect(choices("complex", [])).toEqual({ "medium chosen": 1 });
});

it("the cheapest tier that is proven good enough does the task; counts of another model, effort or band prove nothing", () => {
  expect(choices("usual", [standard, count("small", 48, 50)])["small chosen"]).toBeGreaterThan(0.85);
  expect(choices("usual", [standard, count("small", 48, 50), count("tiny", 48, 50)])).toEqual({ "tiny chosen": 1 });
  expect(choices("usual", [standard, count("small", 5, 5)])["small chosen"]).toBeUndefined();
  // A default of which little is known proves no other tier.
  expect(choices("usual", [count("medium", 0, 1), count("small", 2, 4)])["small chosen"]).toBeUndefined();
  for (const change of [{ model: "old" }, { effort: "low" }, { band: "weak" as const }])
    expect(choices("usual", [standard, count("small", 100, 100, change)])["small chosen"]).toBeUndefined();
});

it("a tier that is proven worse is not explored any more", () => {
  expect(choices("usual", [standard, count("small", 30, 50), count("tiny", 10, 50)])).toEqual({ "medium chosen": 1 });
});

/** A thousand tasks of which the small tier does this share well. @returns how many began with it */
function play(rate: number): { all: number; late: number } {
  const random = seededRandom(7);
  const counts = new Map<string, TierCounts>();
  const tiers: string[] = [];
  for (let task = 0; task < 1_000; task++) {
    const { tier } = chooseRoute({ ...table, tiers: table.tiers.slice(1) }, "usual", [...counts.values()], random);
    const before = counts.get(tier) ?? count(tier, 0, 0);
    const isDone = random() < (tier === "small" ? rate : 0.9);
    counts.set(tier, count(tier, before.succeeded + (isDone ? 1 : 0), before.tried + 1));
    tiers.push(tier);
  }
  const begun = tiers.flatMap((tier, task) => (tier === "small" ? [task] : []));
  return { all: begun.length, late: begun.filter((task) => task >= 800).length };
}

it("a tier that is as good gets the tasks, and one that is worse costs few failures", () => {
  expect(play(0.95).late).toBeGreaterThan(160);
  expect(play(0.4).all).toBeLessThan(30);
});

it("bounds are Wilson's: the whole range without an attempt, and narrower with each", () => {
  expect(successBounds({ succeeded: 0, tried: 0 })).toEqual({ low: 0, high: 1 });
  const { low, high } = successBounds({ succeeded: 48, tried: 50 });
  expect([low, high]).toEqual([expect.closeTo(0.906, 2), expect.closeTo(0.984, 2)]);
});

it("one tier up after a failure, the top one again, and a tier that is gone counts as the default", () => {
  const first = chooseRoute(table, "unknown", [], seededRandom());
  const second = escalate(table, first);
  expect(second).toMatchObject({ tier: "large", reason: "escalated" });
  expect(escalate(table, second)).toMatchObject({ tier: "large", reason: "retried" });
  expect(escalate(table, { ...first, tier: "gone" })).toMatchObject({ tier: "large" });
  expect([hasHigherTier(table, first), hasHigherTier(table, second)]).toEqual([true, false]);
});
