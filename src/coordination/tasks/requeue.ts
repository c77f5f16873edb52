import type { OfflineReason } from "../../contract/chats.ts";
import type { AttemptEnd, DeathReason, TaskState } from "../../contract/tasks.ts";
import * as attemptRows from "./attempt-rows.ts";
import * as chatPerformance from "./chat-performance.ts";
import * as rows from "./task-rows.ts";
import type { TaskRow } from "./task-rows.ts";
import { finish, makeRunnable } from "./task-states.ts";
import { backoffMs } from "./task-times.ts";
import type { Tx } from "../kernel/tx.ts";

/** An attempt that ends without a result: the task waits for the next one, or has had its last. */

interface RequeueInput {
  readonly ended: Exclude<AttemptEnd, "done">;
  readonly reason?: string;
  readonly isRetryable?: boolean;
  readonly delayMs?: number | undefined;
  /** [BU3] Which budget it has used up. */
  readonly limitReached?: string | null;
}

/** What each end counts as; nothing: it costs the task nothing. */
const counters: Partial<Record<AttemptEnd, "failures" | "stalls" | "lost_chats">> = {
  failed: "failures",
  timeout: "failures",
  stalled: "stalls",
  chat_offline: "lost_chats",
};

/** [TA10] After a failure it waits for its backoff; all else is queued at once. [TA19] What was told of progress goes along. */
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
  return became;
}

function endOrRetry(tx: Tx, row: TaskRow, input: RequeueInput): TaskState {
  const { ended, reason, delayMs, limitReached } = input;
  if (row.cancel_reason !== null) return finish(tx, row, { state: "cancelled", detail: row.cancel_reason });
  const death = findDeathReason(tx, row, input);
  if (death) return finish(tx, row, { state: "dead", reason: death, detail: limitReached ?? reason ?? ended });
  return makeRunnable(tx, row, counters[ended] === "failures" ? tx.now + (delayMs ?? backoffMs(row)) : tx.now);
}

/** [TA10] So many failures; [TA20] stalls and lost chats are counted apart. */
function findDeathReason(
  { settings }: Tx,
  { failures, max_attempts, stalls, lost_chats }: TaskRow,
  { limitReached, isRetryable = true }: RequeueInput,
): DeathReason | null {
  if (limitReached) return "budget_exceeded";
  if (!isRetryable || failures >= max_attempts) return "failed";
  return stalls >= settings.maxStalls || lost_chats >= settings.maxLostChats ? "poison" : null;
}

/** [TA20] A chat that is gone gives back what it has: what it had begun has cost the chat, unless it left by itself. */
export function requeueAllOf(tx: Tx, chat: string, reason: OfflineReason): void {
  for (const row of rows.heldBy(tx, chat)) {
    const lossReason = reason === "left" ? "chat_left" : "chat_offline";
    requeue(tx, row, {
      ended: row.state === "running" ? lossReason : "not_started",
      reason: `chat ${chat}: ${reason}`,
    });
  }
}
