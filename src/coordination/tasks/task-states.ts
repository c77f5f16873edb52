import type { DeathReason, TaskState } from "../../contract/tasks.ts";
import * as attemptRows from "./attempt-rows.ts";
import { joinResults } from "./joins.ts";
import * as lanes from "./lanes.ts";
import * as outbox from "./dispatch-outbox.ts";
import * as availableChats from "./available-chats.ts";
import * as rows from "./task-rows.ts";
import { isEnded, type TaskRow } from "./task-rows.ts";
import type { Tx } from "../kernel/tx.ts";

/** The ways of a task that nobody has: it waits, can be claimed, or has ended. */

/**
 * What can be claimed from now on: who waits for it without asking is told by way of the queue. [QU8] Also where nothing new is queued: a chat may
 * have room again, and not know of it.
 */
export function enqueueDispatch(tx: Tx): void {
  outbox.enqueue(tx, () => availableChats.hasWork(tx));
}

/** What became of a task, and whether it, or what depends on it, is queued since. */
interface StateChange {
  readonly state: TaskState;
  readonly hasQueued: boolean;
}

/** However many are queued by one change, takers are looked for once. */
function dispatchIfQueued(tx: Tx, { state, hasQueued }: StateChange): TaskState {
  if (hasQueued) enqueueDispatch(tx);
  return state;
}

/** Free of dependencies and of any chat: queued, or scheduled where its time has not come. What the row counts is stored with it. */
export function makeRunnable(tx: Tx, row: TaskRow, notBefore = row.not_before): TaskState {
  return dispatchIfQueued(tx, unblock(tx, row, notBefore));
}

/** [TA28] How long a task waits for a lane before it asks again. */
const laneRetryMs = 60_000;

function unblock(tx: Tx, row: TaskRow, notBefore = row.not_before): StateChange {
  if (row.join_rule !== null) return completeJoin(tx, row);
  return storeRunnable(tx, row, hasLane(tx, row, notBefore) ? notBefore : tx.now + laneRetryMs);
}

/** What does not begin yet needs none. */
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

/** [TA26] It is done at once, as the coordinator's own attempt. */
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

const hourMs = 3_600_000;

/** [TA18] Housekeeping waits for the full hour. */
export function pruneTimeOf({ now: dependencies, settings }: Tx, state: TaskState): number {
  const keepMs = state === "dead" ? settings.keepDeadTasksMs : settings.keepTasksMs;
  return Math.ceil((dependencies + keepMs) / hourMs) * hourMs;
}

export interface TaskEnd {
  readonly state: "done" | "dead" | "cancelled";
  readonly reason?: DeathReason;
  readonly detail?: string | null;
}

/** It ends, and those that depended on it have their turn or end with it. */
export function finish(tx: Tx, row: TaskRow, taskEnd: TaskEnd): TaskState {
  return dispatchIfQueued(tx, endTask(tx, row, taskEnd));
}

function endTask(tx: Tx, row: TaskRow, { state, reason, detail }: TaskEnd): StateChange {
  tx.sql.run(
    `UPDATE tasks SET state = ?, reason = ?, detail = ?, failures = ?, stalls = ?, lost_chats = ?, chat = NULL, incarnation = NULL,
       request_id = NULL, ended_at = ?, due_at = ? WHERE task = ?`,
    state,
    reason ?? null,
    detail ?? null,
    row.failures,
    row.stalls,
    row.lost_chats,
    tx.now,
    pruneTimeOf(tx, state),
    row.task,
  );
  return { state, hasQueued: updateAllBlocked(tx, rows.dependentsOf(tx, row.task)) };
}

/** Those that may wait for nothing more. */
export function updateDependents(tx: Tx, tasks: readonly number[]): void {
  if (updateAllBlocked(tx, tasks)) enqueueDispatch(tx);
}

/** @returns whether something is queued since */
function updateAllBlocked(tx: Tx, tasks: readonly number[]): boolean {
  return tasks.filter((task) => updateBlocked(tx, task)?.hasQueued).length > 0;
}

/** [TA12] What waits for others goes on when the last of them is done. [TA13] With one that died or was cancelled it dies, unless it ignores that. */
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
      /** The dependency that has ended without a result. */
      readonly by: number;
    };

/** How it stands with what a task depends on. What is no longer kept has ended long ago. */
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
