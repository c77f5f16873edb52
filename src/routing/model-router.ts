import type { Band, Route, Tier, TierCounts } from "../contract/routes.ts";
import type { Analysis } from "./prompt-analyzer.ts";

/** Pure; randomness is passed in. */

export interface RouteTable {
  /** Cheapest first; the last one is the best. */
  readonly tiers: readonly Tier[];
  /** Name of the tier that does a task of which nothing else is known. */
  readonly default: string;
  /** Name of the lowest tier; absent: the first. */
  readonly floor?: string | undefined;
  /** Share of choices that are spread evenly over the eligible tiers. */
  readonly exploration: number;
  /** Least acceptable rate of success, as a share of the default tier's. */
  readonly acceptable: number;
  /** Attempts before a tier is chosen for its success. */
  readonly minTried: number;
  /** Attempts from which a tier whose lower bound is not acceptable is not chosen any more. */
  readonly strongAfter: number;
}

/** Complexity from which no tier below the default is chosen. */
const complexFrom = 6;

/** [RT8] The tasks among which tiers are compared. */
export function bandOf({ evidence, complexity }: Pick<Analysis, "evidence" | "complexity">): Band {
  if (evidence === "none") return "unknown";
  if (complexity >= complexFrom) return "complex";
  return evidence === "weak" ? "weak" : "usual";
}

/**
 * [RT8] [RT9] [RT10] [RT11] Chooses the tier of a first attempt.
 *
 * @param counts of the type in all bands; null: the coordinator did not answer
 * @param random uniform from 0 to 1
 */
export function chooseRoute(
  table: RouteTable,
  band: Band,
  counts: readonly TierCounts[] | null,
  random: () => number,
): Route {
  const byDefault = indexOf(table, table.default);
  if (band === "unknown") return toRoute(table, { tier: byDefault, band, reason: "no_evidence" });
  if (counts === null) return toRoute(table, { tier: byDefault, band, reason: "no_counts" });
  const candidates = toCandidates(table, band, counts);
  const propensities = toPropensities(table, candidates, random);
  const tier = draw(propensities, random);
  const isPossible = (at: number): boolean => (propensities.get(at) ?? 0) > 0;
  const isComparable = isPossible(byDefault) && isPossible(table.tiers.length - 1);
  return toRoute(table, { tier, band, reason: "sampled", propensity: propensities.get(tier) ?? 1, isComparable });
}

/** [RT13] After a failed or stalled attempt: one tier up, the top one again. */
export function escalate(table: RouteTable, previous: Route): Route {
  const before = table.tiers.findIndex(({ name }) => name === previous.tier);
  const top = table.tiers.length - 1;
  const from = before === -1 ? indexOf(table, table.default) : before;
  const reason = from === top ? "retried" : "escalated";
  return toRoute(table, { tier: Math.max(Math.min(from + 1, top), floorOf(table)), band: previous.band, reason });
}

/** Whether there is a tier above this one. */
export function hasHigherTier({ tiers }: RouteTable, { tier }: Pick<Route, "tier">): boolean {
  return tiers.at(-1)?.name !== tier;
}

function indexOf({ tiers }: RouteTable, name: string): number {
  const at = tiers.findIndex((tier) => tier.name === name);
  if (at === -1) throw new Error(`there is no tier ${name}`);
  return at;
}

function floorOf(table: RouteTable): number {
  return table.floor === undefined ? 0 : indexOf(table, table.floor);
}

interface Choice {
  readonly tier: number;
  readonly band: Band;
  readonly reason: Route["reason"];
  readonly propensity?: number;
  readonly isComparable?: boolean;
}

function toRoute(table: RouteTable, choice: Choice): Route {
  const { tier: at, band, reason, propensity = 1, isComparable = false } = choice;
  const tier = table.tiers[at];
  if (!tier) throw new Error(`there is no tier ${at}`);
  const isDefault = tier.name === table.default;
  const isBest = at === table.tiers.length - 1;
  return {
    tier: tier.name,
    model: tier.model,
    effort: tier.effort ?? null,
    band,
    reason,
    propensity,
    baseline: isDefault && isBest ? "both" : isDefault ? "default" : isBest ? "best" : null,
    isComparable,
    settings: null,
    isCounted: true,
  };
}

interface Candidate {
  readonly at: number;
  readonly isDefault: boolean;
  readonly tried: number;
  readonly succeeded: number;
  readonly meanCostMicros: number | null;
}

/** [RT9] Weak evidence goes one tier below the default at most, a complex task none. */
function lowestOf(table: RouteTable, band: Band): number {
  const byDefault = indexOf(table, table.default);
  const steps = { unknown: 0, complex: 0, weak: 1, usual: byDefault }[band];
  return Math.max(floorOf(table), byDefault - steps);
}

function toCandidates(table: RouteTable, band: Band, counts: readonly TierCounts[]): Candidate[] {
  const byDefault = indexOf(table, table.default);
  const lowest = lowestOf(table, band);
  const all = table.tiers.map(({ name, model, effort = null }, at) => {
    const found = counts.find(
      (one) => one.tier === name && one.model === model && one.effort === effort && one.band === band,
    );
    const { tried = 0, succeeded = 0, meanCostMicros = null } = found ?? {};
    return { at, isDefault: at === byDefault, tried, succeeded, meanCostMicros };
  });
  const standard = all[byDefault];
  return all.filter((one) => one.isDefault || (one.at >= lowest && !(standard && isProvenWorse(table, one, standard))));
}

/** [RT10] With strong evidence the lower bound decides, not the best guess. */
function isProvenWorse(table: RouteTable, one: Candidate, standard: Candidate): boolean {
  if (one.tried < table.strongAfter || standard.tried === 0) return false;
  const rate = standard.succeeded / standard.tried;
  return lowerBound(one.succeeded, one.tried) < table.acceptable * rate;
}

const draws = 400;

/** [RT11] Exact: the choice is drawn from these. At least the exploration's share for each. */
function toPropensities(
  table: RouteTable,
  candidates: readonly Candidate[],
  random: () => number,
): ReadonlyMap<number, number> {
  const known = candidates.filter(({ isDefault, tried }) => isDefault || tried >= table.minTried);
  const wins = new Map<number, number>();
  const rounds = known.length > 1 ? draws : 1;
  for (let round = 0; round < rounds; round++) {
    const winner = chooseOnce(table, known, random);
    wins.set(winner, (wins.get(winner) ?? 0) + 1);
  }
  const explored = candidates.length > 1 ? table.exploration : 0;
  return new Map(
    candidates.map(({ at }) => [at, explored / candidates.length + (1 - explored) * ((wins.get(at) ?? 0) / rounds)]),
  );
}

/**
 * One round of Thompson sampling: of the tiers that are good enough the cheapest for an accepted
 * task; where a cost is unknown, the lowest tier.
 */
function chooseOnce(table: RouteTable, known: readonly Candidate[], random: () => number): number {
  if (known.length === 1) return known[0]?.at ?? 0;
  const sampled = known.map((one) => ({ ...one, rate: sampleRate(one.succeeded, one.tried, random) }));
  const standard = sampled.find(({ isDefault }) => isDefault)?.rate ?? 0;
  const good = sampled.filter(({ isDefault, rate }) => isDefault || rate >= table.acceptable * standard);
  const isPriced = good.every(({ meanCostMicros }) => meanCostMicros !== null);
  const priceOf = ({ at, rate, meanCostMicros }: (typeof good)[number]): number =>
    isPriced ? (meanCostMicros ?? 0) / rate : at;
  return good.reduce((best, one) => (priceOf(one) < priceOf(best) ? one : best)).at;
}

function draw(propensities: ReadonlyMap<number, number>, random: () => number): number {
  let left = random();
  const possible = [...propensities].filter(([, propensity]) => propensity > 0);
  for (const [at, propensity] of possible) {
    left -= propensity;
    if (left < 0) return at;
  }
  return possible.at(-1)?.[0] ?? 0;
}

/** One-sided, 90 %. */
const z = 1.281_551_565_5;

/** Wilson's lower bound of a rate of success; 0 without a try. */
export function lowerBound(succeeded: number, tried: number): number {
  if (tried === 0) return 0;
  const rate = succeeded / tried;
  const shrink = z ** 2 / tried;
  const margin = z * Math.sqrt((rate * (1 - rate)) / tried + shrink / (4 * tried));
  return Math.max(0, (rate + shrink / 2 - margin) / (1 + shrink));
}

/**
 * One draw from the Beta distribution of a rate of success, with one success and one failure as its
 * prior, by two Gamma variables.
 *
 * @param random gives 0 to 1, 1 excluded
 */
export function sampleRate(succeeded: number, tried: number, random: () => number): number {
  const successes = sampleGamma(1 + succeeded, random);
  return successes / (successes + sampleGamma(1 + tried - succeeded, random));
}

/** Marsaglia and Tsang, "A simple method for generating gamma variables" (2000). */
function sampleGamma(shape: number, random: () => number): number {
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = sampleNormal(random);
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random()) < x ** 2 / 2 + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** Box and Muller. */
function sampleNormal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
