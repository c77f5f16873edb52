import type { AttemptEnd, TaskState } from "../../contract/tasks.ts";
import type { TaskRow } from "./task-rows.ts";
import * as totals from "../kernel/metric-totals.ts";
import { numbersPerEpoch, type Tx } from "../kernel/tx.ts";
import type { RowOf } from "../../shared/table.ts";
import { attempts } from "./task-tables.ts";

export type AttemptRow = RowOf<typeof attempts>;

const withoutResult = attempts.without("result").columns();

export interface AttemptOutcome {
  readonly ended: AttemptEnd;
  readonly became: TaskState;
  readonly reason?: string | null;
  readonly result?: string;
}

/** Replaces the chat: no id is empty. */
export const coordinatorChat = "";

/** Limit per task: releasing is free, and may repeat forever. */
export const maxAttemptsKept = 100;
const maxLateCalls = 100;

/** Not for a chat's successful attempt, which stays in the row of its task. */
export function insert(tx: Tx, row: TaskRow, { ended, became, reason, result }: AttemptOutcome): void {
  const { chat, incarnation, queuedAt, assignedAt } = row;
  const held = {
    chat: chat ?? "",
    incarnation: incarnation ?? 0,
    queuedAt: queuedAt ?? 0,
    assignedAt: assignedAt ?? 0,
  };
  const end = { attempt: row.failures + 1, endedAt: tx.now, ended, reason, became, result };
  attempts.insert(tx.sql, { ...row, ...held, ...end });
  if (ended !== "done") totals.add(tx, "shim_task_attempts_total", ended);
  prune(tx, row, maxAttemptsKept);
}

/** @param kept one more is in the row of a task whose attempt has succeeded */
export function prune({ sql }: Tx, { task, claim }: Pick<TaskRow, "task" | "claim">, kept: number): void {
  // Claims count from each epoch's first, so up to that number there are as few attempts.
  if (claim % numbersPerEpoch < maxAttemptsKept) return;
  sql.run(
    "DELETE FROM attempts WHERE task = ? AND claim <= (SELECT claim FROM attempts WHERE task = ? ORDER BY claim DESC LIMIT 1 OFFSET ?)",
    task,
    task,
    kept,
  );
}

export function find({ sql }: Tx, task: number, claim: number): Omit<AttemptRow, "result"> | null {
  const query = `SELECT ${withoutResult} FROM all_attempts WHERE task = ? AND claim = ?`;
  return sql.all<Omit<AttemptRow, "result">>(query, task, claim)[0] ?? null;
}

/** Counts calls by the attempt's chat after its end. */
export function countLateCall({ sql }: Pick<Tx, "sql">, task: number, claim: number, chat: string): void {
  const values = [task, claim, chat, maxLateCalls] as const;
  const set = "SET lateCalls = lateCalls + 1 WHERE task = ? AND claim = ?";
  sql.run(`UPDATE attempts ${set} AND chat = ? AND lateCalls < ?`, ...values);
  sql.run(`UPDATE tasks ${set} AND doneBy = ? AND lateCalls < ?`, ...values);
}

export function readResult({ sql }: Tx, { task, claim }: TaskRow, maxBytes: number) {
  const where = "FROM all_attempts WHERE task = ? AND claim = ? AND ended = 'done'";
  const [found] = sql.all<{ size: number }>(`SELECT octet_length(result) AS size ${where}`, task, claim);
  if (!found) return { text: null, bytes: 0, isLeftOut: false };
  if (found.size > maxBytes) return { text: null, bytes: 0, isLeftOut: true };
  const [row] = sql.all<{ result: string }>(`SELECT result ${where}`, task, claim);
  return { text: row?.result ?? null, bytes: found.size, isLeftOut: false };
}

interface Size {
  readonly claim: number;
  readonly bytes: number;
}

export function sizes({ sql }: Tx, task: number, below: number, limit: number): Size[] {
  return sql.all<Size>(
    `SELECT claim, coalesce(octet_length(progress), 0) + coalesce(octet_length(checkpoint), 0) AS bytes FROM all_attempts
     WHERE task = ? AND claim < ? ORDER BY claim DESC LIMIT ?`,
    task,
    below,
    limit,
  );
}
