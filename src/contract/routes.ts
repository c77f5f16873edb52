import * as z from "zod";
import { operation } from "./operation.ts";
import { counter } from "./values.ts";

/** The model of an attempt, and the reason for it. Nothing of the task's text. */

const Name = z.string().regex(/^[\w.-]{1,40}$/, "1 to 40 letters, digits and . _ -");
const Effort = z.enum(["low", "medium", "high", "xhigh", "max"]);

export const Tier = z.strictObject({ name: Name, model: z.string().min(1).max(200), effort: Effort.optional() });
export type Tier = z.infer<typeof Tier>;

/**
 * unknown: nothing in the task says how hard it is; weak: one sign of it; complex: many files,
 * steps or kinds of work; usual: the rest. Tiers are compared within one band.
 */
export const Band = z.enum(["unknown", "weak", "usual", "complex"]);
export type Band = z.infer<typeof Band>;

/** no_counts: the coordinator did not answer; retried: the top tier again. */
const RouteReason = z.enum(["sampled", "no_evidence", "no_counts", "escalated", "retried"]);

export const Route = z.strictObject({
  tier: Name,
  model: z.string().min(1).max(200),
  effort: Effort.nullable(),
  band: Band,
  reason: RouteReason,
  /** Probability with which this tier was chosen. */
  propensity: z.number().gt(0).max(1),
  /** Whether the tier is the default one, the best (last) one, or both. */
  baseline: z.enum(["default", "best", "both"]).nullable(),
  /** Both the default and the best tier could have been chosen. */
  isComparable: z.boolean(),
  /** Hash of the settings in force. */
  settings: z.string().max(100).nullable(),
  /** False: the end says nothing of the model, as after trouble of the account. */
  isCounted: z.boolean(),
});
export type Route = z.infer<typeof Route>;

/** Model of an attempt as its client has named it. default: no route has chosen it. */
export const Ran = z.strictObject({
  model: z.string().min(1).max(200),
  /** The client's default is null. */
  effort: Effort.nullable(),
  source: z.enum(["router", "default"]),
});
export type Ran = z.infer<typeof Ran>;

const ModelAttempts = z.object({
  ...Ran.shape,
  attempts: counter,
  done: counter,
  /** Mean of the attempts whose cost is known, millionths of a dollar; null: of none. */
  meanCostMicros: z.number().nullable(),
});
export type ModelAttempts = z.infer<typeof ModelAttempts>;

const TierCounts = z.object({
  tier: z.string(),
  model: z.string(),
  effort: z.string().nullable(),
  band: Band,
  /** First attempts that were done or failed. */
  tried: counter,
  succeeded: counter,
  /** Mean cost of those whose cost is known, millionths of a dollar. */
  meanCostMicros: z.number().nullable(),
});
export type TierCounts = z.infer<typeof TierCounts>;

/**
 * Weighted sums over ended tasks: `w` weight, `c` cost in dollars of all attempts, `a` 1 for an
 * accepted task and else 0.
 */
const EpisodeSums = z.object({
  n: counter,
  accepted: counter,
  w: z.number(),
  ww: z.number(),
  wc: z.number(),
  wa: z.number(),
  wwcc: z.number(),
  wwca: z.number(),
  wwaa: z.number(),
});
export type EpisodeSums = z.infer<typeof EpisodeSums>;

const TypeRoutes = z.object({
  tiers: z.array(TierCounts),
  /** Comparable tasks as they were routed, and weighted to what one first tier would have given. */
  routed: EpisodeSums,
  default: EpisodeSums,
  best: EpisodeSums,
  /** Ended tasks that are in no sum: no other first choice was possible, or a cost is unknown. */
  incomparable: counter,
  unpriced: counter,
  /** Newest 2,000 attempts whose client has named its model, routed or not: no evidence. */
  models: z.array(ModelAttempts).optional(),
});
export type TypeRoutes = z.infer<typeof TypeRoutes>;

export const routeOperations = {
  "tasks.routes": operation("GET /tasks/routes", "observe", {
    input: z.strictObject({ type: z.string().max(64).optional() }),
    /** `routes` covers the newest 2,000 routed attempts of the type; null without a type. */
    output: z.object({ types: z.array(z.string()), routes: TypeRoutes.nullable() }),
    summary: "Returns which models did the tasks of a type, how well, and at what cost; without a type their names.",
    effect: "read",
    example: { type: "build" },
  }),
} as const;
