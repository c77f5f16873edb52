import { enqueueDispatch, finish, makeRunnable, requeue } from "./lifecycle.ts";
import * as rows from "./task-rows.ts";
import { nextCheckAt, type TaskRow } from "./task-rows.ts";
import type { Tx } from "../kernel/tx.ts";

export const dueAt = "SELECT min(due_at) FROM tasks WHERE due_at IS NOT NULL";

export function listDue({ sql, now }: Tx, limit: number): number[] {
  return sql
    .all<{ task: number }>("SELECT task FROM tasks WHERE due_at <= ? ORDER BY due_at LIMIT ?", now, limit)
    .map(({ task }) => task);
}

export function postpone({ sql }: Tx, task: number, until: number): void {
  sql.run("UPDATE tasks SET due_at = ? WHERE task = ?", until, task);
}

export function checkTask(tx: Tx, task: number): void {
  const row = rows.find(tx, task);
  if (!row || row.due_at === null || row.due_at > tx.now) return;
  byState[row.state](tx, row);
  if (row.chat !== null && rows.find(tx, task)?.chat !== row.chat) enqueueDispatch(tx);
}

const byState: Readonly<Record<TaskRow["state"], (tx: Tx, row: TaskRow) => void>> = {
  scheduled: (tx, row) => void makeRunnable(tx, row),
  // [TA15]
  queued: (tx, row) => void finish(tx, row, { state: "dead", reason: "expired", detail: "no chat started it in time" }),
  assigned: (tx, row) => void requeue(tx, row, { ended: "not_started" }),
  running: checkRunning,
  done: prune,
  dead: prune,
  cancelled: prune,
  blocked: () => {
    throw new Error("a blocked task has no due time");
  },
};

function checkRunning(tx: Tx, row: TaskRow): void {
  if ((row.close_at ?? 0) <= tx.now) requeue(tx, row, { ended: "timeout", reason: "the attempt took too long" });
  else if (nextCheckAt(row) <= tx.now) requeue(tx, row, { ended: "stalled", reason: "no heartbeat arrived in time" });
  else postpone(tx, row.task, nextCheckAt(row));
}

const dayMs = 86_400_000;

/** [TA18] Postponed while a dependent or child has not ended. */
function prune(tx: Tx, row: TaskRow): void {
  const isNeeded = tx.sql.all(`SELECT 1 FROM tasks WHERE task = ? AND ${rows.isNeededSql}`, row.task).length > 0;
  if (isNeeded) postpone(tx, row.task, tx.now + dayMs);
  else rows.remove(tx, row);
}
