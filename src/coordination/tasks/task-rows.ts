import type { Refusal } from "../../contract/errors.ts";
import type { AggregateRule, DeathReason, Progress, TaskState } from "../../contract/tasks.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import * as meta from "../kernel/meta.ts";
import { numbersPerEpoch, type Tx } from "../kernel/tx.ts";
import { textSql } from "./task-texts.ts";

export interface TaskRow {
  readonly task: number;
  readonly type: string;
  /** Partition key: the type and all capabilities, sorted. */
  readonly lane: string;
  readonly priority: number;
  readonly state: TaskState;
  readonly reason: DeathReason | null;
  readonly detail: string | null;
  readonly parent: number | null;
  readonly depth: number;
  readonly affinity: string | null;
  readonly tags: string;
  readonly on_death: "fail" | "ignore";
  readonly max_attempts: number;
  readonly base_ms: number;
  readonly cap_ms: number;
  readonly has_jitter: number;
  readonly queue_ms: number | null;
  readonly close_ms: number;
  readonly heartbeat_ms: number;
  readonly failures: number;
  readonly stalls: number;
  readonly lost_chats: number;
  /** Number of the present or last claim; 0: none. */
  readonly claim: number;
  readonly chat: string | null;
  readonly incarnation: number | null;
  readonly request_id: string | null;
  readonly at: number;
  readonly not_before: number;
  readonly queued_at: number | null;
  readonly assigned_at: number | null;
  readonly started_at: number | null;
  readonly seen_at: number | null;
  readonly close_at: number | null;
  readonly ended_at: number | null;
  readonly cancel_reason: string | null;
  readonly progress: string | null;
  readonly checkpoint: string | null;
  readonly due_at: number | null;
  readonly ref: string | null;
  readonly join_rule: AggregateRule | null;
  readonly budget: string | null;
  /** JSON: what model does the attempt of a claim, and why. */
  readonly route: string | null;
}

/** All but the texts, which may be large. */
export const columns =
  "task, type, lane, priority, state, reason, detail, parent, depth, affinity, tags, on_death, max_attempts, base_ms, cap_ms, has_jitter, queue_ms, close_ms, heartbeat_ms, failures, stalls, lost_chats, claim, chat, incarnation, request_id, at, not_before, queued_at, assigned_at, started_at, seen_at, close_at, ended_at, cancel_reason, progress, checkpoint, due_at, ref, join_rule, budget, route";

export function find({ sql }: Pick<Tx, "sql">, task: number): TaskRow | null {
  return sql.all<TaskRow>(`SELECT ${columns} FROM tasks WHERE task = ?`, task)[0] ?? null;
}

export function requireTask(tx: Tx, task: number): Result<TaskRow, Refusal> {
  const row = find(tx, task);
  return row ? ok(row) : err(unknownTask(task));
}

export function unknownTask(task: number): Refusal {
  return { code: "unknown_task", message: `there is no task ${task}, or it is no longer kept` };
}

export function progressOf({ progress }: Pick<TaskRow, "progress">): Progress | null {
  return progress === null ? null : (JSON.parse(progress) as Progress);
}

export function isEnded({ state }: Pick<TaskRow, "state">): boolean {
  return state === "done" || state === "dead" || state === "cancelled";
}

export function heldBy({ sql }: Tx, chat: string): TaskRow[] {
  return sql.all<TaskRow>(`SELECT ${columns} FROM tasks WHERE chat = ? ORDER BY task`, chat);
}

/** Heartbeats and extensions do not write `due_at`; a check that failed puts it off. */
export const heldDueSql =
  "iif(state = 'running', max(tasks.due_at, min(close_at, seen_at + heartbeat_ms)), tasks.due_at)";

/** Due time of the first of the tasks that a chat holds, epoch ms; null: it holds none. */
export function firstDueOf({ sql }: Tx, chat: string): number | null {
  const query = `SELECT min(${heldDueSql}) AS at FROM tasks WHERE chat = ?`;
  return sql.all<{ at: number | null }>(query, chat)[0]?.at ?? null;
}

export function countHeld({ sql }: Tx, chat: string): number {
  return sql.all<{ n: number }>("SELECT count(*) AS n FROM tasks WHERE chat = ?", chat)[0]?.n ?? 0;
}

const floorKey = "task_floor";

/** [TA2] Exceeds all earlier numbers, also pruned ones and those undone by a restore. */
export function nextNumber(tx: Tx): number {
  const [row] = tx.sql.all<{ newest: number; floor: string | null }>(
    `SELECT coalesce(max(task), 0) AS newest, (SELECT value FROM meta WHERE key = '${floorKey}') AS floor FROM tasks`,
  );
  return Math.max(row?.newest ?? 0, Number(row?.floor ?? 0), meta.numberFloor(tx)) + 1;
}

/** [TA5] Exceeds every earlier claim of this task, also those undone by a restore. */
export function nextClaim(tx: Tx, { claim }: TaskRow): number {
  return Math.max(claim, claimFloor(tx)) + 1;
}

export function claimFloor({ epoch }: Tx): number {
  return epoch * numbersPerEpoch;
}

export function dependenciesOf({ sql }: Tx, task: number): number[] {
  const [row] = sql.all<{ depends_on: string }>(`SELECT ${textSql("depends_on")} FROM tasks WHERE task = ?`, task);
  return JSON.parse(row?.depends_on ?? "[]") as number[];
}

export function dependentsOf({ sql }: Tx, task: number): number[] {
  return sql
    .all<{ task: number }>("SELECT task FROM task_dependents WHERE needs = ? ORDER BY task", task)
    .map((row) => row.task);
}

export function countDependents({ sql }: Tx, task: number): number {
  const query = "SELECT count(*) AS n FROM task_dependents WHERE needs = ?";
  return sql.all<{ n: number }>(query, task)[0]?.n ?? 0;
}

export function countAncestors({ sql }: Tx, task: number): number | null {
  const [row] = sql.all<{ n: number | null }>(
    `WITH RECURSIVE above (task, n) AS (
       SELECT parent, 0 FROM tasks WHERE task = ?
       UNION ALL SELECT tasks.parent, n + 1 FROM above JOIN tasks ON tasks.task = above.task WHERE n < 200)
     SELECT max(n) AS n FROM above`,
    task,
  );
  return row?.n ?? null;
}

const isOpenSql = "other.state NOT IN ('done', 'dead', 'cancelled')";

export const isNeededSql = `(EXISTS (SELECT 1 FROM tasks AS other WHERE other.parent = tasks.task AND ${isOpenSql})
  OR EXISTS (SELECT 1 FROM task_dependents JOIN tasks AS other USING (task) WHERE needs = tasks.task AND ${isOpenSql}))`;

function readFloor(sql: Tx["sql"]): number {
  return Number(meta.read(sql, floorKey) ?? 0);
}

/** Count of the tasks at a refusal; dropped when one is removed. */
export const refusedCountKey = "task_count_refused";

export function remove({ sql }: Tx, { task }: Pick<TaskRow, "task">): void {
  const [newest] = sql.all<{ task: number }>("SELECT max(task) AS task FROM tasks");
  // The newest may be deleted first; lower ones then become the newest.
  if (newest?.task === task && task > readFloor(sql)) meta.write(sql, floorKey, String(task));
  meta.remove(sql, refusedCountKey);
  sql.run("DELETE FROM tasks WHERE task = ?", task);
  sql.run("DELETE FROM task_texts WHERE task = ?", task);
  sql.run("DELETE FROM attempts WHERE task = ?", task);
  sql.run("DELETE FROM task_usage WHERE task = ?", task);
  sql.run("DELETE FROM task_dependents WHERE needs = ?", task);
}

export function nextCheckAt({
  close_at,
  seen_at,
  heartbeat_ms,
}: Pick<TaskRow, "close_at" | "seen_at" | "heartbeat_ms">): number {
  return Math.min(close_at ?? 0, (seen_at ?? 0) + heartbeat_ms);
}

/** [TA16] A claim has ended at its last instant, whether or not a sweep has run. */
export function isExpired(
  { now }: Tx,
  row: Pick<TaskRow, "state" | "due_at" | "close_at" | "seen_at" | "heartbeat_ms">,
): boolean {
  return (row.state === "running" ? nextCheckAt(row) : (row.due_at ?? 0)) <= now;
}

export function remainingMs({ now }: Tx, row: Pick<TaskRow, "close_at" | "close_ms">): number {
  return row.close_at === null ? row.close_ms : Math.max(0, row.close_at - now);
}

/** [TA10] base * 2^(n - 1), at most the cap; jitter by task and attempt: half to all of it. */
export function backoffMs({ task, failures, base_ms, cap_ms, has_jitter }: TaskRow): number {
  const maxMs = Math.min(cap_ms, base_ms * 2 ** Math.max(0, failures - 1));
  return has_jitter === 1 ? Math.ceil((maxMs * (1 + pseudoRandom(task, failures))) / 2) : maxMs;
}

/** Pseudo-random number from 0 to 1: the finalizer of MurmurHash3. */
function pseudoRandom(task: number, attempt: number): number {
  let hash = (task ^ Math.imul(attempt, 0x9e3779b9)) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
