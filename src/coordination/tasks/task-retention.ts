import type { Failure } from "../../contract/errors.ts";
import type { TaskState } from "../../contract/tasks.ts";
import * as meta from "../kernel/meta.ts";
import * as totals from "../kernel/metric-totals.ts";
import type { Tx } from "../kernel/tx.ts";
import * as rows from "./task-rows.ts";
import type { TaskRow } from "./task-rows.ts";
import { taskPrunes } from "./task-tables.ts";

/**
 * Deletes ended tasks when their time has come. Only the hours are stored at which any is due, not
 * an index entry for each task: at such an hour all tasks are read, page by page.
 */

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

const removedKey = "tasks_removed";

/** Tasks with a number of the present epoch; those of earlier ones are in the totals. */
export function countOfEpoch(tx: Tx): number {
  return rows.nextNumber(tx) - 1 - meta.numberFloor(tx);
}

export function countSubmitted(tx: Tx): number {
  return totals.get(tx.sql, "shim_tasks_submitted_total") + countOfEpoch(tx);
}

function countRemoved({ sql }: Tx): number {
  return Number(meta.read(sql, removedKey) ?? 0);
}

/** Numbers are consecutive and removals are counted, so no task is read to count them. */
export function checkLimit(tx: Tx, more: number): Failure | null {
  const { maxTasks } = tx.settings;
  const count = countSubmitted(tx) - countRemoved(tx) + more;
  if (count > maxTasks) schedule(tx, ceilToHour(tx.now + 1));
  if (count <= 2 * maxTasks) return null;
  return {
    code: "quota_exceeded",
    message: `there are more than ${2 * maxTasks} tasks, twice what the workspace keeps (maxTasks); let some end first`,
  };
}

/** Rounded up to the full hour, for housekeeping. */
export function pruneTimeOf({ now, settings }: Tx, state: TaskState): number {
  return ceilToHour(now + (state === "dead" ? settings.keepDeadTasksMs : settings.keepTasksMs));
}

function ceilToHour(at: number): number {
  return Math.ceil(at / hourMs) * hourMs;
}

/** A walk that has begun may have passed the task, so the walk of its hour begins again. */
export function schedule({ sql }: Pick<Tx, "sql">, at: number): void {
  taskPrunes.insert(sql, { at }, "ON CONFLICT (at) DO UPDATE SET afterTask = 0 WHERE afterTask > 0");
}

export const dueAt = "SELECT min(at) FROM task_prunes";

/** Tasks that a sweep reads for each that it may delete. */
const readPerDeleted = 10;

/** Tasks whose time has come, and the oldest ended ones beyond `maxTasks`. */
export function sweep(tx: Tx, limit: number): void {
  const [walk] = taskPrunes.select(tx.sql, "WHERE at <= ? ORDER BY at DESC LIMIT 1", tx.now);
  if (!walk) return;
  tx.sql.run("DELETE FROM task_prunes WHERE at < ?", walk.at);
  const pageLength = limit * readPerDeleted;
  const page = tx.sql.all<PrunedTask>(
    "SELECT task, state, dueAt FROM tasks WHERE task > ? ORDER BY task LIMIT ?",
    walk.afterTask,
    pageLength,
  );
  const last = prunePage(tx, page, limit);
  const isMore = page.length === pageLength || last !== page.at(-1);
  if (last && isMore) taskPrunes.update(tx.sql, { at: walk.at }, { afterTask: last.task });
  else taskPrunes.delete(tx.sql, { at: walk.at });
}

type PrunedTask = Pick<TaskRow, "task" | "state" | "dueAt">;

/** @returns the last task that was examined */
function prunePage(tx: Tx, page: readonly PrunedTask[], limit: number): PrunedTask | undefined {
  const alreadyRemoved = countRemoved(tx);
  const excess = countSubmitted(tx) - alreadyRemoved - tx.settings.maxTasks;
  let [handled, removed] = [0, 0];
  let last: PrunedTask | undefined;
  for (const row of page) {
    if (handled === limit) break;
    last = row;
    const isDue = row.dueAt !== null && row.dueAt <= tx.now;
    if (!rows.isEnded(row) || (!isDue && removed >= excess)) continue;
    handled += 1;
    if (!rows.isNeeded(tx, row.task)) {
      rows.remove(tx, row);
      removed += 1;
    } else if (isDue) postpone(tx, row);
  }
  if (removed > 0) meta.write(tx.sql, removedKey, String(alreadyRemoved + removed));
  return last;
}

/** While a dependent or child has not ended. */
function postpone(tx: Tx, { task }: PrunedTask): void {
  const at = ceilToHour(tx.now + dayMs);
  tx.sql.run("UPDATE tasks SET dueAt = ? WHERE task = ?", at, task);
  schedule(tx, at);
}
