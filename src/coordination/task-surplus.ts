import type { Refusal } from "../contract/errors.ts";
import * as meta from "./meta.ts";
import * as rows from "./task-rows.ts";
import type { TaskRow } from "./task-rows.ts";
import type { Tx } from "./tx.ts";

/** More tasks than a workspace keeps: the oldest that have ended go before their time. */

const lookKey = "task_surplus_at";
const hourMs = 3_600_000;

export const dueAt = `SELECT CAST(value AS INTEGER) FROM meta WHERE key = '${lookKey}'`;

/**
 * [TA27] For each submit. Numbers are given one by one, so the distance from the oldest to the newest says that there may be too many; they are
 * counted only then, and not again before so many more were given that there may be too many again.
 */
export function watch(tx: Tx, more: number): Refusal | null {
  const { maxTasks } = tx.settings;
  const span = spanOf(tx) + more;
  if (span <= maxTasks) return null;
  if (meta.read(tx.sql, lookKey) === null) {
    meta.write(tx.sql, lookKey, String(Math.ceil((tx.now + 1) / hourMs) * hourMs));
  }
  const most = 2 * maxTasks;
  if (span <= most || mayBe(tx) + more <= most || recounted(tx, most) + more <= most) return null;
  return {
    code: "quota_exceeded",
    message: `there are more than ${most} tasks, twice what the workspace keeps (maxTasks); let some end first`,
  };
}

const countKey = "task_count";

interface Count {
  readonly tasks: number;
  /** The next number at that time. */
  readonly next: number;
}

/** Each task since the last count has had a number of its own, so there are no more than this: one old task makes no submit count all. */
function mayBe(tx: Tx): number {
  const known = meta.read(tx.sql, countKey);
  if (known === null) return Number.POSITIVE_INFINITY;
  const { tasks, next } = JSON.parse(known) as Count;
  return tasks + rows.nextNumber(tx) - next;
}

function recounted(tx: Tx, most: number): number {
  const count: Count = { tasks: counted(tx, most), next: rows.nextNumber(tx) };
  meta.write(tx.sql, countKey, JSON.stringify(count));
  return count.tasks;
}

/** Of the numbers of this epoch. */
function spanOf(tx: Tx): number {
  const [row] = tx.sql.all<{ first: number | null; last: number | null }>(
    "SELECT (SELECT min(task) FROM tasks WHERE task > ?) AS first, (SELECT max(task) FROM tasks) AS last",
    meta.numberFloor(tx),
  );
  return row?.first && row.last ? row.last - row.first + 1 : 0;
}

function counted({ sql }: Tx, most: number): number {
  const query = "SELECT count(*) AS n FROM (SELECT 1 FROM tasks LIMIT ?)";
  return sql.all<{ n: number }>(query, most + 1)[0]?.n ?? 0;
}

/** For the alarm, at the full hour. */
export function sweep(tx: Tx, limit: number): void {
  const { maxTasks } = tx.settings;
  const surplus = counted(tx, maxTasks + limit) - maxTasks;
  const oldest = surplus <= 0 ? [] : ended(tx, Math.min(surplus, limit));
  for (const row of oldest) rows.remove(tx, row);
  // What is left has its turn at once; where nothing could go, with the next submit.
  const isMore = oldest.length > 0 && surplus > oldest.length;
  if (!isMore) meta.remove(tx.sql, lookKey);
}

/** Those that are still needed stay, and keep no younger one. */
function ended({ sql }: Tx, limit: number): Pick<TaskRow, "task">[] {
  return sql.all<Pick<TaskRow, "task">>(
    `SELECT task FROM tasks WHERE state IN ('done', 'dead', 'cancelled') AND NOT ${rows.isNeeded} ORDER BY task LIMIT ?`,
    limit,
  );
}
