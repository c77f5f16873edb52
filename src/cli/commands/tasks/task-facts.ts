import type { OutputOf } from "../../../contract/operations.ts";
import type { Attempt } from "../../../contract/task-views.ts";
import type { TaskState } from "../../../contract/tasks.ts";
import { ok } from "../../../shared/result.ts";
import type { CliResult } from "../../answer.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import type { Chat } from "../../../contract/chats.ts";
import { allChats } from "../../chat-names.ts";

export type Task = OutputOf<"tasks.get">;

export interface Needed extends Pick<Task, "task"> {
  /** State while it is kept; null: it has ended, and was deleted. */
  readonly known: Pick<Task, "type" | "state" | "reason" | "chat" | "progress"> | null;
}

export interface TaskFacts {
  readonly task: Task;
  /** Newest first. */
  readonly attempts: readonly Attempt[];
  readonly needs: readonly Needed[];
  /** Living chats for a queued task; empty for other states. */
  readonly takers: readonly Claimant[];
}

export async function readFacts(link: Workspace, number: number): Promise<CliResult<TaskFacts>> {
  const found = await link.call("tasks.get", { task: number });
  if (!found.ok) return found;
  const task = found.value;
  const history = await historyOf(link, number);
  if (!history.ok) return history;
  const needs = await readNeeded(link, task.dependsOn);
  if (!needs.ok) return needs;
  const takers = task.state === "queued" ? await listClaimants(link, task) : ok([]);
  if (!takers.ok) return takers;
  return ok({ task, attempts: history.value.attempts, needs: needs.value, takers: takers.value });
}

function historyOf(link: Workspace, task: number): Promise<CliResult<OutputOf<"tasks.history">>> {
  return link.list("tasks.history", { task });
}

async function readNeeded(link: Workspace, tasks: readonly number[]): Promise<CliResult<Needed[]>> {
  const needed: Needed[] = [];
  for (const task of tasks) {
    const found = await link.call("tasks.get", { task });
    if (!found.ok && found.error.code !== "unknown_task") return found;
    needed.push({ task, known: found.ok ? toKnown(found.value) : null });
  }
  return ok(needed);
}

function toKnown({ type, state, reason, chat, progress }: Task): Needed["known"] {
  return { type, state, reason, chat, progress };
}

const endStates: ReadonlySet<TaskState> = new Set(["done", "dead", "cancelled"]);

export function isEnded({ known }: Needed): boolean {
  return known === null || endStates.has(known.state);
}

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

async function listClaimants(link: Workspace, task: TaskNeeds): Promise<CliResult<Claimant[]>> {
  const chats = await allChats(link);
  if (!chats.ok) return chats;
  const load = await link.call("tasks.load", {});
  if (!load.ok) return load;
  const budgets = await link.call("budgets.get", {});
  if (!budgets.ok) return budgets;
  const held = new Map(load.value.chats.map(({ chatId, currentTasks }) => [chatId, currentTasks]));
  const live = chats.value.filter(({ status }) => status !== "offline");
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
