import type { Refusal } from "../contract/errors.ts";
import type { OutputOf } from "../contract/operations.ts";
import type {
  AckTask,
  AttemptEnd,
  BeatTask,
  ClaimedTask,
  ExtendTask,
  HoldTask,
  NackTask,
  ReleaseTask,
  TaskState,
} from "../contract/tasks.ts";
import { err, ok, type Result } from "../shared/result.ts";
import * as attemptRows from "./attempt-rows.ts";
import * as budgets from "./budgets.ts";
import * as chatRows from "./chat-rows.ts";
import * as claims from "./claims.ts";
import * as performances from "./performances.ts";
import { giveBack } from "./returns.ts";
import * as rows from "./task-rows.ts";
import type { TaskRow } from "./task-rows.ts";
import { finish } from "./task-states.ts";
import { isOver, remainingMs } from "./task-times.ts";
import type { Tx } from "./tx.ts";

/** What a chat does with a task that it has. Each carries the claim, and is refused when that is over. */

interface Hold {
  readonly chat: chatRows.LifeRow;
  readonly row: TaskRow;
  /** Present, or over since. */
  readonly isHeld: boolean;
}

function holdOf(tx: Tx, { self, task, claim }: HoldTask): Result<Hold, Refusal> {
  const actor = chatRows.acting(tx, self);
  if (!actor.ok) return actor;
  const found = rows.found(tx, task);
  if (!found.ok) return found;
  const row = found.value;
  const isOwn = row.chat === self.chat && row.incarnation === self.incarnation && row.claim === claim;
  return ok({ chat: actor.value, row, isHeld: isOwn && !isOver(tx, row) });
}

/** [TA5] What an older claim, or one that is over, still sends changes nothing. */
function stale({ task, claim }: HoldTask, { row }: Hold): Refusal {
  return {
    code: "stale_claim",
    message: `claim ${claim} of task ${task} is over; stop the work on it (the task is ${row.state} now)`,
    details: { task, state: row.state },
  };
}

/** The hold and its task, begun: whoever works on what was only assigned has begun it. */
function working(tx: Tx, input: HoldTask): Result<TaskRow, Refusal> {
  const hold = holdOf(tx, input);
  if (!hold.ok) return hold;
  const { row, isHeld } = hold.value;
  if (!isHeld) return err(stale(input, hold.value));
  // [BU4] What was assigned before is not begun either.
  const refused = row.state === "assigned" ? budgets.spent(tx, input.self.chat) : null;
  if (refused) return err(refused);
  return ok(row.state === "running" ? row : claims.begin(tx, row));
}

export function start(tx: Tx, input: HoldTask): Result<OutputOf<"tasks.start">, Refusal> {
  const row = working(tx, input);
  return row.ok ? ok({ remainingMs: remainingMs(tx, row.value) }) : row;
}

/** [TA17] Without news it writes no row within a third of the time that a silence may last. The index of what is due stays as it is. */
export function heartbeat(tx: Tx, input: BeatTask): Result<OutputOf<"tasks.heartbeat">, Refusal> {
  const working_ = working(tx, input);
  if (!working_.ok) return working_;
  const row = working_.value;
  const over = budgets.note(tx, row, input.usage);
  const { progress, checkpoint } = withNews(row, input);
  const isNews = progress !== row.progress || checkpoint !== row.checkpoint;
  if (isNews || tx.now - (row.seen_at ?? 0) >= row.heartbeat_ms / 3) {
    tx.sql.run(
      "UPDATE tasks SET seen_at = ?, progress = ?, checkpoint = ? WHERE task = ?",
      tx.now,
      progress,
      checkpoint,
      row.task,
    );
  }
  // [BU3]
  if (over !== null) giveBack(tx, { ...row, progress, checkpoint }, { ended: "budget_exceeded", reason: over, over });
  return ok({
    isCancelled: row.cancel_reason !== null,
    isOverBudget: over !== null,
    reason: over ?? row.cancel_reason,
    remainingMs: over === null ? remainingMs(tx, row) : 0,
  });
}

/** As this heartbeat leaves them. */
function withNews(row: TaskRow, { progress, checkpoint }: BeatTask): Pick<TaskRow, "progress" | "checkpoint"> {
  return {
    progress: progress === undefined ? row.progress : JSON.stringify(progress),
    checkpoint: checkpoint === undefined ? row.checkpoint : JSON.stringify(checkpoint),
  };
}

/** Never less than before, so that it can be repeated. */
export function extend(tx: Tx, input: ExtendTask): Result<OutputOf<"tasks.extend">, Refusal> {
  const row = working(tx, input);
  if (!row.ok) return row;
  const extended = { ...row.value, seen_at: tx.now, close_at: Math.max(row.value.close_at ?? 0, tx.now + input.ms) };
  tx.sql.run("UPDATE tasks SET close_at = ?, seen_at = ? WHERE task = ?", extended.close_at, tx.now, extended.task);
  return ok({ remainingMs: remainingMs(tx, extended) });
}

interface Ended {
  readonly chat: chatRows.LifeRow;
  readonly state: TaskState;
  readonly isRepeat: boolean;
}

/** [TA6] A repeat is answered like the first time. */
function ends(tx: Tx, input: HoldTask, ended: AttemptEnd, work: (row: TaskRow) => TaskState): Result<Ended, Refusal> {
  const hold = holdOf(tx, input);
  if (!hold.ok) return hold;
  const { chat, row, isHeld } = hold.value;
  if (isHeld) return ok({ chat, state: work(row), isRepeat: false });
  const known = attemptRows.find(tx, row.task, input.claim);
  const isRepeat = known?.chat === chat.chat && known.incarnation === chat.incarnation && known.ended === ended;
  return isRepeat ? ok({ chat, state: known.became, isRepeat }) : err(stale(input, hold.value));
}

/** A repeat takes nothing new: it may have been long on its way, and nobody wait for its answer. */
function nextOf(tx: Tx, { chat, isRepeat }: Ended, { task, claim, next }: AckTask | NackTask): ClaimedTask[] {
  if (!next) return [];
  // No id of a client has a blank.
  const requestId = `after ${task} ${claim}`;
  return isRepeat ? claims.again(tx, chat, requestId) : claims.next(tx, chat, requestId, next);
}

export function ack(tx: Tx, input: AckTask): Result<OutputOf<"tasks.ack">, Refusal> {
  const done = ends(tx, input, "done", (row) => {
    // A result that is there is taken, whatever it has cost.
    budgets.noteLast(tx, row, input.usage);
    performances.learn(tx, row, true);
    // Before the end: what follows from it may be a join of the results.
    attemptRows.insert(tx, row, { ended: "done", became: "done", result: JSON.stringify(input.result) });
    return finish(tx, row, { state: "done" });
  });
  if (!done.ok) return done;
  return ok({ state: done.value.state, next: nextOf(tx, done.value, input) });
}

export function nack(tx: Tx, input: NackTask): Result<OutputOf<"tasks.nack">, Refusal> {
  const { reason, isRetryable, delayMs } = input;
  const failed = ends(tx, input, "failed", (row) =>
    giveBack(tx, row, { ended: "failed", reason, isRetryable, delayMs, over: budgets.noteLast(tx, row, input.usage) }),
  );
  if (!failed.ok) return failed;
  return ok({ state: failed.value.state, next: nextOf(tx, failed.value, input) });
}

export function release(tx: Tx, input: ReleaseTask): Result<OutputOf<"tasks.release">, Refusal> {
  const released = ends(tx, input, "released", (row) =>
    giveBack(tx, row, { ended: "released", over: budgets.noteLast(tx, row, input.usage) }),
  );
  return released.ok ? ok({ state: released.value.state }) : released;
}
