import { offlineWords } from "../../contract/chat-state.ts";
import type { OfflineReason } from "../../contract/chats.ts";
import type { Json } from "../../contract/values.ts";
import type { AttemptEnd, DeathReason, TaskState } from "../../contract/tasks.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { RowOf } from "../../shared/table.ts";
import { scheduleCheck, type LivenessRow } from "../kernel/chat-rows.ts";
import * as totals from "../kernel/metric-totals.ts";
import { epochStart } from "../kernel/meta.ts";
import type { Tx } from "../kernel/tx.ts";
import * as attemptRows from "./attempt-rows.ts";
import { recordRun } from "./candidates.ts";
import * as lanes from "./lanes.ts";
import * as routes from "./routes.ts";
import * as retention from "./task-retention.ts";
import * as rows from "./task-rows.ts";
import { type TaskRow, backoffMs, isEnded, nextCheckAt } from "./task-rows.ts";
import { tasks } from "./task-tables.ts";

/** Limit of a result, as of any other task. */
const maxChars = 262_144;
/** Limit of what is read for one join; more could not be a task's result. */
const maxBytes = 1_000_000;

/** Joins in order of dependencies; names dead ones with their reason. */
function joinResults(tx: Tx, row: TaskRow): Result<string, string> {
  const parts = rows.dependenciesOf(tx, row.task).flatMap((task) => rows.find(tx, task) ?? []);
  const nameOf = partNamer(parts);
  const done = parts.filter(({ state }) => state === "done");
  const missing = parts
    .filter(({ state }) => state !== "done")
    .map((part) => ({
      part: nameOf(part),
      state: part.state === "cancelled" ? "cancelled" : "dead",
      reason: part.detail ?? part.reason ?? part.state,
    }));
  const value = collect(tx, done, nameOf);
  if (value === null) return err(`too_large: the results of its parts have more than ${maxBytes} bytes in total`);
  const result = JSON.stringify({ value, isComplete: missing.length === 0, missing });
  if (result.length <= maxChars) return ok(result);
  return err(`too_large: the results of the parts have ${result.length} characters as JSON; at most ${maxChars}`);
}

/** Names a part by its ref or, where that is missing or ambiguous, its number. */
function partNamer(parts: readonly TaskRow[]): (part: TaskRow) => string {
  const refs = Map.groupBy(parts, ({ ref }) => ref);
  const numbers = new Set(parts.map(({ task }) => String(task)));
  const isUnambiguous = (ref: string): boolean => refs.get(ref)?.length === 1 && !numbers.has(ref);
  return ({ task, ref }) => (ref !== null && isUnambiguous(ref) ? ref : String(task));
}

/** @returns null where they have too many bytes */
function collect(tx: Tx, done: readonly TaskRow[], nameOf: (part: TaskRow) => string): object[] | null {
  const results: object[] = [];
  let bytesLeft = maxBytes;
  for (const part of done) {
    const { text, isLeftOut, bytes } = attemptRows.readResult(tx, part, bytesLeft);
    if (isLeftOut) return null;
    bytesLeft -= bytes;
    results.push({ part: nameOf(part), result: JSON.parse(text ?? "null") as Json });
  }
  return results;
}

/**
 * Changes of a stored task's state.
 *
 *     blocked, scheduled -> queued -> assigned -> running -> done
 *
 * An attempt that ends otherwise is requeued; any state may end as dead or cancelled.
 */

/** Facts about a task for its claim. */
const heldRows = tasks.pick(
  "task",
  "claim",
  "chat",
  "failures",
  "maxAttempts",
  "type",
  "priority",
  "state",
  "progress",
  "checkpoint",
  "closeAt",
  "closeMs",
  "dueAt",
  "heartbeatMs",
  "budget",
);

export type HeldRow = RowOf<typeof heldRows>;
export const heldColumns = heldRows.columns();

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
 * @param columns of a row that are returned
 */
export function assign<Row extends HeldRow = HeldRow>(
  tx: Tx,
  tasks: readonly number[],
  { chat, requestId, isStarted }: Assignment,
  columns = heldColumns,
): Row[] {
  const startedAt = isStarted ? tx.now : null;
  const assigned = tx.sql.all<Row>(
    `UPDATE tasks SET state = ?, claim = max(claim, ?) + 1, chat = ?, incarnation = ?, requestId = ?, assignedAt = ?, startedAt = ?,
       seenAt = ?, closeAt = ? + closeMs, dueAt = ? + iif(?, min(closeMs, heartbeatMs), ?)
     WHERE task IN (SELECT value FROM json_each(?)) RETURNING ${columns}`,
    isStarted ? "running" : "assigned",
    epochStart(tx),
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
export function firstDue(held: readonly Pick<TaskRow, "dueAt">[]): number {
  return Math.min(...held.map(({ dueAt: at }) => at ?? Infinity));
}

type StartedColumns = Pick<TaskRow, "task" | "requestId" | "closeMs" | "heartbeatMs">;

/** @param chat which holds the task */
export function start<Row extends StartedColumns>(tx: Tx, chat: LivenessRow, row: Row): Row {
  const { task, requestId, closeMs, heartbeatMs } = row;
  const times = { startedAt: tx.now, seenAt: tx.now, closeAt: tx.now + closeMs };
  const change = { state: "running", requestId, ...times, dueAt: nextCheckAt({ ...times, heartbeatMs }) } as const;
  tasks.update(tx.sql, { task }, change);
  scheduleCheck(tx, chat, change.dueAt);
  return { ...row, ...change };
}

interface RequeueInput {
  readonly ended: Exclude<AttemptEnd, "done">;
  readonly reason?: string | undefined;
  readonly isRetryable?: boolean;
  readonly delayMs?: number | undefined;
  readonly limitReached?: string | null;
}

/** Counter that each end raises; absent: the end is free. */
const counters: Partial<Record<AttemptEnd, "failures" | "stalls" | "lostChats">> = {
  failed: "failures",
  timeout: "failures",
  stalled: "stalls",
  chat_offline: "lostChats",
};

/** Backoff after a failure, else the given delay or none. Keeps the progress. */
export function requeue(tx: Tx, before: TaskRow, input: RequeueInput): TaskState {
  const { ended, reason } = input;
  const counter = counters[ended];
  const row = {
    ...before,
    detail: reason ?? before.detail,
    ...(counter ? { [counter]: before[counter] + 1 } : {}),
  };
  if (counter === "failures" || counter === "stalls") recordRun(tx, [before], false);
  const became = endOrRetry(tx, row, input);
  attemptRows.insert(tx, before, { ended, became, reason: reason ?? null });
  routes.record(tx, before, { ended, became });
  return became;
}

function endOrRetry(tx: Tx, row: TaskRow, input: RequeueInput): TaskState {
  const { ended, reason, delayMs, limitReached } = input;
  if (row.cancelReason !== null) return finish(tx, row, { state: "cancelled", detail: row.cancelReason });
  const death = findDeathReason(tx, row, input);
  if (death) return finish(tx, row, { state: "dead", reason: death, detail: limitReached ?? reason ?? ended });
  return makeRunnable(tx, row, tx.now + (delayMs ?? (counters[ended] === "failures" ? backoffMs(row) : 0)));
}

/** Limits failures; stalls and lost chats count separately. */
function findDeathReason(
  { settings }: Tx,
  { failures, maxAttempts, stalls, lostChats }: TaskRow,
  { limitReached, isRetryable = true }: RequeueInput,
): DeathReason | null {
  if (limitReached) return "budget_exceeded";
  if (!isRetryable || failures >= maxAttempts) return "failed";
  return stalls >= settings.maxStalls || lostChats >= settings.maxLostChats ? "poison" : null;
}

/** A started task counts the chat as lost, unless the chat left by itself. */
export function requeueAllOf(tx: Tx, chat: string, reason: OfflineReason): void {
  for (const row of rows.heldBy(tx, chat)) {
    const lossReason = reason === "left" ? "chat_left" : "chat_offline";
    requeue(tx, row, {
      ended: row.state === "running" ? lossReason : "not_started",
      reason: `chat ${chat}: ${offlineWords[reason]}`,
    });
  }
}

/** Delay before a task that waits for a partition key tries again. */
const laneRetryMs = 60_000;

/** Queues or schedules a task whose dependencies have ended; a join is done at once. */
export function makeRunnable(tx: Tx, row: TaskRow, notBefore = row.notBefore): TaskState {
  if (row.joinRule !== null) return completeJoin(tx, row);
  // A scheduled task needs no partition key yet.
  const hasLane = notBefore > tx.now || !lanes.exceedsLimit(tx, new Set([row.lane]));
  return storeRunnable(tx, row, hasLane ? notBefore : tx.now + laneRetryMs);
}

function storeRunnable(tx: Tx, row: TaskRow, notBefore: number): TaskState {
  const isLater = notBefore > tx.now;
  const expiry = row.queueMs === null ? null : tx.now + row.queueMs;
  const state = isLater ? "scheduled" : "queued";
  const { detail, failures, stalls, lostChats, task } = row;
  const counts = { detail, failures, stalls, lostChats };
  const free = { chat: null, incarnation: null, requestId: null, assignedAt: null, startedAt: null, seenAt: null };
  const times = { notBefore, queuedAt: isLater ? null : tx.now, dueAt: isLater ? notBefore : expiry };
  const change = { state, reason: null, ...counts, ...free, closeAt: null, endedAt: null, ...times } as const;
  tasks.update(tx.sql, { task }, change);
  if (!isLater) tx.requestDispatch();
  return state;
}

/** Done at once, as the coordinator's own attempt. */
function completeJoin(tx: Tx, row: TaskRow): TaskState {
  const answer = joinResults(tx, row);
  if (!answer.ok) return finish(tx, row, { state: "dead", reason: "failed", detail: answer.error.slice(0, 500) });
  const attempt = {
    ...row,
    claim: Math.max(row.claim, epochStart(tx)) + 1,
    chat: attemptRows.coordinatorChat,
    incarnation: 0,
    queuedAt: tx.now,
    assignedAt: tx.now,
    startedAt: tx.now,
  };
  tasks.update(tx.sql, { task: row.task }, { claim: attempt.claim });
  attemptRows.insert(tx, attempt, { ended: "done", became: "done", result: answer.value });
  return finish(tx, attempt, { state: "done" });
}

export interface TaskEnd {
  readonly state: "done" | "dead" | "cancelled";
  readonly reason?: DeathReason;
  readonly detail?: string | null;
}

export function finish(tx: Tx, row: TaskRow, { state, reason, detail }: TaskEnd): TaskState {
  const pruneAt = retention.pruneTimeOf(tx, state);
  const { task, failures, stalls, lostChats } = row;
  const counts = { reason: reason ?? null, detail: detail ?? null, failures, stalls, lostChats };
  const free = { chat: null, incarnation: null, requestId: null, doneBy: null, doneIncarnation: null, result: null };
  tasks.update(tx.sql, { task }, { state, ...counts, ...free, endedAt: tx.now, dueAt: pruneAt });
  if (state !== "done" && row.state !== "dead") totals.add(tx, "shim_task_ends_total", state);
  retention.schedule(tx, pruneAt);
  updateDependents(tx, rows.dependentsOf(tx, [task]));
  return state;
}

/** Ends tasks that one chat has done. @param results JSON texts in the order of the rows */
export function complete(tx: Tx, held: readonly TaskRow[], results: readonly string[]): void {
  const pruneAt = retention.pruneTimeOf(tx, "done");
  tasks.updateAll(
    tx.sql,
    held.map(({ task }, at) => ({ task, result: results[at] ?? null })),
    {
      state: "done",
      reason: null,
      detail: null,
      doneBy: held[0]?.chat ?? null,
      doneIncarnation: held[0]?.incarnation ?? null,
      chat: null,
      incarnation: null,
      requestId: null,
      endedAt: tx.now,
      dueAt: pruneAt,
    },
  );
  for (const row of held) attemptRows.prune(tx, row, attemptRows.maxAttemptsKept - 1);
  retention.schedule(tx, pruneAt);
  const dependents = rows.dependentsOf(
    tx,
    held.map(({ task }) => task),
  );
  updateDependents(tx, dependents);
}

/** Continues tasks after their last dependency; they die with a dead or cancelled one. */
export function updateDependents(tx: Tx, tasks: readonly number[]): void {
  for (const task of tasks) {
    const row = rows.find(tx, task);
    if (row?.state !== "blocked") continue;
    const dependencies = dependencyState(tx, rows.dependenciesOf(tx, task), row.onDeath);
    if (dependencies.state === "free") makeRunnable(tx, row);
    else if (dependencies.state === "doomed") finish(tx, row, dependencyDeath(dependencies.by));
  }
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

export function dependencyState({ sql }: Tx, needed: readonly number[], onDeath: TaskRow["onDeath"]): DependencyState {
  if (needed.length === 0) return { state: "free" };
  const found = sql.all<Pick<TaskRow, "task" | "state">>(
    `SELECT task, state FROM tasks WHERE task IN (${needed.map(() => "?").join(", ")}) AND state <> 'done' ORDER BY task`,
    ...needed,
  );
  const failed = onDeath === "fail" && found.find(isEnded);
  if (failed) return { state: "doomed", by: failed.task };
  return { state: found.every(isEnded) ? "free" : "blocked" };
}

const isWaitingSql = "state IN ('scheduled', 'queued')";

/** Tasks that no chat holds: a held one is due with its chat, whose time is never later. */
export const dueAt = `SELECT min(dueAt) FROM tasks WHERE ${isWaitingSql} AND dueAt IS NOT NULL`;

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
    `SELECT task, dueAt AS due FROM tasks WHERE ${isWaitingSql} AND dueAt <= ? ORDER BY dueAt, task LIMIT ?`,
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
