import type { Refusal } from "../../contract/errors.ts";
import type { CheckedInputOf } from "../../contract/operations.ts";
import type { AttemptEnd, ClaimedTask, TaskState, ClaimedTaskReference } from "../../contract/tasks.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { jsonText } from "../../contract/json.ts";
import * as attemptRows from "./attempt-rows.ts";
import * as budgets from "./budgets.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import * as claims from "./claims.ts";
import * as chatPerformance from "./chat-performance.ts";
import * as lifecycle from "./lifecycle.ts";
import * as routes from "./routes.ts";
import * as rows from "./task-rows.ts";
import { isExpired, remainingMs, type TaskRow } from "./task-rows.ts";
import type { Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";

interface ClaimCheck {
  readonly chat: chatRows.LivenessRow;
  readonly row: TaskRow;
  readonly isHeld: boolean;
}

function checkClaim(tx: Tx, { self, task, claim }: ClaimedTaskReference): Result<ClaimCheck, Refusal> {
  const actor = chatRows.requireLiveChat(tx, self);
  if (!actor.ok) return actor;
  const found = rows.requireTask(tx, task);
  if (!found.ok) return found;
  const row = found.value;
  const isOwn = row.chat === self.chat && row.incarnation === self.incarnation && row.claim === claim;
  return ok({ chat: actor.value, row, isHeld: isOwn && !isExpired(tx, row) });
}

/** [TA5] Calls of a stale claim change nothing. */
function staleClaim({ task, claim }: ClaimedTaskReference, { row }: ClaimCheck): Refusal {
  return {
    code: "stale_claim",
    message: `claim ${claim} of task ${task} has ended; stop the work on it (the task is now ${row.state})`,
    details: { task, state: row.state },
  };
}

/** Starts an assigned task implicitly. */
function requireRunning(tx: Tx, input: ClaimedTaskReference): Result<TaskRow, Refusal> {
  const claimCheck = checkClaim(tx, input);
  if (!claimCheck.ok) return claimCheck;
  const { row, isHeld } = claimCheck.value;
  if (!isHeld) return err(staleClaim(input, claimCheck.value));
  // [BU4] An exhausted budget stops assigned tasks from starting too.
  const refused = row.state === "assigned" ? budgets.checkExhausted(tx, input.self.chat) : null;
  if (refused) return err(refused);
  return ok(row.state === "running" ? row : lifecycle.start(tx, claimCheck.value.chat, row));
}

export const handlers = {
  "tasks.start"(tx, input) {
    const row = requireRunning(tx, input);
    return row.ok ? ok({ remainingMs: remainingMs(tx, row.value) }) : row;
  },

  /** [TA17] Writes no row without news within a third of the silence limit. */
  "tasks.heartbeat"(tx, input) {
    const running = requireRunning(tx, input);
    if (!running.ok) return running;
    const row = running.value;
    const limitReached = budgets.recordUsage(tx, row, input.usage);
    const reported = withReported(row, input);
    const { progress, checkpoint, route } = reported;
    if (hasChanged(row, reported) || tx.now - (row.seenAt ?? 0) >= row.heartbeatMs / 3) {
      tx.sql.run(
        "UPDATE tasks SET seenAt = ?, progress = ?, checkpoint = ?, route = ? WHERE task = ?",
        tx.now,
        progress,
        checkpoint,
        route,
        row.task,
      );
    }
    if (limitReached !== null)
      lifecycle.requeue(tx, { ...row, ...reported }, { ended: "budget_exceeded", reason: limitReached, limitReached });
    return ok({
      isCancelled: row.cancelReason !== null,
      isOverBudget: limitReached !== null,
      reason: limitReached ?? row.cancelReason,
      remainingMs: limitReached === null ? remainingMs(tx, row) : 0,
    });
  },

  "tasks.ack"(tx, input) {
    const done = endClaim(tx, input, "done", (row) => {
      // A result is accepted whatever it cost.
      budgets.recordFinalUsage(tx, row, input.usage);
      chatPerformance.record(tx, row, true);
      const became = lifecycle.finish(tx, row, { state: "done", result: jsonText(input.result) });
      routes.record(tx, routes.withModels(row, input), { ended: "done", became });
      return became;
    });
    if (!done.ok) return done;
    return ok({ state: done.value.state, next: claimNext(tx, done.value, input) });
  },

  "tasks.nack"(tx, input) {
    const { reason, isRetryable, delayMs } = input;
    const failed = endClaim(tx, input, "failed", (row) =>
      lifecycle.requeue(tx, routes.withModels(row, input), {
        ended: "failed",
        reason,
        isRetryable,
        delayMs,
        limitReached: budgets.recordFinalUsage(tx, row, input.usage),
      }),
    );
    if (!failed.ok) return failed;
    return ok({ state: failed.value.state, next: claimNext(tx, failed.value, input) });
  },

  "tasks.extend"(tx, input) {
    const row = requireRunning(tx, input);
    if (!row.ok) return row;
    const extended = { ...row.value, seenAt: tx.now, closeAt: Math.max(row.value.closeAt ?? 0, tx.now + input.ms) };
    tx.sql.run("UPDATE tasks SET closeAt = ?, seenAt = ? WHERE task = ?", extended.closeAt, tx.now, extended.task);
    return ok({ remainingMs: remainingMs(tx, extended) });
  },

  "tasks.release"(tx, input) {
    const released = endClaim(tx, input, "released", (row) =>
      lifecycle.requeue(tx, routes.withModels(row, input), {
        ended: "released",
        reason: input.reason,
        delayMs: input.delayMs,
        limitReached: budgets.recordFinalUsage(tx, row, input.usage),
      }),
    );
    return released.ok ? ok({ state: released.value.state }) : released;
  },
} satisfies Partial<Handlers>;

type Reported = Pick<TaskRow, "progress" | "checkpoint" | "route">;

function hasChanged(row: Reported, { progress, checkpoint, route }: Reported): boolean {
  return progress !== row.progress || checkpoint !== row.checkpoint || route !== row.route;
}

function withReported(row: TaskRow, input: CheckedInputOf<"tasks.heartbeat">): Reported {
  const { progress, checkpoint } = input;
  return {
    progress: progress === undefined ? row.progress : JSON.stringify(progress),
    checkpoint: checkpoint === undefined ? row.checkpoint : JSON.stringify(checkpoint),
    route: routes.withModels(row, input).route,
  };
}

interface EndedClaim {
  readonly chat: chatRows.LivenessRow;
  readonly state: TaskState;
  readonly isRepeat: boolean;
}

/** [TA6] A repeat gets the first answer. */
function endClaim(
  tx: Tx,
  input: ClaimedTaskReference,
  ended: AttemptEnd,
  work: (row: TaskRow) => TaskState,
): Result<EndedClaim, Refusal> {
  const claimCheck = checkClaim(tx, input);
  if (!claimCheck.ok) return claimCheck;
  const { chat, row, isHeld } = claimCheck.value;
  if (isHeld) return ok({ chat, state: work(row), isRepeat: false });
  const recorded = attemptRows.find(tx, row.task, input.claim);
  const isRepeat =
    recorded?.chat === chat.chat && recorded.incarnation === chat.incarnation && recorded.ended === ended;
  return isRepeat ? ok({ chat, state: recorded.became, isRepeat }) : err(staleClaim(input, claimCheck.value));
}

/** A repeat claims nothing new: it may be late, and its answer unread. */
export function claimNext(
  tx: Tx,
  { chat, isRepeat }: EndedClaim,
  { task, claim, next }: CheckedInputOf<"tasks.ack"> | CheckedInputOf<"tasks.nack">,
): ClaimedTask[] {
  if (!next) return [];
  // Client ids contain no blank.
  const requestId = `after ${task} ${claim}`;
  return isRepeat ? claims.repeat(tx, chat, requestId) : claims.next(tx, chat, requestId, next);
}
