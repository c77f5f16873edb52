import type { Failure } from "../../contract/errors.ts";
import type { MetricName } from "../../contract/metrics.ts";
import type { TaskState } from "../../contract/tasks.ts";
import * as meta from "../kernel/meta.ts";
import type { Tx } from "../kernel/tx.ts";
import * as rows from "./task-rows.ts";
import { attempts, taskDependents, taskPrunes, tasks, taskTexts, taskUsage } from "./task-tables.ts";

/**
 * Deletes ended tasks when their time has come. Only the hours are stored at which any is due, not
 * an index entry for each task: at such an hour all tasks are read, page by page.
 */

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

const floorKey = "task_floor";
const removedKey = "tasks_removed";
const submittedName: MetricName = "shim_tasks_submitted_total";

const numbersSql = `SELECT coalesce(max(task), 0) AS newest,
  (SELECT value FROM meta WHERE key = '${floorKey}') AS floor,
  (SELECT value FROM meta WHERE key = '${removedKey}') AS removed,
  (SELECT value FROM metric_totals WHERE name = '${submittedName}') AS earlier FROM tasks`;

export interface TaskNumbers {
  /** No lower than any earlier number, also a pruned one and one undone by a restore. */
  readonly newest: number;
  readonly submitted: number;
  readonly removed: number;
}

/** Numbers are consecutive and removals are counted, so no task is read to count them. */
export function readNumbers(tx: Tx): TaskNumbers {
  const [row] = tx.sql.all<Record<"newest" | "floor" | "removed" | "earlier", number | string | null>>(numbersSql);
  const start = meta.numberFloor(tx);
  const newest = Math.max(Number(row?.newest), Number(row?.floor), start);
  return { newest, submitted: Number(row?.earlier) + newest - start, removed: Number(row?.removed) };
}

function remove(tx: Tx, task: number): void {
  // The newest may be deleted first; lower ones then become the newest.
  if (readNumbers(tx).newest === task) meta.write(tx.sql, floorKey, String(task));
  for (const table of [tasks, taskTexts, attempts, taskUsage]) table.delete(tx.sql, { task });
  taskDependents.delete(tx.sql, { needs: task });
}

export function checkLimit(tx: Tx, { submitted, removed }: TaskNumbers, more: number): Failure | null {
  const { maxTasks } = tx.settings;
  const count = submitted - removed + more;
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

type PrunedTask = Pick<rows.TaskRow, "task" | "state" | "dueAt">;

/** @returns the last task that was examined */
function prunePage(tx: Tx, page: readonly PrunedTask[], limit: number): PrunedTask | undefined {
  const before = readNumbers(tx);
  const excess = before.submitted - before.removed - tx.settings.maxTasks;
  let [handled, removed] = [0, 0];
  let last: PrunedTask | undefined;
  for (const row of page) {
    if (handled === limit) break;
    last = row;
    const isDue = row.dueAt !== null && row.dueAt <= tx.now;
    if (!rows.isEnded(row) || (!isDue && removed >= excess)) continue;
    handled += 1;
    if (!rows.isNeeded(tx, row.task)) {
      remove(tx, row.task);
      removed += 1;
    } else if (isDue) {
      // A dependent or child has not ended.
      const at = ceilToHour(tx.now + dayMs);
      tasks.update(tx.sql, { task: row.task }, { dueAt: at });
      schedule(tx, at);
    }
  }
  if (removed > 0) meta.write(tx.sql, removedKey, String(before.removed + removed));
  return last;
}
