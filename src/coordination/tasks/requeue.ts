import type { OfflineReason } from "../../contract/chats.ts";
import type { AttemptEnd, DeathReason, TaskState } from "../../contract/tasks.ts";
import * as attemptRows from "./attempt-rows.ts";
import * as chatPerformance from "./chat-performance.ts";
import * as rows from "./task-rows.ts";
import type { TaskRow } from "./task-rows.ts";
import { finish, makeRunnable } from "./task-states.ts";
import { backoffMs } from "./task-times.ts";
import type { Tx } from "../kernel/tx.ts";

interface RequeueInput {
  readonly ended: Exclude<AttemptEnd, "done">;
  readonly reason?: string;
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

/** [TA33] Backoff after a failure; otherwise queued at once. [TA19] Keeps the progress. */
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
