import type { TaskState } from "../../contract/tasks.ts";
import * as rows from "./task-rows.ts";
import type { TaskRow } from "./task-rows.ts";
import type { Tx } from "../kernel/tx.ts";
import { taskPrunes } from "./task-tables.ts";

/**
 * Deletes ended tasks when their time has come. Only the hours are stored at which any is due, not
 * an index entry for each task: at such an hour all tasks are read, page by page.
 */

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** [TA18] Rounded up to the full hour, for housekeeping. */
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

export function sweep(tx: Tx, limit: number): void {
  const [walk] = tx.sql.all<{ at: number; afterTask: number }>(
    "SELECT at, afterTask FROM task_prunes WHERE at <= ? ORDER BY at DESC LIMIT 1",
    tx.now,
  );
  if (!walk) return;
  tx.sql.run("DELETE FROM task_prunes WHERE at < ?", walk.at);
  const pageLength = limit * readPerDeleted;
  const page = tx.sql.all<Pick<TaskRow, "task" | "state" | "dueAt">>(
    "SELECT task, state, dueAt FROM tasks WHERE task > ? ORDER BY task LIMIT ?",
    walk.afterTask,
    pageLength,
  );
  const dueRows = page.filter((row) => rows.isEnded(row) && row.dueAt !== null && row.dueAt <= tx.now);
  for (const row of dueRows.slice(0, limit)) prune(tx, row);
  const last = dueRows[limit - 1] ?? page.at(-1);
  const isMore = page.length === pageLength || dueRows.length > limit;
  if (last && isMore) tx.sql.run("UPDATE task_prunes SET afterTask = ? WHERE at = ?", last.task, walk.at);
  else tx.sql.run("DELETE FROM task_prunes WHERE at = ?", walk.at);
}

/** [TA18] Postponed while a dependent or child has not ended. */
function prune(tx: Tx, { task }: Pick<TaskRow, "task">): void {
  const isNeeded = tx.sql.all(`SELECT 1 FROM tasks WHERE task = ? AND ${rows.isNeededSql}`, task).length > 0;
  if (!isNeeded) return rows.remove(tx, { task });
  const at = ceilToHour(tx.now + dayMs);
  tx.sql.run("UPDATE tasks SET dueAt = ? WHERE task = ?", at, task);
  schedule(tx, at);
}
