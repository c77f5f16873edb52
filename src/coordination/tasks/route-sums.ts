import type { EpisodeSums, Route, TierCounts, TypeRoutes } from "../../contract/routes.ts";
import type { AttemptEnd } from "../../contract/tasks.ts";
import type { RowOf } from "../../shared/table.ts";
import { routes } from "./task-tables.ts";

/** Pure. Success of the tiers of a type, and sums over its tasks as wholes. */

export const routeRows = routes.without("type", "claim", "settings", "at");

export type RouteRow = RowOf<typeof routeRows>;

/** @param rows in the order of tasks and their claims */
export function summarize(rows: readonly RouteRow[]): TypeRoutes {
  const episodes = toEpisodes(rows).filter(({ isEnded }) => isEnded);
  const comparable = episodes.filter(({ isComparable }) => isComparable);
  const priced = comparable.filter(({ dollars }) => dollars !== null);
  const startedAs = (baseline: "default" | "best"): Episode[] =>
    priced.filter((episode) => episode.baseline === baseline || episode.baseline === "both");
  return {
    tiers: countTiers(rows),
    routed: sumEpisodes(priced.map((episode) => ({ ...episode, propensity: 1 }))),
    default: sumEpisodes(startedAs("default")),
    best: sumEpisodes(startedAs("best")),
    incomparable: episodes.length - comparable.length,
    unpriced: comparable.length - priced.length,
  };
}

/** Ends that say something of the model, besides done. */
const failures: ReadonlySet<AttemptEnd> = new Set(["failed", "timeout", "budget_exceeded"]);

/** [RT12] Only first choices that could have been others: later attempts have the harder tasks. */
function countTiers(rows: readonly RouteRow[]): TierCounts[] {
  const counts = new Map<string, CountedTier>();
  for (const row of rows.filter(isTried)) {
    const { tier, model, effort, band } = row;
    const key = JSON.stringify([tier, model, effort, band]);
    counts.set(key, countRow(counts.get(key) ?? { ...noCounts, tier, model, effort, band }, row));
  }
  return [...counts.values()].map(({ priced, costMicros, ...tier }) =>
    Object.assign(tier, { meanCostMicros: priced === 0 ? null : costMicros / priced }),
  );
}

function isTried({ reason, ended, isCounted }: RouteRow): boolean {
  return reason === "sampled" && (ended === "done" || (failures.has(ended) && isCounted === 1));
}

interface CountedTier extends Omit<TierCounts, "meanCostMicros"> {
  /** Attempts whose cost is known, and its sum. */
  readonly priced: number;
  readonly costMicros: number;
}

const noCounts = { tried: 0, succeeded: 0, priced: 0, costMicros: 0 };

function countRow(before: CountedTier, { ended, costMicros: cost }: RouteRow): CountedTier {
  return {
    ...before,
    tried: before.tried + 1,
    succeeded: before.succeeded + (ended === "done" ? 1 : 0),
    priced: before.priced + (cost > 0 ? 1 : 0),
    costMicros: before.costMicros + cost,
  };
}

/** A task with all its routed attempts. */
interface Episode {
  /** Probability of the first attempt's tier. */
  readonly propensity: number;
  readonly baseline: Route["baseline"];
  readonly isComparable: boolean;
  readonly isEnded: boolean;
  readonly isAccepted: boolean;
  /** The cost is null where that of an attempt is unknown. */
  readonly dollars: number | null;
}

function toEpisodes(rows: readonly RouteRow[]): Episode[] {
  const byTask = new Map<number, RouteRow[]>();
  for (const row of rows) {
    const attempts = byTask.get(row.task);
    if (attempts) attempts.push(row);
    else byTask.set(row.task, [row]);
  }
  return [...byTask.values()].flatMap((attempts) => toEpisode(attempts) ?? []);
}

/** [RT30] Accepted: its last routed attempt made the task done, and no later one has begun. */
function toEpisode(attempts: readonly RouteRow[]): Episode | null {
  const [first, last] = [attempts[0], attempts.at(-1)];
  if (!first || !last) return null;
  const isPriced = attempts.every(({ tokens, costMicros: cost }) => cost > 0 || tokens === 0);
  return {
    propensity: first.propensity,
    baseline: first.baseline,
    isComparable: first.reason === "sampled" && first.isComparable === 1,
    isEnded: last.became === "done" || last.became === "dead",
    isAccepted: last.became === "done",
    dollars: isPriced ? attempts.reduce((sum, { costMicros: cost }) => sum + cost, 0) / 1e6 : null,
  };
}

const zeroSums: EpisodeSums = { n: 0, accepted: 0, w: 0, ww: 0, wc: 0, wa: 0, wwcc: 0, wwca: 0, wwaa: 0 };

/** [RT31] Each task weighs the inverse of the probability of its first tier. */
function sumEpisodes(episodes: readonly Episode[]): EpisodeSums {
  return episodes.reduce((sums, { propensity, dollars, isAccepted }) => {
    const [w, c, a] = [1 / propensity, dollars ?? 0, isAccepted ? 1 : 0];
    return {
      n: sums.n + 1,
      accepted: sums.accepted + a,
      w: sums.w + w,
      ww: sums.ww + w * w,
      wc: sums.wc + w * c,
      wa: sums.wa + w * a,
      wwcc: sums.wwcc + w * w * c * c,
      wwca: sums.wwca + w * w * c * a,
      wwaa: sums.wwaa + w * w * a,
    };
  }, zeroSums);
}
