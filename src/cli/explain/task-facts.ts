import type { OutputOf } from "../../contract/operations.ts";
import type { Attempt } from "../../contract/task-views.ts";
import type { TaskState } from "../../contract/tasks.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Refused } from "../answer.ts";
import type { Coordination } from "../coordination.ts";
import { pages } from "../pages.ts";
import { takersOf, type Taker } from "./takers.ts";

export type Task = OutputOf<"tasks.get">;

/** A task that another one depends on. */
export interface Needed extends Pick<Task, "task"> {
  /** Null: it has ended, and is no longer kept. */
  readonly known: Pick<Task, "type" | "state" | "reason" | "chat" | "progress"> | null;
}

/** What is known of one task, and of what decides how it goes on. */
export interface TaskFacts {
  readonly task: Task;
  /** The newest first. */
  readonly attempts: readonly Attempt[];
  readonly needs: readonly Needed[];
  /** Of a queued one the chats that live; of another one none. */
  readonly takers: readonly Taker[];
}

type Asked<T> = Promise<Result<T, Refused["error"]>>;

export async function factsOf(link: Coordination, number: number): Asked<TaskFacts> {
  const found = await link.call("tasks.get", { task: number });
  if (!found.ok) return found;
  const task = found.value;
  const history = await historyOf(link, number);
  if (!history.ok) return history;
  const needs = await neededBy(link, task.dependsOn);
  if (!needs.ok) return needs;
  const takers = task.state === "queued" ? await takersOf(link, task) : ok([]);
  if (!takers.ok) return takers;
  return ok({ task, attempts: history.value.attempts, needs: needs.value, takers: takers.value });
}

/** All that are kept, page by page. */
export function historyOf(link: Coordination, task: number): Asked<OutputOf<"tasks.history">> {
  return pages({ most: 100 }, "attempts", (page) => link.call("tasks.history", { task, ...page }));
}

async function neededBy(link: Coordination, tasks: readonly number[]): Asked<Needed[]> {
  const needed: Needed[] = [];
  for (const task of tasks) {
    const found = await link.call("tasks.get", { task });
    if (!found.ok && found.error.code !== "unknown_task") return found;
    needed.push({ task, known: found.ok ? briefOf(found.value) : null });
  }
  return ok(needed);
}

function briefOf({ type, state, reason, chat, progress }: Task): Needed["known"] {
  return { type, state, reason, chat, progress };
}

const ends: ReadonlySet<TaskState> = new Set(["done", "dead", "cancelled"]);

export function isEnded({ known }: Needed): boolean {
  return known === null || ends.has(known.state);
}
