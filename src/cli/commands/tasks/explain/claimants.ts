import { fetchPages } from "../../../../coordinator-client/fetch-pages.ts";
import type { Chat } from "../../../../contract/chats.ts";
import type { OutputOf } from "../../../../contract/operations.ts";
import { ok, type Result } from "../../../../shared/result.ts";
import type { FailedResult } from "../../../answer.ts";
import type { CoordinatorLink } from "../../../coordinator-link.ts";
import type { Task } from "./task-facts.ts";

type Obstacle =
  | "draining"
  | "takes_none"
  | "lacks_capability"
  | "other_types"
  | "full"
  /** Reported by the chat itself, which may still ask for tasks. */
  | "stuck"
  | "budget_spent"
  /** The budget of the whole workspace. */
  | "day_spent";

export interface Claimant {
  readonly chat: string;
  readonly obstacle: Obstacle | null;
  readonly lacks: readonly string[];
  readonly capacity: number;
  readonly held: number;
  /** Types that are assigned to it; null: it asks for tasks itself. */
  readonly taskTypes: readonly string[] | null;
  readonly isConnected: boolean;
}

type TaskNeeds = Pick<Task, "type" | "capabilities">;
type Budgets = Pick<OutputOf<"budgets.get">, "isDaySpent" | "chats">;

export async function listClaimants(
  link: CoordinatorLink,
  task: TaskNeeds,
): Promise<Result<Claimant[], FailedResult["error"]>> {
  const listed = await fetchPages({ maxPerPage: 200 }, "chats", (page) => link.call("chats.list", page));
  if (!listed.ok) return listed;
  const load = await link.call("tasks.load", {});
  if (!load.ok) return load;
  const budgets = await link.call("budgets.get", {});
  if (!budgets.ok) return budgets;
  const held = new Map(load.value.chats.map(({ chatId, currentTasks }) => [chatId, currentTasks]));
  const live = listed.value.chats.filter(({ status }) => status !== "offline");
  return ok(live.map((chat) => toClaimant(chat, task, held.get(chat.chat) ?? 0, budgets.value)));
}

function toClaimant(chat: Chat, task: TaskNeeds, held: number, budgets: Budgets): Claimant {
  const { capacity, taskTypes, isConnected } = chat;
  const lacks = task.capabilities.filter((needed) => !chat.capabilities.includes(needed));
  const obstacle = permanentObstacle(chat, task, lacks) ?? currentObstacle(chat, held, budgets);
  return { chat: chat.chat, obstacle, lacks, capacity, held, taskTypes, isConnected };
}

/** Obstacle that waiting does not remove. */
function permanentObstacle(
  { status, capacity, taskTypes }: Chat,
  { type }: TaskNeeds,
  lacks: readonly string[],
): Obstacle | null {
  if (status === "draining") return "draining";
  if (capacity === 0) return "takes_none";
  if (lacks.length > 0) return "lacks_capability";
  return taskTypes === null || taskTypes.includes("*") || taskTypes.includes(type) ? null : "other_types";
}

function currentObstacle(
  { chat, capacity, status }: Chat,
  held: number,
  { isDaySpent, chats }: Budgets,
): Obstacle | null {
  if (held >= capacity) return "full";
  if (status === "stuck") return "stuck";
  if (chats.some((one) => one.chat === chat && one.isSpent)) return "budget_spent";
  return isDaySpent ? "day_spent" : null;
}
