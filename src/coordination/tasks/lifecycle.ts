import type { OfflineReason } from "../../contract/chats.ts";
import type { AttemptEnd, DeathReason, TaskState } from "../../contract/tasks.ts";
import { scheduleCheck, type LivenessRow } from "../kernel/chat-rows.ts";
import * as totals from "../kernel/metric-totals.ts";
import type { Tx } from "../kernel/tx.ts";
import * as attemptRows from "./attempt-rows.ts";
import { hasWork } from "./candidates.ts";
import * as chatPerformance from "./chat-performance.ts";
import * as outbox from "./dispatch-outbox.ts";
import * as pruning from "./task-pruning.ts";
import { joinResults } from "./joins.ts";
import * as lanes from "./lanes.ts";
import * as routes from "./routes.ts";
import * as rows from "./task-rows.ts";
import { textsSql, type TaskTexts } from "./task-texts.ts";
import { backoffMs, isEnded, nextCheckAt, type TaskRow } from "./task-rows.ts";

/**
 * Changes of a stored task's state.
 *
 *     blocked, scheduled -> queued -> assigned -> running -> done
 *
 * An attempt that ends otherwise is requeued; any state may end as dead or cancelled.
 */

/** Facts about a task for its claim. */
export type HeldRow = Pick<
  TaskRow,
  | "task"
  | "claim"
  | "chat"
  | "failures"
  | "max_attempts"
  | "type"
  | "priority"
  | "state"
  | "progress"
  | "checkpoint"
  | "close_at"
  | "close_ms"
  | "due_at"
  | "heartbeat_ms"
  | "budget"
>;
export const heldColumns =
  "task, claim, chat, failures, max_attempts, type, priority, state, progress, checkpoint, close_at, close_ms, due_at, heartbeat_ms, budget";

/** Replaces the request id of a dispatched task until the chat's next claim. */
export const pushedRequestId = "";

export interface Assignment {
  readonly chat: LivenessRow;
  readonly requestId: string;
  readonly isStarted: boolean;
}

/**
 * Assigns queued tasks; returns them in any order. The caller schedules the check of the chat for
 * the time when the first is due.
 */
export function assign(tx: Tx, tasks: readonly number[], assignment: Assignment): HeldRow[] {
  return assignReturning(tx, tasks, assignment, heldColumns);
}

/** Reads the texts in the same statement. */
export function assignWithTexts(tx: Tx, tasks: readonly number[], assignment: Assignment): (HeldRow & TaskTexts)[] {
  return assignReturning(tx, tasks, assignment, `${heldColumns}, ${textsSql}`);
}

function assignReturning<Row extends HeldRow>(
  tx: Tx,
  tasks: readonly number[],
  { chat, requestId, isStarted }: Assignment,
  columns: string,
): Row[] {
  const startedAt = isStarted ? tx.now : null;
  const assigned = tx.sql.all<Row>(
    `UPDATE tasks SET state = ?, claim = max(claim, ?) + 1, chat = ?, incarnation = ?, request_id = ?, assigned_at = ?, started_at = ?,
       seen_at = ?, close_at = ? + close_ms, due_at = ? + iif(?, min(close_ms, heartbeat_ms), ?)
     WHERE task IN (SELECT value FROM json_each(?)) RETURNING ${columns}`,
    isStarted ? "running" : "assigned",
    rows.claimFloor(tx),
    chat.chat,
    chat.incarnation,
    requestId,
    tx.now,
    startedAt,
    startedAt,
    startedAt,
    tx.now,
    isStarted ? 1 : 0,
    tx.settings.startDeadlineMs,
    JSON.stringify(tasks),
  );
  if (assigned.length !== tasks.length) throw new Error(`of the tasks ${tasks.join()} in lanes some are not in tasks`);
  return assigned;
}

/** Earliest due time of tasks, epoch ms. */
export function firstDue(held: readonly Pick<TaskRow, "due_at">[]): number {
  return Math.min(...held.map(({ due_at: at }) => at ?? Infinity));
}

type StartedColumns = Pick<TaskRow, "task" | "request_id" | "close_ms" | "heartbeat_ms">;

/** @param chat which holds the task */
export function start<Row extends StartedColumns>(tx: Tx, chat: LivenessRow, row: Row): Row {
  const running = {
    ...row,
    state: "running",
    started_at: tx.now,
    seen_at: tx.now,
    close_at: tx.now + row.close_ms,
  } as const;
  const dueAt = nextCheckAt(running);
  tx.sql.run(
    "UPDATE tasks SET state = 'running', request_id = ?, started_at = ?, seen_at = ?, close_at = ?, due_at = ? WHERE task = ?",
    row.request_id,
    tx.now,
    tx.now,
    running.close_at,
    dueAt,
    row.task,
  );
  scheduleCheck(tx, chat, dueAt);
  return { ...running, due_at: dueAt };
}

interface RequeueInput {
  readonly ended: Exclude<AttemptEnd, "done">;
  readonly reason?: string | undefined;
  readonly isRetryable?: boolean;
  readonly delayMs?: number | undefined;
  readonly limitReached?: string | null;
}

/** Counter that each end raises; absent: the end is free. */
const counters: Partial<Record<AttemptEnd, "failures" | "stalls" | "lost_chats">> = {
  failed: "failures",
  timeout: "failures",
  stalled: "stalls",
  chat_offline: "lost_chats",
};

/** [TA10] Backoff after a failure, else the given delay or none. [TA19] Keeps the progress. */
export function requeue(tx: Tx, before: TaskRow, input: RequeueInput): TaskState {
  const { ended, reason } = input;
  const counter = counters[ended];
  const row = {
    ...before,
    detail: reason ?? before.detail,
    ...(counter ? { [counter]: before[counter] + 1 } : {}),
  };
  if (counter === "failures" || counter === "stalls") chatPerformance.record(tx, before, false);
  const became = endOrRetry(tx, row, input);
  attemptRows.insert(tx, before, { ended, became, reason: reason ?? null });
  routes.record(tx, before, { ended, became });
  return became;
}

function endOrRetry(tx: Tx, row: TaskRow, input: RequeueInput): TaskState {
  const { ended, reason, delayMs, limitReached } = input;
  if (row.cancel_reason !== null) return finish(tx, row, { state: "cancelled", detail: row.cancel_reason });
  const death = findDeathReason(tx, row, input);
  if (death) return finish(tx, row, { state: "dead", reason: death, detail: limitReached ?? reason ?? ended });
  return makeRunnable(tx, row, tx.now + (delayMs ?? (counters[ended] === "failures" ? backoffMs(row) : 0)));
}

/** [TA10] Limits failures; [TA20] stalls and lost chats count separately. */
function findDeathReason(
  { settings }: Tx,
  { failures, max_attempts, stalls, lost_chats }: TaskRow,
  { limitReached, isRetryable = true }: RequeueInput,
): DeathReason | null {
  if (limitReached) return "budget_exceeded";
  if (!isRetryable || failures >= max_attempts) return "failed";
  return stalls >= settings.maxStalls || lost_chats >= settings.maxLostChats ? "poison" : null;
}

/** [TA20] A started task counts the chat as lost, unless the chat left by itself. */
export function requeueAllOf(tx: Tx, chat: string, reason: OfflineReason): void {
  for (const row of rows.heldBy(tx, chat)) {
    const lossReason = reason === "left" ? "chat_left" : "chat_offline";
    requeue(tx, row, {
      ended: row.state === "running" ? lossReason : "not_started",
      reason: `chat ${chat}: ${reason}`,
    });
  }
}

/** [QU8] Runs without newly queued tasks too: a chat may have room without knowing of it. */
export function enqueueDispatch(tx: Tx): void {
  if (tx.requestDispatch) tx.requestDispatch();
  else outbox.enqueue(tx, () => hasWork(tx));
}

interface StateChange {
  readonly state: TaskState;
  readonly hasQueued: boolean;
}

/** One dispatch per change, however many tasks it queues. */
function dispatchIfQueued(tx: Tx, { state, hasQueued }: StateChange): TaskState {
  if (hasQueued) enqueueDispatch(tx);
  return state;
}

export function makeRunnable(tx: Tx, row: TaskRow, notBefore = row.not_before): TaskState {
  return dispatchIfQueued(tx, unblock(tx, row, notBefore));
}

/** [TA31] Delay before a task that waits for a partition key tries again. */
const laneRetryMs = 60_000;

function unblock(tx: Tx, row: TaskRow, notBefore = row.not_before): StateChange {
  if (row.join_rule !== null) return completeJoin(tx, row);
  return storeRunnable(tx, row, hasLane(tx, row, notBefore) ? notBefore : tx.now + laneRetryMs);
}

/** A scheduled task needs no partition key yet. */
function hasLane(tx: Tx, { lane }: TaskRow, notBefore: number): boolean {
  return notBefore > tx.now || !lanes.exceedsLimit(tx, new Set([lane]));
}

function storeRunnable(tx: Tx, row: TaskRow, notBefore: number): StateChange {
  const isLater = notBefore > tx.now;
  const expiry = row.queue_ms === null ? null : tx.now + row.queue_ms;
  tx.sql.run(
    `UPDATE tasks SET state = ?, reason = NULL, detail = ?, failures = ?, stalls = ?, lost_chats = ?, chat = NULL, incarnation = NULL,
       request_id = NULL, not_before = ?, queued_at = ?, assigned_at = NULL, started_at = NULL, seen_at = NULL, close_at = NULL,
       ended_at = NULL, due_at = ? WHERE task = ?`,
    isLater ? "scheduled" : "queued",
    row.detail,
    row.failures,
    row.stalls,
    row.lost_chats,
    notBefore,
    isLater ? null : tx.now,
    isLater ? notBefore : expiry,
    row.task,
  );
  return { state: isLater ? "scheduled" : "queued", hasQueued: !isLater };
}

/** [TA26] Done at once, as the coordinator's own attempt. */
function completeJoin(tx: Tx, row: TaskRow): StateChange {
  const answer = joinResults(tx, row);
  if ("failure" in answer)
    return endTask(tx, row, { state: "dead", reason: "failed", detail: answer.failure.slice(0, 500) });
  const attempt = {
    ...row,
    claim: rows.nextClaim(tx, row),
    chat: attemptRows.coordinatorChat,
    incarnation: 0,
    queued_at: tx.now,
    assigned_at: tx.now,
    started_at: tx.now,
  };
  tx.sql.run("UPDATE tasks SET claim = ? WHERE task = ?", attempt.claim, row.task);
  attemptRows.insert(tx, attempt, { ended: "done", became: "done", result: answer.result });
  return endTask(tx, attempt, { state: "done" });
}

export interface TaskEnd {
  readonly state: "done" | "dead" | "cancelled";
  readonly reason?: DeathReason;
  readonly detail?: string | null;
  /** JSON text of the result of a chat's attempt. */
  readonly result?: string;
}

export function finish(tx: Tx, row: TaskRow, taskEnd: TaskEnd): TaskState {
  return dispatchIfQueued(tx, endTask(tx, row, taskEnd));
}

function endTask(tx: Tx, row: TaskRow, { state, reason, detail, result }: TaskEnd): StateChange {
  const isByChat = result !== undefined;
  const pruneAt = pruning.pruneTimeOf(tx, state);
  tx.sql.run(
    `UPDATE tasks SET state = ?, reason = ?, detail = ?, failures = ?, stalls = ?, lost_chats = ?, chat = NULL, incarnation = NULL,
       request_id = NULL, done_by = ?, done_incarnation = ?, result = ?, ended_at = ?, due_at = ? WHERE task = ?`,
    state,
    reason ?? null,
    detail ?? null,
    row.failures,
    row.stalls,
    row.lost_chats,
    isByChat ? row.chat : null,
    isByChat ? row.incarnation : null,
    result ?? null,
    tx.now,
    pruneAt,
    row.task,
  );
  if (isByChat) attemptRows.pruneForLast(tx, row);
  if (state !== "done" && row.state !== "dead") totals.add(tx, "shim_task_ends_total", state);
  pruning.schedule(tx, pruneAt);
  return { state, hasQueued: updateAllBlocked(tx, rows.dependentsOf(tx, row.task)) };
}

export function updateDependents(tx: Tx, tasks: readonly number[]): void {
  if (updateAllBlocked(tx, tasks)) enqueueDispatch(tx);
}

function updateAllBlocked(tx: Tx, tasks: readonly number[]): boolean {
  return tasks.filter((task) => updateBlocked(tx, task)?.hasQueued).length > 0;
}

/** [TA12] Continues after the last dependency. [TA13] Dies with a dead or cancelled one. */
function updateBlocked(tx: Tx, task: number): StateChange | null {
  const row = rows.find(tx, task);
  if (row?.state !== "blocked") return null;
  const dependencies = dependencyState(tx, rows.dependenciesOf(tx, task), row.on_death);
  if (dependencies.state === "free") return unblock(tx, row);
  return dependencies.state === "doomed" ? endTask(tx, row, dependencyDeath(dependencies.by)) : null;
}

export function dependencyDeath(by: number): TaskEnd {
  return { state: "dead", reason: "dependency", detail: `task ${by}, on which it depends, is dead or cancelled` };
}

type DependencyState =
  | { readonly state: "free" | "blocked" }
  | {
      readonly state: "doomed";
      readonly by: number;
    };

export function dependencyState({ sql }: Tx, needed: readonly number[], onDeath: TaskRow["on_death"]): DependencyState {
  if (needed.length === 0) return { state: "free" };
  const found = sql.all<Pick<TaskRow, "task" | "state">>(
    `SELECT task, state FROM tasks WHERE task IN (${needed.map(() => "?").join(", ")}) AND state <> 'done' ORDER BY task`,
    ...needed,
  );
  const failed = onDeath === "fail" && found.find(isEnded);
  if (failed) return { state: "doomed", by: failed.task };
  return { state: found.every(isEnded) ? "free" : "blocked" };
}
