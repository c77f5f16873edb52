import { afterAll, expect, it } from "vitest";
import { seededRandom } from "#harness/clock/fake-time.ts";
import {
  type Draw,
  type Ended,
  excludedAfter,
  normal,
  runRandomized,
  stoppedAfter,
  verdictOnly,
} from "#harness/experiments/simulated-trials.ts";
import { vaguePrior } from "#src/experiments/statistics/betting.ts";
import { boundsOf, type Distribution, history, rate, shifted } from "#src/experiments/statistics/distribution.ts";
import { planAgainstControl, planLimit, planRandomized } from "#src/experiments/statistics/plan.ts";
import { judgePairs } from "#src/experiments/statistics/randomization-test.ts";
import { isImbalanced } from "#src/experiments/statistics/sample-ratio.ts";

/** 10,000 in `npm run stress -- experiments`. */
const runs = Number(process.env["SHIM_EXPERIMENT_RUNS"] ?? 200);
const seed = Number(process.env["SHIM_EXPERIMENT_SEED"] ?? 1);
const timeout = 60_000 + runs * 60;
const unit = { low: 0, high: 1 };

const rows: string[] = [];
afterAll(() => {
  if (process.env["SHIM_EXPERIMENT_RUNS"] === undefined) return;
  const head = ["| what | runs | units | on average | measured | bound |", "| --- | --- | --- | --- | --- | --- |"];
  console.log([...head, ...rows].join("\n"));
});

interface Measured {
  readonly what: string;
  readonly units: number;
  /** Units of each run that ended as asked; null for the others. */
  readonly ends: readonly (number | null)[];
  readonly average?: number | string;
}

/** @returns the share of runs that ended as asked */
function report({ what, units, ends, average }: Measured, bound: string): number {
  const share = ends.filter((end) => end !== null).length / ends.length;
  rows.push(`| ${what} | ${ends.length} | ${units} | ${average ?? ""} | ${(share * 100).toFixed(2)} % | ${bound} |`);
  return share;
}

/** The share is at most the bound; of fewer than 10,000 runs, but for the chance of so many. */
function expectAtMost(measured: Measured, bound: number): void {
  const share = report(measured, `at most ${bound * 100} %`);
  expect(share).toBeLessThanOrEqual(runs < 10_000 ? bound + chance(bound) : bound);
}

/** The share is at least the bound, but for the chance of so many runs. */
function expectAtLeast(measured: Measured, bound: number): void {
  const share = report(measured, `at least ${bound * 100} %`);
  expect(share).toBeGreaterThanOrEqual(bound - chance(bound));
}

/** Three standard errors. */
function chance(share: number): number {
  return 3 * Math.sqrt((share * (1 - share)) / runs);
}

function repeated<T>(one: (random: () => number) => T): T[] {
  const random = seededRandom(seed);
  return Array.from({ length: runs }, () => one(random));
}

const event =
  (without: number, added: number): Draw =>
  (random, isTreated) =>
    random() < without + (isTreated ? added : 0) ? 1 : 0;
/** Means drift by more than the effect, in both arms alike. */
const drifting: Draw = (random, isTreated, n) =>
  random() < 0.5 + 0.3 * Math.sin(n / 150) + (isTreated ? 0.1 : 0) ? 1 : 0;
const skewed = (random: () => number): number => 0.1 * Math.exp(0.8 * normal(random));
/** Pareto with the exponent 1.2: without a bound it has no variance. */
const heavy = (random: () => number): number => 0.02 / (1 - random()) ** (1 / 1.2);
const atMostOne: Draw = (random) => Math.min(1, skewed(random));

interface Scenario {
  readonly what: string;
  readonly control: Distribution;
  readonly treated: Distribution;
  readonly effect: number;
  readonly draw: Draw;
  readonly bounds?: { readonly low: number; readonly high: number };
  readonly probability?: number;
}

/** Outcomes planned from 20,000 past ones, clipped at 1 % of the upper end, with an effect of a twentieth of the range. */
function clipped(what: string, outcome: (random: () => number) => number): Scenario {
  const random = seededRandom(99);
  const past = Array.from({ length: 20_000 }, () => outcome(random));
  const bounds = { low: 0, high: boundsOf(past, 0.01).high };
  const effect = bounds.high / 20;
  const control = history(past, bounds);
  const draw: Draw = (source, isTreated) => Math.min(outcome(source), bounds.high) + (isTreated ? effect : 0);
  return { what, control, treated: shifted(control, effect, bounds), effect, draw, bounds };
}

const scenarios: readonly Scenario[] = [
  { what: "coin, 50 to 60 %", control: rate(0.5), treated: rate(0.6), effect: 0.1, draw: event(0.5, 0.1) },
  { what: "rare event, 1 to 3 %", control: rate(0.01), treated: rate(0.03), effect: 0.02, draw: event(0.01, 0.02) },
  {
    what: "coin, a tenth gets the arm",
    control: rate(0.5),
    treated: rate(0.65),
    effect: 0.15,
    draw: event(0.5, 0.15),
    probability: 0.1,
  },
  {
    what: "rare event, 1 to 5 %, a tenth gets the arm",
    control: rate(0.01),
    treated: rate(0.05),
    effect: 0.04,
    draw: event(0.01, 0.04),
    probability: 0.1,
  },
  clipped("skewed (lognormal)", skewed),
  clipped("heavy-tailed (Pareto), clipped", heavy),
  { what: "drifting coin", control: rate(0.5), treated: rate(0.6), effect: 0.1, draw: drifting },
];

/** With a margin as large as the effect, unless another is asked for. */
function planned({ control, treated, effect, bounds = unit, probability = 0.5 }: Scenario, margin = effect) {
  const question = { bounds, control, treated, margin, goal: "higher", alpha: 0.05, power: 0.8 } as const;
  return planRandomized({ ...question, probability });
}

it.each(scenarios)("[EX8] A/A: $what, read after every unit", { timeout }, (scenario) => {
  const { plan } = planned(scenario);
  // Verdicts end no run here: every reading until the last counts.
  const onlyZero = { ...plan, sequence: { ...plan.sequence, grid: [0] } };
  const still: Draw = (random, _, n) => scenario.draw(random, false, n);
  const ends = repeated((random) => excludedAfter(onlyZero, plan.units, still, random));
  expectAtMost({ what: `A/A: ${scenario.what}`, units: plan.units, ends }, plan.sequence.alpha);
});

it.each(scenarios)("[EX9] no effect is called equivalent: $what", { timeout }, (scenario) => {
  const plan = verdictOnly(planned(scenario).plan);
  const still: Draw = (random, _, n) => scenario.draw(random, false, n);
  const ended = repeated((random) => runRandomized(plan, still, random));
  const ends = ended.map(({ verdict, n }) => (verdict === "equivalent" ? n : null));
  expectAtLeast({ what: `equivalent: ${scenario.what}`, units: plan.units, ends, average: averageOf(ended) }, 0.8);
});

it.each(scenarios)("[EX9] the planned effect excludes 0 within its units: $what", { timeout }, (scenario) => {
  // Equivalence within a wide margin needs fewer units, so these are the units of the effect.
  const { plan, difference } = planned(scenario, scenario.effect * 1.5);
  expect(plan.units).toBe(difference.units);
  const onlyZero = { ...plan, sequence: { ...plan.sequence, grid: [0] } };
  const ends = repeated((random) => excludedAfter(onlyZero, plan.units, scenario.draw, random));
  const average = averageOf(ends.map((n) => ({ n: n ?? plan.units })));
  const stated = `${average}, stated ${difference.average}`;
  expectAtLeast({ what: `0 excluded: ${scenario.what}`, units: plan.units, ends, average: stated }, 0.8);
});

it.each(scenarios)("[EX9] the planned effect is found: $what", { timeout }, (scenario) => {
  const { plan: whole } = planned(scenario);
  const plan = verdictOnly(whole);
  const ended = repeated((random) => runRandomized(plan, scenario.draw, random));
  const ends = ended.map(({ verdict, n }) => (verdict === "better" ? n : null));
  expectAtLeast({ what: `effect: ${scenario.what}`, units: plan.units, ends, average: averageOf(ended) }, 0.8);
  expect(ended.filter(({ verdict }) => verdict === "worse").length).toBeLessThanOrEqual(runs * (0.025 + chance(0.025)));
});

function averageOf(ended: readonly { readonly n: number }[]): number {
  return Math.round(ended.reduce((total, { n }) => total + n, 0) / ended.length);
}

const margin = 0.5;

/** Differences of 20 sessions, and of four more at each reading until the sample decides. */
function judgeGrowing(draw: () => number): Ended {
  const differences = Array.from({ length: 20 }, draw);
  for (;;) {
    const { verdict, isOver, n } = judgePairs(differences, 12 * margin, margin);
    if (isOver) return { verdict, n };
    differences.push(draw(), draw(), draw(), draw());
  }
}

it.each([
  { what: "deviation 1", draw: normal },
  { what: "deviation 1.5", draw: (random: () => number) => 1.5 * normal(random) },
  { what: "most of them 0", draw: (random: () => number) => (random() < 0.1 ? 4 * normal(random) : 0) },
])("[EX44] pairs without an effect, read while they grow: $what @night", { timeout }, ({ what, draw }) => {
  const ended = repeated((random) => judgeGrowing(() => draw(random)));
  const ends = ended.map(({ verdict, n }) => (verdict === "better" || verdict === "worse" ? n : null));
  const average = averageOf(ended);
  expectAtMost({ what: `A/A: pairs, ${what}`, units: average, ends, average }, 0.05);
});

it("[EX44] pairs with an effect of two margins are found better", { timeout }, () => {
  const ended = repeated((random) => judgeGrowing(() => normal(random) - 2 * margin));
  const ends = ended.map(({ verdict, n }) => (verdict === "better" ? n : null));
  const average = averageOf(ended);
  expectAtLeast({ what: "effect: pairs", units: average, ends, average }, 0.9);
});

it.each([
  { what: "rare event, 1 %", draw: event(0.01, 0), mean: 0.01 },
  { what: "skewed", draw: atMostOne, mean: null },
])("[EX2] the mean is never missed: $what", { timeout }, ({ what, draw, mean }) => {
  const random = seededRandom(98);
  const count = 200_000;
  const known = mean ?? Array.from({ length: count }, () => draw(random, false, 0)).reduce((a, b) => a + b) / count;
  const plan = { ...unit, alpha: 0.05, sides: "both", horizon: null, prior: vaguePrior(unit) } as const;
  const sequence = { ...plan, grid: [known] };
  const ends = repeated((source) => stoppedAfter(sequence, 2000, (n) => draw(source, false, n)));
  expectAtMost({ what: `mean missed: ${what}`, units: 2000, ends }, 0.05);
});

it.each([
  { limit: 0.02, harm: 0.06 },
  { limit: 0.01, harm: 0.03 },
  { limit: 0.1, harm: 0.3 },
])(
  "[EX10] a rate of $harm is stopped at a limit of $limit, a rate of $limit is not",
  { timeout },
  ({ limit, harm }) => {
    const question = { bounds: unit, limit, worse: "higher", harmed: rate(harm), alpha: 0.01, power: 0.9 } as const;
    const { sequence, units } = planLimit(question);
    const run = (frequency: number, most: number) =>
      repeated((random) => stoppedAfter(sequence, most, () => (random() < frequency ? 1 : 0)));
    const stopped = run(harm, units);
    const average = averageOf(stopped.map((n) => ({ n: n ?? units })));
    expectAtLeast({ what: `harm: rate ${harm}, limit ${limit}`, units, ends: stopped, average }, 0.9);
    expectAtMost({ what: `false stop: limit ${limit}`, units: 3000, ends: run(limit, 3000) }, 0.01);
  },
);

it("[EX10] an arm worse than control by more than the margin is stopped, one at the margin is not", { timeout }, () => {
  const question = { bounds: unit, control: rate(0.05), harmed: rate(0.15), margin: 0.02, alpha: 0.01 } as const;
  const guard = planAgainstControl({ ...question, worse: "higher", probability: 0.5, power: 0.9 });
  const run = (treated: number, most: number) =>
    repeated((random) => excludedAfter(guard, most, event(0.05, treated - 0.05), random));
  const stopped = run(0.15, guard.units);
  const average = averageOf(stopped.map((n) => ({ n: n ?? guard.units })));
  expectAtLeast({ what: "harm: 15 %, control 5 %", units: guard.units, ends: stopped, average }, 0.9);
  expectAtMost({ what: "false stop: 7 %, control 5 %", units: 2000, ends: run(0.07, 2000) }, 0.01);
});

function imbalancedAfter(meant: number, real: number, most: number): (random: () => number) => number | null {
  return (random) => {
    const counts = [0, 0] as [number, number];
    for (let n = 1; n <= most; n++) {
      counts[random() < real ? 0 : 1] += 1;
      if (isImbalanced({ shares: [meant, 1 - meant], alpha: 0.001 }, counts)) return n;
    }
    return null;
  };
}

it.each([
  { meant: 0.5, real: 0.55, most: 3500 },
  { meant: 0.1, real: 0.07, most: 3500 },
])("[EX11] $real for $meant is found, $meant raises no alarm", { timeout }, ({ meant, real, most }) => {
  const found = repeated(imbalancedAfter(meant, real, most));
  const average = averageOf(found.map((n) => ({ n: n ?? most })));
  expectAtLeast({ what: `imbalance: ${real} for ${meant}`, units: most, ends: found, average }, 0.9);
  const ends = repeated(imbalancedAfter(meant, meant, 2000));
  expectAtMost({ what: `false alarm: ${meant}`, units: 2000, ends }, 0.001);
});
