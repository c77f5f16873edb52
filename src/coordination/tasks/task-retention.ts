import type { Refusal } from "../../contract/errors.ts";
import * as meta from "../kernel/meta.ts";
import * as rows from "./task-rows.ts";
import type { TaskRow } from "./task-rows.ts";
import type { Tx } from "../kernel/tx.ts";
import type { TaskState } from "../../contract/tasks.ts";
import { taskPrunes } from "./task-tables.ts";

const pruneKey = "task_surplus_at";
const hourMs = 3_600_000;

export const dueAt = `SELECT CAST(value AS INTEGER) FROM meta WHERE key = '${pruneKey}'`;

/**
 * [TA27] Task numbers are consecutive, so their span bounds the count; tasks are counted only above
 * it, and again only after as many new numbers as could exceed the limit.
 */
export function checkLimit(tx: Tx, more: number): Refusal | null {
  const { maxTasks } = tx.settings;
  const span = numberSpan(tx) + more;
  if (span <= maxTasks) return null;
  if (meta.read(tx.sql, pruneKey) === null) {
    meta.write(tx.sql, pruneKey, String(Math.ceil((tx.now + 1) / hourMs) * hourMs));
  }
  const maxCount = 2 * maxTasks;
  if (span <= maxCount || upperBound(tx) + more <= maxCount) return null;
  const tasks = countedSinceRefusal(tx, maxCount) ?? recount(tx, maxCount);
  if (tasks + more <= maxCount) return null;
  return {
    code: "quota_exceeded",
    message: `there are more than ${maxCount} tasks, twice what the workspace keeps (maxTasks); let some end first`,
    details: { limit: limitName, maxCount, tasks, next: rows.nextNumber(tx) },
  };
}

const limitName = "maxTasks";

/** A refusal undoes the count that led to it, so it is stored afterwards; null: another refusal. */
export function followUpOf({ details }: Refusal): ((tx: Pick<Tx, "sql">) => void) | null {
  return details?.["limit"] === limitName
    ? ({ sql }) => meta.write(sql, rows.refusedCountKey, JSON.stringify(details))
    : null;
}

/** Exact, since tasks have only been added; null: not known. */
function countedSinceRefusal(tx: Tx, maxCount: number): number | null {
  const stored = JSON.parse(meta.read(tx.sql, rows.refusedCountKey) ?? "null") as (Count & { maxCount: number }) | null;
  return stored?.maxCount === maxCount ? stored.tasks + rows.nextNumber(tx) - stored.next : null;
}

const countKey = "task_count";

interface Count {
  readonly tasks: number;
  readonly next: number;
}

/** Each task since the last count got its own number, so this bounds the count. */
function upperBound(tx: Tx): number {
  const stored = meta.read(tx.sql, countKey);
  if (stored === null) return Number.POSITIVE_INFINITY;
  const { tasks, next } = JSON.parse(stored) as Count;
  return tasks + rows.nextNumber(tx) - next;
}

function recount(tx: Tx, maxCount: number): number {
  const count: Count = { tasks: countUpTo(tx, maxCount), next: rows.nextNumber(tx) };
  meta.write(tx.sql, countKey, JSON.stringify(count));
  return count.tasks;
}

function numberSpan(tx: Tx): number {
  const [row] = tx.sql.all<{ first: number | null; last: number | null }>(
    "SELECT (SELECT min(task) FROM tasks WHERE task > ?) AS first, (SELECT max(task) FROM tasks) AS last",
    meta.numberFloor(tx),
  );
  return row?.first && row.last ? row.last - row.first + 1 : 0;
}

function countUpTo({ sql }: Tx, maxCount: number): number {
  const query = "SELECT count(*) AS n FROM (SELECT 1 FROM tasks LIMIT ?)";
  return sql.all<{ n: number }>(query, maxCount + 1)[0]?.n ?? 0;
}

export function sweep(tx: Tx, limit: number): void {
  const { maxTasks } = tx.settings;
  const excess = countUpTo(tx, maxTasks + limit) - maxTasks;
  const oldest = excess <= 0 ? [] : listEnded(tx, Math.min(excess, limit));
  for (const row of oldest) rows.remove(tx, row);
  const isMore = oldest.length > 0 && excess > oldest.length;
  if (!isMore) meta.remove(tx.sql, pruneKey);
}

function listEnded({ sql }: Tx, limit: number): Pick<TaskRow, "task">[] {
  return sql.all<Pick<TaskRow, "task">>(
    `SELECT task FROM tasks WHERE state IN ('done', 'dead', 'cancelled') AND NOT ${rows.isNeededSql} ORDER BY task LIMIT ?`,
    limit,
  );
}

/**
 * Deletes ended tasks when their time has come. Only the hours are stored at which any is due, not
 * an index entry for each task: at such an hour all tasks are read, page by page.
 */

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

export const pruneDueAt = "SELECT min(at) FROM task_prunes";

/** Tasks that a sweep reads for each that it may delete. */
const readPerDeleted = 10;

export function sweepPrunes(tx: Tx, limit: number): void {
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
