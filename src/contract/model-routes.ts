import * as z from "zod";
import { declare } from "./operation.ts";
import { counter } from "./values.ts";

/** The model of an attempt, and the reason for it. Nothing of the task's text. */

const Name = z.string().regex(/^[\w.-]{1,40}$/, "1 to 40 letters, digits and . _ -");
const Effort = z.enum(["low", "medium", "high", "xhigh", "max"]);

export const Tier = z.strictObject({ name: Name, model: z.string().min(1).max(200), effort: Effort.optional() });
export type Tier = z.infer<typeof Tier>;

/** Bands that say something, so that tiers are compared within them. */
export const comparedBands = ["alike", "usual", "complex"] as const;

/**
 * By the form of a task. unknown: nothing says how hard it is; alike: earlier ones like it were
 * small; complex: many files, steps or kinds of work, or a long text; usual: it states a few files
 * or a kind of work. One of another version is unknown.
 */
export const Band = z.enum(["unknown", ...comparedBands]).catch("unknown");
export type Band = z.infer<typeof Band>;

/**
 * chosen: the cheapest that is proven good enough, else the default; explored: too little is known
 * of it; no_counts: the coordinator did not answer; retried: the top tier again.
 */
const RouteReason = z.enum(["chosen", "explored", "no_evidence", "no_counts", "escalated", "retried"]);

export const Route = z.strictObject({
  tier: Name,
  model: z.string().min(1).max(200),
  effort: Effort.nullable(),
  band: Band,
  reason: RouteReason,
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

const TypeRoutes = z.object({
  tiers: z.array(TierCounts),
  /** Ended tasks whose costs are known, and the cost of all their routed attempts. */
  routed: z.object({ tasks: counter, accepted: counter, costMicros: counter }),
  /** Newest 2,000 attempts whose client has named its model, routed or not: no evidence. */
  models: z.array(ModelAttempts).optional(),
});
export type TypeRoutes = z.infer<typeof TypeRoutes>;

export const routeOperations = {
  "tasks.routes": declare("observe", "GET /tasks/routes", {
    input: z.strictObject({ type: z.string().max(64).optional() }),
    /** `routes` covers the newest 2,000 routed attempts of the type; null without a type. */
    output: z.object({ types: z.array(z.string()), routes: TypeRoutes.nullable() }),
    summary: "Returns which models did the tasks of a type, how well, and at what cost; without a type their names.",
    example: { type: "build" },
  }),
} as const;
