import type { TaskLine } from "../contract/task-views.ts";
import type { Answer, CallInput } from "./backend.ts";
import { call } from "./page-state.ts";

export type TaskFilter = Pick<CallInput<"tasks.list">, "state" | "type" | "tag" | "chat">;

export interface FoundTasks {
  readonly tasks: readonly TaskLine[];
  readonly cursor: string | null;
}

/** A page of `tasks.list` covers 2,000 tasks, so one that matches nothing is not the last. */
const maxPages = 60;

/** Lists at least `least` tasks that fit, where there are so many. */
export async function findTasks(
  filter: TaskFilter,
  least: number,
  fits: (task: TaskLine) => boolean = () => true,
): Promise<Answer<FoundTasks>> {
  const tasks: TaskLine[] = [];
  let cursor: string | null = null;
  for (let pages = 0; pages < maxPages; pages++) {
    const from: { cursor?: string } = cursor === null ? {} : { cursor };
    const page: Answer<FoundTasks> = await call("tasks.list", { ...filter, limit: 200, ...from });
    if (!page.ok) return page;
    tasks.push(...page.value.tasks.filter(fits));
    cursor = page.value.cursor;
    if (cursor === null || tasks.length >= least) break;
  }
  return { ok: true, value: { tasks, cursor } };
}

export interface ReplayRun {
  readonly done: number;
  readonly isOver: boolean;
  readonly trouble: string | null;
}

const batchSize = 25;

/**
 * Replays dead tasks that match, in batches, at most `most` in all: one that dies again at once
 * must not be replayed without end.
 */
export async function replayAll(
  filter: { readonly type?: string; readonly reason?: ReplayReason; readonly tag?: string },
  most: number,
  report: (run: ReplayRun) => void,
  stop: AbortSignal,
): Promise<void> {
  let done = 0;
  while (done < most && !stop.aborted) {
    const limit = Math.min(batchSize, most - done);
    const answer = await call("tasks.replay", { filter: { ...filter, limit } }, crypto.randomUUID());
    if (!answer.ok) return report({ done, isOver: true, trouble: answer.error.message });
    const { length } = answer.value.tasks;
    done += length;
    report({ done, isOver: false, trouble: null });
    if (length === 0) break;
  }
  report({ done, isOver: true, trouble: null });
}

export const replayReasons = ["failed", "poison", "expired", "dependency", "budget_exceeded"] as const;
export type ReplayReason = (typeof replayReasons)[number];
