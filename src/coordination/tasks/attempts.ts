import type { Failure } from "../../contract/errors.ts";
import type { CheckedInputOf } from "../../contract/operations.ts";
import type { AttemptEnd, ClaimedTask, TaskState, ClaimedTaskReference } from "../../contract/tasks.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { jsonText } from "../../contract/values.ts";
import * as attemptRows from "./attempt-rows.ts";
import * as budgets from "./budgets.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import * as claims from "./claims.ts";
import { recordRun } from "./candidates.ts";
import * as lifecycle from "./lifecycle.ts";
import * as routes from "./routes.ts";
import * as rows from "./task-rows.ts";
import { isExpired, remainingMs, type TaskRow } from "./task-rows.ts";
import { byOneChat, type Handlers, type ListHandlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";

interface ClaimCheck {
  readonly chat: chatRows.LivenessRow;
  readonly row: TaskRow;
  readonly isHeld: boolean;
}

function checkClaim(tx: Tx, input: ClaimedTaskReference): Result<ClaimCheck> {
  const chat = chatRows.requireLiveChat(tx, input.self);
  if (!chat.ok) return chat;
  const row = rows.requireTask(tx, input.task);
  return row.ok ? ok({ chat: chat.value, row: row.value, isHeld: isHeld(tx, row.value, input) }) : row;
}

function isHeld(tx: Tx, row: TaskRow, { self, claim }: ClaimedTaskReference): boolean {
  return row.chat === self.chat && row.incarnation === self.incarnation && row.claim === claim && !isExpired(tx, row);
}

/** The rows of the first claims that are held, each once. */
function firstHeld(tx: Tx, claims: readonly ClaimedTaskReference[]): TaskRow[] {
  const stored = rows.findAll(
    tx,
    claims.map(({ task }) => task),
  );
  const held: TaskRow[] = [];
  for (const claim of claims) {
    const row = stored.get(claim.task);
    if (!row || !isHeld(tx, row, claim)) break;
    held.push(row);
    stored.delete(claim.task);
  }
  return held;
}

/** Calls of a stale claim change nothing. */
function staleClaim({ task, claim }: ClaimedTaskReference, { row }: ClaimCheck): Failure {
  return {
    code: "stale_claim",
    message: `claim ${claim} of task ${task} has ended; stop the work on it (the task is now ${row.state})`,
    details: { task, state: row.state },
  };
}

/** Starts an assigned task implicitly. */
function requireRunning(tx: Tx, input: ClaimedTaskReference): Result<TaskRow> {
  const claimCheck = checkClaim(tx, input);
  if (!claimCheck.ok) return claimCheck;
  const { row, isHeld } = claimCheck.value;
  if (!isHeld) return err(staleClaim(input, claimCheck.value));
  // An exhausted budget stops assigned tasks from starting too.
  const refused = row.state === "assigned" ? budgets.checkExhausted(tx, input.self.chat) : null;
  if (refused) return err(refused);
  return ok(row.state === "running" ? row : lifecycle.start(tx, claimCheck.value.chat, row));
}

export const lists = {
  /** Up to one that asks for more. */
  "tasks.ack": byOneChat((tx, inputs, chat) => {
    const last = inputs.findIndex(({ next }) => next !== undefined);
    const held = firstHeld(tx, last < 0 ? inputs : inputs.slice(0, last + 1));
    if (held.length === 0) {
      const [input] = inputs;
      const repeated = endClaim(tx, input, "done", ({ state }) => state);
      return [repeated.ok ? ok({ state: repeated.value.state, next: claimNext(tx, repeated.value, input) }) : repeated];
    }
    // A result is accepted whatever it cost.
    for (const [at, row] of held.entries()) budgets.recordUsage(tx, row, inputs[at]?.usage, true);
    recordRun(tx, held, true);
    const done = inputs.slice(0, held.length);
    lifecycle.complete(
      tx,
      held,
      done.map(({ result }) => jsonText(result)),
    );
    for (const [at, row] of held.entries())
      routes.record(tx, routes.withModels(row, inputs[at] ?? {}), { ended: "done", became: "done" });
    return done.map((input) =>
      ok({ state: "done", next: claimNext(tx, { chat, state: "done", isRepeat: false }, input) }),
    );
  }),
} satisfies Partial<ListHandlers>;

export const handlers = {
  /** Writes no row without news within a third of the silence limit. */
  "tasks.heartbeat"(tx, input) {
    const running = requireRunning(tx, input);
    if (!running.ok) return running;
    const row = running.value;
    const limitReached = budgets.recordUsage(tx, row, input.usage, false);
    const reported = withReported(row, input);
    const { progress, checkpoint, route } = reported;
    const hasChanged = progress !== row.progress || checkpoint !== row.checkpoint || route !== row.route;
    if (hasChanged || tx.now - (row.seenAt ?? 0) >= row.heartbeatMs / 3) {
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

  "tasks.nack"(tx, input) {
    const failed = giveUp(tx, input, "failed", input.isRetryable);
    return failed.ok ? ok({ state: failed.value.state, next: claimNext(tx, failed.value, input) }) : failed;
  },

  "tasks.release"(tx, input) {
    const released = giveUp(tx, input, "released");
    return released.ok ? ok({ state: released.value.state }) : released;
  },
} satisfies Partial<Handlers>;

type Reported = Pick<TaskRow, "progress" | "checkpoint" | "route">;

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

/** A repeat gets the first answer. */
function endClaim(
  tx: Tx,
  input: ClaimedTaskReference,
  ended: AttemptEnd,
  work: (row: TaskRow) => TaskState,
): Result<EndedClaim> {
  const claimCheck = checkClaim(tx, input);
  if (!claimCheck.ok) return claimCheck;
  const { chat, row, isHeld } = claimCheck.value;
  if (isHeld) return ok({ chat, state: work(row), isRepeat: false });
  const recorded = attemptRows.find(tx, row.task, input.claim);
  const isRepeat =
    recorded?.chat === chat.chat && recorded.incarnation === chat.incarnation && recorded.ended === ended;
  return isRepeat ? ok({ chat, state: recorded.became, isRepeat }) : err(staleClaim(input, claimCheck.value));
}

function giveUp(
  tx: Tx,
  input: CheckedInputOf<"tasks.nack" | "tasks.release">,
  ended: "failed" | "released",
  isRetryable = true,
): Result<EndedClaim> {
  const { reason, delayMs, usage } = input;
  return endClaim(tx, input, ended, (row) => {
    const limitReached = budgets.recordUsage(tx, row, usage, true);
    return lifecycle.requeue(tx, routes.withModels(row, input), { ended, reason, isRetryable, delayMs, limitReached });
  });
}

/** A repeat claims nothing new: it may be late, and its answer unread. */
function claimNext(
  tx: Tx,
  { chat, isRepeat }: EndedClaim,
  { task, claim, next }: CheckedInputOf<"tasks.ack"> | CheckedInputOf<"tasks.nack">,
): ClaimedTask[] {
  if (!next) return [];
  // Client ids contain no blank.
  const requestId = `after ${task} ${claim}`;
  return isRepeat ? claims.repeat(tx, chat, requestId) : claims.next(tx, chat, requestId, next);
}
