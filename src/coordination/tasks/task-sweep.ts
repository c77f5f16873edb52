import { finish, makeRunnable, requeue } from "./lifecycle.ts";
import * as rows from "./task-rows.ts";
import { nextCheckAt, type TaskRow } from "./task-rows.ts";
import type { Tx } from "../kernel/tx.ts";

const isOpenSql = "state IN ('scheduled', 'queued')";

/** Tasks that no chat holds: a held one is due with its chat, whose time is never later. */
export const dueAt = `SELECT min(dueAt) FROM tasks WHERE ${isOpenSql} AND dueAt IS NOT NULL`;

interface DueTask {
  readonly task: number;
  readonly due: number;
}

/** The longest overdue first. */
export function listDue({ sql, now }: Tx, limit: number): number[] {
  const held = sql.all<DueTask>(
    `SELECT task, ${rows.heldDueSql} AS due FROM (SELECT chat FROM chats WHERE dueAt <= ? ORDER BY dueAt LIMIT ?) JOIN tasks USING (chat)
     WHERE due <= ? ORDER BY due, task LIMIT ?`,
    now,
    limit,
    now,
    limit,
  );
  const open = sql.all<DueTask>(
    `SELECT task, dueAt AS due FROM tasks WHERE ${isOpenSql} AND dueAt <= ? ORDER BY dueAt, task LIMIT ?`,
    now,
    limit,
  );
  const all = [...held, ...open].toSorted((a, b) => a.due - b.due || a.task - b.task);
  return all.slice(0, limit).map(({ task }) => task);
}

export function checkTask(tx: Tx, task: number): void {
  const row = rows.find(tx, task);
  if (!row || row.dueAt === null || row.dueAt > tx.now) return;
  byState[row.state]?.(tx, row);
  if (row.chat !== null && rows.find(tx, task)?.chat !== row.chat) tx.requestDispatch();
}

/** Blocked tasks have no due time; ended ones are pruned at theirs. */
const byState: Readonly<Partial<Record<TaskRow["state"], (tx: Tx, row: TaskRow) => void>>> = {
  scheduled: (tx, row) => void makeRunnable(tx, row),
  queued: (tx, row) => void finish(tx, row, { state: "dead", reason: "expired", detail: "no chat started it in time" }),
  assigned: (tx, row) => void requeue(tx, row, { ended: "not_started" }),
  running: checkRunning,
};

function checkRunning(tx: Tx, row: TaskRow): void {
  if ((row.closeAt ?? 0) <= tx.now) requeue(tx, row, { ended: "timeout", reason: "the attempt took too long" });
  else if (nextCheckAt(row) <= tx.now) requeue(tx, row, { ended: "stalled", reason: "no heartbeat arrived in time" });
}
