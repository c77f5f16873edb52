import * as fc from "fast-check";
import { expect, it } from "vitest";
import { Band, Route, type TierCounts } from "#src/contract/routes.ts";
import {
  bandOf,
  chooseRoute,
  escalate,
  hasHigherTier,
  type RouteTable,
  lowerBound,
} from "#src/routing/model-router.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";

const table: RouteTable = {
  tiers: [
    { name: "small", model: "haiku" },
    { name: "medium", model: "sonnet" },
    { name: "large", model: "opus", effort: "high" },
  ],
  default: "medium",
  exploration: 0.12,
  acceptable: 0.9,
  minTried: 10,
  strongAfter: 50,
};

function count(tier: string, succeeded: number, tried: number, change: Partial<TierCounts> = {}): TierCounts {
  const found = table.tiers.find(({ name }) => name === tier);
  const { model = "", effort = null } = found ?? {};
  return { tier, model, effort, band: "usual", tried, succeeded, meanCostMicros: null, ...change };
}

/** The probability of each tier, by many choices. */
function propensities(band: Band, counts: readonly TierCounts[] | null, given = table): Record<string, number> {
  const random = seededRandom();
  const routes = Array.from({ length: 300 }, () => chooseRoute(given, band, counts, random));
  return Object.fromEntries(routes.map(({ tier, propensity }) => [tier, propensity]));
}

it("[RT8] bands: no evidence is unknown, whatever the score; many points are complex", () => {
  expect(bandOf({ evidence: "none", complexity: 9 })).toBe("unknown");
  expect(bandOf({ evidence: "weak", complexity: 2 })).toBe("weak");
  expect(bandOf({ evidence: "weak", complexity: 6 })).toBe("complex");
  expect(bandOf({ evidence: "strong", complexity: 5 })).toBe("usual");
});

it("[RT8] without evidence, or without counts, the default tier does the task", () => {
  expect(propensities("unknown", [count("small", 99, 99)])).toEqual({ medium: 1 });
  expect(propensities("usual", null)).toEqual({ medium: 1 });
});

it("[RT9] no tier below the floor; one below the default for weak evidence; none for a complex task", () => {
  const four: RouteTable = { ...table, tiers: [{ name: "tiny", model: "t" }, ...table.tiers] };
  expect(Object.keys(propensities("usual", [], four)).toSorted()).toEqual(["large", "medium", "small", "tiny"]);
  expect(Object.keys(propensities("weak", [], four)).toSorted()).toEqual(["large", "medium", "small"]);
  expect(Object.keys(propensities("complex", [], four)).toSorted()).toEqual(["large", "medium"]);
  expect(propensities("usual", [count("small", 500, 500)], { ...four, floor: "medium" })["small"]).toBeUndefined();
});

it("[RT11] below its least number of attempts a tier is only explored", () => {
  expect(propensities("usual", [count("medium", 5, 10), count("small", 9, 9)])).toEqual({
    small: 0.04,
    medium: expect.closeTo(0.92),
    large: 0.04,
  });
});

it("[RT10] with strong evidence a tier whose lower bound is not acceptable is not chosen at all", () => {
  const standard = count("medium", 90, 100);
  expect(propensities("usual", [standard, count("small", 39, 49)])["small"]).toBeGreaterThan(0);
  expect(propensities("usual", [standard, count("small", 40, 50)])["small"]).toBeUndefined();
  expect(propensities("usual", [standard, count("small", 48, 50)])["small"]).toBeGreaterThan(0.5);
  expect(lowerBound(48, 50)).toBeGreaterThan(0.81);
});

const costs = (small: number, medium: number): Record<string, number> =>
  propensities("usual", [
    count("small", 95, 100, { meanCostMicros: small }),
    count("medium", 95, 100, { meanCostMicros: medium }),
  ]);

it("[RT11] of tiers that are good enough the one with the least cost for a success is preferred", () => {
  expect(costs(1_000, 5_000)["small"]).toBeGreaterThan(0.8);
  expect(costs(5_000, 1_000)["small"]).toBeCloseTo(0.04);
});

it("[RT11] counts of another model, effort or band are those of another tier", () => {
  const others = [{ model: "old" }, { effort: "low" }, { band: "weak" as const }];
  for (const change of others)
    expect(propensities("usual", [count("medium", 9, 10), count("small", 100, 100, change)])["small"]).toBeCloseTo(
      0.04,
    );
});

it("[RT11] recorded probabilities are those of the choices: they sum to 1, and each choice has its own", () => {
  const counts = fc.record({ tried: fc.nat(120), share: fc.double({ min: 0, max: 1, noNaN: true }) });
  const arbitrary = fc.record({
    counts: fc.tuple(counts, counts, counts),
    band: fc.constantFrom(...Band.options),
    floor: fc.constantFrom("small", "medium"),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(arbitrary, ({ counts: all, band, floor, seed }) => {
      const tiers = all.map(({ tried, share }, at) =>
        count(table.tiers[at]?.name ?? "", Math.floor(tried * share), tried, { band }),
      );
      const route = chooseRoute({ ...table, floor }, band, tiers, seededRandom(seed));
      expect(Route.safeParse(route).success).toBe(true);
      expect(route.propensity).toBeGreaterThanOrEqual(band === "unknown" ? 1 : table.exploration / 3);
      if (floor === "medium") expect(route.tier).not.toBe("small");
    }),
  );
});

it("[RT11] tiers are chosen as often as their probability says @night", () => {
  const counts = [count("medium", 45, 50), count("small", 11, 12), count("large", 12, 12)];
  const random = seededRandom(7);
  const seen = new Map<string, { n: number; expected: number }>();
  const rounds = 2_000;
  for (let round = 0; round < rounds; round++) {
    const { tier, propensity } = chooseRoute({ ...table, exploration: 0.5 }, "usual", counts, random);
    const before = seen.get(tier) ?? { n: 0, expected: 0 };
    seen.set(tier, { n: before.n + 1, expected: before.expected + 1 / propensity });
  }
  // The inverse probabilities of the choices of a tier count all rounds.
  for (const { expected } of seen.values()) expect(expected / rounds).toBeCloseTo(1, 0.8);
});

it("[RT13] one tier up after a failure, the top one again, and a tier that is gone counts as the default", () => {
  const [random] = [seededRandom()];
  const first = chooseRoute(table, "unknown", [], random);
  const second = escalate(table, first);
  expect(second).toMatchObject({ tier: "large", reason: "escalated", propensity: 1, isComparable: false });
  expect(escalate(table, second)).toMatchObject({ tier: "large", reason: "retried" });
  expect(escalate(table, { ...first, tier: "gone" })).toMatchObject({ tier: "large" });
  expect(escalate({ ...table, floor: "medium" }, { ...first, tier: "small" })).toMatchObject({ tier: "medium" });
  expect([hasHigherTier(table, first), hasHigherTier(table, second)]).toEqual([true, false]);
});
