import type { Band, Route, Tier, TierCounts } from "../../contract/model-routes.ts";
import type { Analysis } from "./prompt-analyzer.ts";

/** Pure; randomness is passed in. */

export interface RouteTable {
  /** Cheapest first; the last one is the best. */
  readonly tiers: readonly Tier[];
  /** Name of the tier that does a task of which nothing else is known. */
  readonly default: string;
  /** Share of first attempts that try a cheaper tier of which too little is known. */
  readonly exploration: number;
  /** Least acceptable rate of success, as a share of the default tier's. */
  readonly acceptable: number;
}

/** With fewer attempts no tier is proven worse. */
const minTried = 20;

/** Complexity from which no tier below the default is chosen. */
const complexFrom = 6;

/** The tasks among which tiers are compared. */
export function bandOf({ evidence, complexity }: Analysis): Band {
  if (evidence === "none") return "unknown";
  if (complexity >= complexFrom) return "complex";
  return evidence === "weak" ? "weak" : "usual";
}

/**
 * Tier of a first attempt: the cheapest that is proven good enough, else
 * the default one.
 *
 * @param counts of the type in all bands; null: the coordinator did not answer
 * @param random uniform from 0 to 1, 1 excluded
 */
export function chooseRoute(
  table: RouteTable,
  band: Band,
  counts: readonly TierCounts[] | null,
  random: () => number,
): Route {
  const standard = indexOf(table, table.default);
  if (band === "unknown") return toRoute(table, standard, band, "no_evidence");
  if (counts === null) return toRoute(table, standard, band, "no_counts");
  const countsAt = (at: number): Counts => countsOf(table, at, band, counts);
  const least = table.acceptable * successBounds(countsAt(standard)).high;
  const isProven = (at: number): boolean => successBounds(countsAt(at)).low >= least;
  const isWorse = (at: number): boolean => countsAt(at).tried >= minTried && successBounds(countsAt(at)).high < least;
  // Weak evidence goes one tier below the default at most, a complex task none.
  const lowest = { complex: standard, weak: Math.max(0, standard - 1), usual: 0 }[band];
  const cheaper = Array.from({ length: standard - lowest }, (_, index) => lowest + index);
  const open = cheaper.filter((at) => !isProven(at) && !isWorse(at));
  const explored = random() < table.exploration ? open[Math.floor(random() * open.length)] : undefined;
  if (explored !== undefined) return toRoute(table, explored, band, "explored");
  return toRoute(table, cheaper.find(isProven) ?? standard, band, "chosen");
}

/** After a failed or stalled attempt: one tier up, the top one again. */
export function escalate(table: RouteTable, previous: Route): Route {
  const before = table.tiers.findIndex(({ name }) => name === previous.tier);
  const top = table.tiers.length - 1;
  const from = before === -1 ? indexOf(table, table.default) : before;
  return toRoute(table, Math.min(from + 1, top), previous.band, from === top ? "retried" : "escalated");
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

function toRoute({ tiers }: RouteTable, at: number, band: Band, reason: Route["reason"]): Route {
  const tier = tiers[at];
  if (!tier) throw new Error(`there is no tier ${at}`);
  return { tier: tier.name, model: tier.model, effort: tier.effort ?? null, band, reason, isCounted: true };
}

type Counts = Pick<TierCounts, "tried" | "succeeded">;

/** Attempts of another model or effort are of another tier. */
function countsOf({ tiers }: RouteTable, at: number, band: Band, counts: readonly TierCounts[]): Counts {
  const { name, model, effort = null } = tiers[at] ?? {};
  const found = counts.find(
    (one) => one.tier === name && one.model === model && one.effort === effort && one.band === band,
  );
  return found ?? { tried: 0, succeeded: 0 };
}

interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** 90 % at each side. */
const z = 1.281_551_565_5;

/** Wilson's bounds of a rate of success. */
export function successBounds({ succeeded, tried }: Counts): Bounds {
  if (tried === 0) return { low: 0, high: 1 };
  const rate = succeeded / tried;
  const shrink = z ** 2 / tried;
  const middle = rate + shrink / 2;
  const margin = z * Math.sqrt((rate * (1 - rate)) / tried + shrink / (4 * tried));
  return { low: Math.max(0, (middle - margin) / (1 + shrink)), high: Math.min(1, (middle + margin) / (1 + shrink)) };
}
