import type { EpisodeSums, TypeRoutes } from "../contract/routes.ts";

/** Pure. The cost of an accepted task, with 95 % intervals (normal approximation of a ratio). */

export interface CostPerAccepted {
  readonly n: number;
  readonly accepted: number;
  /** How many equally weighted tasks would say as much. */
  readonly effectiveN: number;
  readonly isEnough: boolean;
  /** Dollars; null without an accepted task. */
  readonly dollars: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

export interface Saving {
  /** Dollars for an accepted task; below 0: routing costs more. */
  readonly dollars: number;
  readonly low: number;
  readonly high: number;
  readonly verdict: "cheaper" | "dearer" | "no difference shown";
}

export interface RoutingReport {
  readonly routed: CostPerAccepted;
  readonly alwaysDefault: CostPerAccepted;
  readonly alwaysBest: CostPerAccepted;
  /** The savings are null where there is not enough evidence. */
  readonly savedAgainstDefault: Saving | null;
  readonly savedAgainstBest: Saving | null;
}

/** [RT32] Fewer tasks than this, by effective number or accepted, support no statement. */
export const minEffectiveN = 30;
export const minAccepted = 20;

const z = 1.96;

export function toReport({ routed, default: asDefault, best }: TypeRoutes): RoutingReport {
  return {
    routed: toCost(routed),
    alwaysDefault: toCost(asDefault),
    alwaysBest: toCost(best),
    savedAgainstDefault: toSaving(routed, asDefault),
    savedAgainstBest: toSaving(routed, best),
  };
}

function toCost(sums: EpisodeSums): CostPerAccepted {
  const { n, accepted, wa } = sums;
  const facts = { n, accepted, effectiveN: effectiveN(sums), isEnough: isEnough(sums) };
  if (wa === 0) return { ...facts, dollars: null, low: null, high: null };
  const dollars = ratio(sums);
  const margin = z * standardError(sums);
  return { ...facts, dollars, low: Math.max(0, dollars - margin), high: dollars + margin };
}

/** [RT33] Adds both standard errors, which is never too narrow: the two are not independent. */
function toSaving(routed: EpisodeSums, baseline: EpisodeSums): Saving | null {
  if (!isEnough(routed) || !isEnough(baseline)) return null;
  const dollars = ratio(baseline) - ratio(routed);
  const margin = z * (standardError(routed) + standardError(baseline));
  const [low, high] = [dollars - margin, dollars + margin];
  return { dollars, low, high, verdict: low > 0 ? "cheaper" : high < 0 ? "dearer" : "no difference shown" };
}

function isEnough(sums: EpisodeSums): boolean {
  return effectiveN(sums) >= minEffectiveN && sums.accepted >= minAccepted;
}

function effectiveN({ w, ww }: EpisodeSums): number {
  return ww === 0 ? 0 : w ** 2 / ww;
}

function ratio({ wc, wa }: EpisodeSums): number {
  return wc / wa;
}

/** Delta method: the residual of a task is `w (c - ratio a)`. */
function standardError(sums: EpisodeSums): number {
  const rate = ratio(sums);
  const squares = sums.wwcc - 2 * rate * sums.wwca + rate ** 2 * sums.wwaa;
  return Math.sqrt(Math.max(0, squares)) / sums.wa;
}
