import { fetchPages } from "../../../../coordinator-client/fetch-pages.ts";
import type { OutputOf } from "../../../../contract/operations.ts";
import type { Attempt } from "../../../../contract/task-views.ts";
import type { TaskState } from "../../../../contract/tasks.ts";
import { ok, type Result } from "../../../../shared/result.ts";
import type { FailedResult } from "../../../answer.ts";
import type { CoordinatorLink } from "../../../coordinator-link.ts";
import { listClaimants, type Claimant } from "./claimants.ts";

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

type CoordinatorAnswer<T> = Promise<Result<T, FailedResult["error"]>>;

export async function readFacts(link: CoordinatorLink, number: number): CoordinatorAnswer<TaskFacts> {
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

export function historyOf(link: CoordinatorLink, task: number): CoordinatorAnswer<OutputOf<"tasks.history">> {
  return fetchPages({ maxPerPage: 100 }, "attempts", (page) => link.call("tasks.history", { task, ...page }));
}

async function readNeeded(link: CoordinatorLink, tasks: readonly number[]): CoordinatorAnswer<Needed[]> {
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
