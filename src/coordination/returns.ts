import type { OfflineReason } from "../contract/chats.ts";
import type { AttemptEnd, DeathReason, TaskState } from "../contract/tasks.ts";
import * as attemptRows from "./attempt-rows.ts";
import * as performances from "./performances.ts";
import * as rows from "./task-rows.ts";
import type { TaskRow } from "./task-rows.ts";
import { finish, wait } from "./task-states.ts";
import { backoffMs } from "./task-times.ts";
import type { Tx } from "./tx.ts";

/** An attempt that ends without a result: the task waits for the next one, or has had its last. */

interface Return {
  readonly ended: Exclude<AttemptEnd, "done">;
  readonly reason?: string;
  readonly isRetryable?: boolean;
  readonly delayMs?: number | undefined;
  /** [BU3] Which budget it has used up. */
  readonly over?: string | null;
}

/** What each end counts as; nothing: it costs the task nothing. */
const counters: Partial<Record<AttemptEnd, "failures" | "stalls" | "lost_chats">> = {
  failed: "failures",
  timeout: "failures",
  stalled: "stalls",
  chat_offline: "lost_chats",
};

/** [TA10] After a failure it waits for its backoff; all else is queued at once. [TA19] What was told of progress goes along. */
export function giveBack(tx: Tx, before: TaskRow, how: Return): TaskState {
  const { ended, reason } = how;
  const counter = counters[ended];
  const row = {
    ...before,
    detail: reason ?? before.detail,
    ...(counter ? { [counter]: before[counter] + 1 } : {}),
  };
  if (counter === "failures" || counter === "stalls") performances.learn(tx, before, false);
  const became = follow(tx, row, how);
  attemptRows.insert(tx, before, { ended, became, reason: reason ?? null });
  return became;
}

function follow(tx: Tx, row: TaskRow, how: Return): TaskState {
  const { ended, reason, delayMs, over } = how;
  if (row.cancel_reason !== null) return finish(tx, row, { state: "cancelled", detail: row.cancel_reason });
  const death = deathOf(tx, row, how);
  if (death) return finish(tx, row, { state: "dead", reason: death, detail: over ?? reason ?? ended });
  return wait(tx, row, counters[ended] === "failures" ? tx.now + (delayMs ?? backoffMs(row)) : tx.now);
}

/** [TA10] So many failures; [TA20] stalls and lost chats are counted apart. */
function deathOf(
  { settings }: Tx,
  { failures, max_attempts, stalls, lost_chats }: TaskRow,
  { over, isRetryable = true }: Return,
): DeathReason | null {
  if (over) return "budget_exceeded";
  if (!isRetryable || failures >= max_attempts) return "failed";
  return stalls >= settings.maxStalls || lost_chats >= settings.maxLostChats ? "poison" : null;
}

/** [TA20] A chat that is gone gives back what it has: what it had begun has cost the chat, unless it left by itself. */
export function giveBackAllOf(tx: Tx, chat: string, reason: OfflineReason): void {
  for (const row of rows.heldBy(tx, chat)) {
    const lost = reason === "left" ? "chat_left" : "chat_offline";
    giveBack(tx, row, { ended: row.state === "running" ? lost : "not_started", reason: `chat ${chat}: ${reason}` });
  }
}
