import * as z from "zod";
import type { Json } from "../../contract/json.ts";
import { Route } from "../../contract/routes.ts";
import type { ClaimedTask } from "../../contract/tasks.ts";
import { bandOf, chooseRoute, escalate, hasHigherTier } from "../../routing/model-router.ts";
import { analyzeTask } from "../../routing/prompt-analyzer.ts";
import type { TaskRun } from "../executor.ts";
import type { ClaudeSettings } from "./claude-settings.ts";

/** In the checkpoint, for the next attempt. Untrusted: it only selects a configured tier. */
const StoredRoute = z.object({ route: z.object({ attempt: z.int(), chosen: Route }) });

interface PreviousRoute {
  /** Number of the attempt; a later one follows a failure. */
  readonly attempt: number;
  readonly chosen: Route;
}

function readPrevious({ checkpoint }: Pick<ClaimedTask, "checkpoint">): PreviousRoute | null {
  return StoredRoute.safeParse(checkpoint).data?.route ?? null;
}

export function toRouteCheckpoint({ attempt }: ClaimedTask, chosen: Route): Readonly<Record<string, Json>> {
  return { route: { attempt, chosen } };
}

/** Returns null for a type without a route. @param random uniform from 0 to 1 */
export async function findRoute(
  { route: table }: Pick<ClaudeSettings, "route">,
  { task, findRouteCounts }: Pick<TaskRun, "task" | "findRouteCounts">,
  random: () => number,
): Promise<Route | null> {
  if (!table) return null;
  const previous = readPrevious(task);
  if (!previous) return chooseRoute(table, bandOf(analyzeTask(task.payload)), await findRouteCounts(), random);
  const isSame = previous.attempt === task.attempt || !previous.chosen.isCounted;
  const tier = table.tiers.find(({ name }) => name === previous.chosen.tier);
  if (!isSame || !tier) return escalate(table, previous.chosen);
  return { ...previous.chosen, model: tier.model, effort: tier.effort ?? null, isCounted: true };
}

/** [RT16] A session is resumed only by the model that has begun it. */
export function isSameModel(task: ClaimedTask, { model }: Pick<ClaudeSettings, "model">, route: Route | null): boolean {
  const begun = readPrevious(task)?.chosen ?? null;
  if (!route) return begun === null || (begun.model === model && begun.effort === null);
  return begun !== null && begun.model === route.model && begun.effort === route.effort;
}

/** [RT15] Whether stopping a stalled run brings a better attempt. */
export function canEscalate({ route: table }: ClaudeSettings, task: ClaimedTask, route: Route | null): boolean {
  return table !== undefined && route !== null && hasHigherTier(table, route) && task.attempt < task.maxAttempts;
}
