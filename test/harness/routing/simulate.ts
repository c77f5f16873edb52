import type { Band, Route, TierCounts } from "#src/contract/routes.ts";
import { summarize, type RouteRow } from "#src/coordination/tasks/routes.ts";
import { chooseRoute, escalate, type RouteTable } from "#src/routing/model-router.ts";
import { toReport, type RoutingReport } from "#src/routing/routing-report.ts";

/** Mechanics only: the rates and costs of the tiers are planted, so it says nothing of real models. */

export interface PlantedTier {
  readonly name: string;
  /** Probability that an attempt is done. */
  readonly success: number;
  /** Mean dollars of an attempt. */
  readonly dollars: number;
}

export interface Scenario {
  readonly about: string;
  /** Cheapest first; the second is the default. */
  readonly tiers: readonly PlantedTier[];
}

const maxAttempts = 3;
const band: Band = "usual";

function tableOf({ tiers }: Scenario): RouteTable {
  return {
    tiers: tiers.map(({ name }) => ({ name, model: name })),
    default: tiers[1]?.name ?? "",
    exploration: 0.1,
    acceptable: 0.9,
    minTried: 10,
    strongAfter: 100,
  };
}

export interface Run {
  /** Names of the first tiers, in the order of the tasks. */
  readonly firstTiers: readonly string[];
  /** Expected first attempts that fail above those of the default tier. */
  readonly extraFailures: number;
  readonly dollarsPerAccepted: number;
  readonly report: RoutingReport;
  /** The cheapest tier was as good as the bound asks, and is not chosen any more; or the reverse. */
  readonly isCheapestExcluded: boolean;
}

export function simulate(scenario: Scenario, tasks: number, random: () => number): Run {
  const table = tableOf(scenario);
  const counts = new Map<string, TierCounts>();
  const rows: RouteRow[] = [];
  const firstTiers: string[] = [];
  let last: readonly TierCounts[] = [];
  for (let task = 1; task <= tasks; task++) {
    last = [...counts.values()];
    const first = chooseRoute(table, band, last, random);
    firstTiers.push(first.tier);
    const attempts = playTask(scenario, table, first, random);
    attempts.forEach((one, at) => rows.push(toRow(task, one, at === attempts.length - 1)));
    const [begun] = attempts;
    if (begun) count(counts, begun);
  }
  const [cheapest] = scenario.tiers;
  const choices = Array.from({ length: 40 }, () => chooseRoute(table, band, [...counts.values()], random).tier);
  const { routed } = summarize(rows);
  return {
    firstTiers,
    extraFailures: firstTiers.reduce(
      (sum, tier) => sum + successOf(scenario, table.default) - successOf(scenario, tier),
      0,
    ),
    dollarsPerAccepted: routed.n === 0 ? totalOf(rows) : routed.wc / routed.wa,
    report: toReport(summarize(rows)),
    isCheapestExcluded: !choices.includes(cheapest?.name ?? ""),
  };
}

function totalOf(rows: readonly RouteRow[]): number {
  const accepted = rows.filter(({ became }) => became === "done").length;
  return rows.reduce((sum, { costMicros: cost }) => sum + cost, 0) / 1e6 / accepted;
}

interface Played {
  readonly route: Route;
  readonly isDone: boolean;
  readonly dollars: number;
}

function playTask(scenario: Scenario, table: RouteTable, first: Route, random: () => number): Played[] {
  const attempts: Played[] = [];
  for (let route = first; attempts.length < maxAttempts; route = escalate(table, route)) {
    const tier = scenario.tiers.find(({ name }) => name === route.tier);
    const isDone = random() < (tier?.success ?? 0);
    // Exponential: the costs of attempts differ as much as their mean.
    attempts.push({ route, isDone, dollars: -(tier?.dollars ?? 0) * Math.log(1 - random()) });
    if (isDone) break;
  }
  return attempts;
}

function toRow(task: number, { route, isDone, dollars }: Played, isLast: boolean): RouteRow {
  const { tier, model, effort, reason, propensity, baseline, isComparable } = route;
  return {
    task,
    tier,
    model,
    effort,
    band,
    reason,
    propensity,
    baseline,
    isComparable: isComparable ? 1 : 0,
    isCounted: 1,
    ended: isDone ? "done" : "failed",
    became: isDone ? "done" : isLast ? "dead" : "queued",
    tokens: 1,
    costMicros: Math.max(1, Math.round(dollars * 1e6)),
  };
}

function count(counts: Map<string, TierCounts>, { route, isDone, dollars }: Played): void {
  const { tier, model, effort } = route;
  const before = counts.get(tier) ?? { tier, model, effort, band, tried: 0, succeeded: 0, meanCostMicros: 0 };
  const tried = before.tried + 1;
  const sum = (before.meanCostMicros ?? 0) * before.tried + dollars * 1e6;
  counts.set(tier, { ...before, tried, succeeded: before.succeeded + (isDone ? 1 : 0), meanCostMicros: sum / tried });
}

function successOf({ tiers }: Scenario, name: string): number {
  return tiers.find((tier) => tier.name === name)?.success ?? 0;
}

/** Exact: an accepted task when each begins at this tier, and goes one tier up after a failure. */
export function expectedDollars(scenario: Scenario, firstTier: number): number {
  let [cost, open] = [0, 1];
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const tier = scenario.tiers[Math.min(firstTier + attempt, scenario.tiers.length - 1)];
    cost += open * (tier?.dollars ?? 0);
    open *= 1 - (tier?.success ?? 0);
  }
  return cost / (1 - open);
}
