import { mean } from "simple-statistics";
import { expect, it } from "vitest";
import { headsAtLeast, moreOften, judgePairs } from "#src/learning/experiments/exact-tests.ts";
import { canary, guardrails, judgeCanary, maxReplayed, nextReading } from "#src/learning/experiments/trials.ts";
import type { CanaryUnit, CanaryVerdict, Measured } from "#src/learning/experiments/trials.ts";
import { weekOf } from "#src/learning/experiments/weekly-report.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";

it("the tail of a binomial count equals R's binom.test", () => {
  // binom.test(8, 10, 0.5, "greater"), binom.test(15, 20, 0.5, "greater").
  expect(headsAtLeast(8, 10)).toBeCloseTo(0.0546875, 7);
  expect(headsAtLeast(15, 20)).toBeCloseTo(0.0206947, 7);
  expect([headsAtLeast(0, 10), headsAtLeast(11, 10)]).toEqual([expect.closeTo(1, 9), 0]);
});

it("Fisher's exact test equals R's fisher.test", () => {
  // fisher.test(matrix(c(8, 2, 1, 9), 2), alternative = "greater").
  expect(moreOften({ hits: 1, n: 10 }, { hits: 8, n: 10 })).toBeCloseTo(0.002739, 6);
  expect(moreOften({ hits: 0, n: 0 }, { hits: 5, n: 5 })).toBe(1);
});

/** 1,000 in `npm run stress -- experiments`. */
const runs = Number(process.env["SHIM_EXPERIMENT_RUNS"] ?? 200);
const random = seededRandom(Number(process.env["SHIM_EXPERIMENT_SEED"] ?? 3));
const timeout = 240_000 + runs * 1_000;

const event = (rate: number): number => (random() < rate ? 1 : 0);

function usual(): Measured {
  return {
    unsavedDeath: event(0.1),
    slowSaves: event(0.005),
    slowRecoveries: 0,
    toolErrors: random() * 0.2,
    dollars: -Math.log(1 - random()),
    restoreScore: 0.9 + random() * 0.1,
  };
}

interface End {
  readonly verdict: Exclude<CanaryVerdict, "running">;
  readonly sessions: number;
}

/** Read as a machine does, until there is a verdict. */
function runCanary(one: () => Measured, treated: () => Measured): End {
  const units: CanaryUnit[] = [];
  for (let next = nextReading(0); ; next = nextReading(next)) {
    while (units.length < Math.min(next, canary.sessions)) {
      const isTreated = random() < 0.5;
      units.push({ isTreated, measured: isTreated ? treated() : one() });
    }
    const verdict = judgeCanary(units, 0);
    if (verdict !== "running") return { verdict, sessions: units.length };
  }
}

function ends(one: () => Measured, treated: () => Measured): End[] {
  return Array.from({ length: runs }, () => runCanary(one, treated));
}

/** Share of the canaries that a guardrail has stopped. */
function stopped(all: readonly End[]): number {
  return all.filter(({ verdict }) => typeof verdict === "object").length / all.length;
}

function units(treated: number, all: number): CanaryUnit[] {
  return Array.from({ length: all }, (_, index) => ({ isTreated: index < treated, measured: {} }));
}

it("shares of the arms that are far from halves stop it; at its end they are looked at more closely", () => {
  const violated = { violated: "sampleRatio" };
  for (const treated of [100, 118, 82]) expect(judgeCanary(units(treated, 200), 0)).toBe("harmless");
  for (const treated of [119, 81]) expect(judgeCanary(units(treated, 200), 0)).toEqual(violated);
  expect(judgeCanary(units(52, 80), 0)).toBe("running");
  expect(judgeCanary(units(40, 40), 0)).toEqual(violated);
});

it("a value without harm is not stopped", { timeout }, () => {
  expect([0, 10, 80].map(nextReading)).toEqual([10, 20, 160]);
  const all = ends(usual, usual);
  expect(stopped(all)).toBeLessThanOrEqual(0.05);
  expect(all.every(({ verdict, sessions }) => typeof verdict === "object" || sessions === 200)).toBe(true);
});

it("gross harm is found, before the canary ends", { timeout }, () => {
  const harmed = (): Measured => ({ ...usual(), toolErrors: 0.2 + random() * 0.2 });
  const all = ends(usual, harmed);
  expect(stopped(all)).toBeGreaterThan(0.9);
  expect(mean(all.map(({ sessions }) => sessions))).toBeLessThan(150);
});

/** Forty chats of which so many are worse, and no one else is. */
function forty(name: string, isTreated: boolean, hits: number): CanaryUnit[] {
  const bad = name === "restoreScore" ? 0 : 1;
  return Array.from({ length: 40 }, (_, at) => ({ isTreated, measured: { [name]: at < hits ? bad : 1 - bad } }));
}

it.each(Object.keys(guardrails))("harm by %s is found where so many of 40 chats are chance once in 2,000", (name) => {
  const counts = Array.from({ length: 41 }, (_, hits) => hits);
  const fewest = [0, 10, 20].map((hits) => {
    const others = forty(name, false, hits);
    const treated = counts.map((count) => forty(name, true, count));
    const canaries = treated.map((units) => judgeCanary([...others, ...units], 0));
    return canaries.findIndex((verdict) => verdict !== "running");
  });
  expect(fewest).toEqual([11, 26, 35]);
});

const drawn = seededRandom(Number(process.env["SHIM_EXPERIMENT_SEED"] ?? 1));
const margin = 0.5;

const normal = (): number => Math.sqrt(-2 * Math.log(1 - drawn())) * Math.cos(2 * Math.PI * drawn());

/** Verdict on differences of 20 sessions, and of four more at each reading until there is one. */
function judgeGrowing(draw: () => number): string {
  const differences = Array.from({ length: 20 }, draw);
  while (differences.length < maxReplayed) {
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
  { what: "most of them 0", draw: () => (drawn() < 0.1 ? 4 * normal() : 0) },
])("pairs without an effect, read while they grow: $what @night", { timeout }, ({ draw }) => {
  // Three standard errors of so many runs.
  expect(shareOf(draw, ["better", "worse"])).toBeLessThanOrEqual(0.05 + 3 * Math.sqrt(0.0475 / runs));
});

it("pairs with an effect of two margins are found better", { timeout }, () => {
  expect(shareOf(() => normal() - 2 * margin, ["better"])).toBeGreaterThan(0.9);
});

it("equivalent only within the margin, better or worse only without 0, undecided with fewer than 20 pairs", () => {
  const judged = (value: number, length = 30) => {
    const pairs = Array.from({ length }, (_, index) => value + (index % 2) / 100);
    return judgePairs(pairs, 6, margin).verdict;
  };
  expect([0, 0.3, -2, 2].map((value) => judged(value))).toEqual(["equivalent", "equivalent", "better", "worse"]);
  expect(judged(-2, 19)).toBe("undecided");
  // Surely below 0, and less than what matters for some.
  const small = Array.from({ length: 30 }, (_, index) => (index % 2 === 0 ? -0.9 : 0.1));
  expect(judgePairs(small, 6, margin).verdict).toBe("undecided");
  expect(
    judgePairs(
      small.map((one) => -one),
      6,
      margin,
    ).verdict,
  ).toBe("worse");
  expect(judgePairs([], 6, margin)).toMatchObject({ verdict: "undecided", difference: null, n: 0 });
});

it("weeks are those of ISO 8601: from Monday, of the year of their Thursday", () => {
  const days = ["2026-11-22", "2026-11-23", "2026-01-01", "2027-01-03", "2025-12-29", "2024-12-30"];
  const names = ["2026-W47", "2026-W48", "2026-W01", "2026-W53", "2026-W01", "2025-W01"];
  expect(days.map((day) => weekOf(Date.parse(day)).name)).toEqual(names);
  for (let day = 0; day < 3_000; day += 5) {
    const week = weekOf(Date.UTC(2020, 0, 1) + day * 86_400_000);
    expect(new Date(week.from).getUTCDay()).toBe(1);
  }
});
