import type { Refusal } from "../../contract/errors.ts";
import type { ChatRow } from "../kernel/chat-rows.ts";
import * as liveness from "./liveness.ts";
import * as meta from "../kernel/meta.ts";
import * as tokens from "../workspace/tokens.ts";
import type { Tx } from "../kernel/tx.ts";

export function checkRegistration(tx: Tx, old: ChatRow | null, machine: string): Refusal | null {
  if (old && old.status !== "offline") return null;
  return checkWorkspaceLimit(tx) ?? checkMachineShare(tx, machine) ?? (old ? null : checkOfflineLimit(tx, machine));
}

/** [CH12] A chat that holds nothing is not watched; it expires when room is needed. */
function checkWorkspaceLimit(tx: Tx): Refusal | null {
  const limit = tx.settings.maxConcurrentChats;
  if (meta.countLiveChats(tx.sql) < limit) return null;
  expireGoneChats(tx);
  if (meta.countLiveChats(tx.sql) < limit) return null;
  return {
    code: "too_many_chats",
    message: `${limit} chats are registered, which is the limit of this workspace (setting maxConcurrentChats)`,
    retryAfterMs: tx.settings.chatTtlMs,
  };
}

function expireGoneChats(tx: Tx): void {
  for (const row of tx.sql.all<ChatRow>("SELECT * FROM chats WHERE status <> 'offline'"))
    liveness.goOfflineIfGone(tx, row);
}

/** [CH17] Leaves room for the chats of other machines that have tokens. */
function checkMachineShare(tx: Tx, machine: string): Refusal | null {
  const { maxConcurrentChats, machineChatShare } = tx.settings;
  const limit = Math.max(1, Math.floor(maxConcurrentChats * machineChatShare));
  if (meta.countLiveChats(tx.sql) < limit || !tokens.hasOtherMachine(tx, machine)) return null;
  if (countLive(tx, machine) < limit) return null;
  expireGoneChats(tx);
  if (countLive(tx, machine) < limit) return null;
  return {
    code: "too_many_chats",
    message: `machine ${machine} has ${limit} of the ${maxConcurrentChats} chats of this workspace, which is the limit for one machine while another machine has a token (settings maxConcurrentChats, machineChatShare)`,
    retryAfterMs: tx.settings.chatTtlMs,
  };
}

function countLive({ sql }: Tx, machine: string): number {
  const query = "SELECT count(*) AS n FROM chats WHERE machine = ? AND status <> 'offline'";
  return sql.all<{ n: number }>(query, machine)[0]?.n ?? 0;
}

/** [CH18] Offline chats are kept for their time, so a machine with too many must wait. */
function checkOfflineLimit({ sql, now, settings }: Tx, machine: string): Refusal | null {
  const limit = settings.maxOfflineChatsPerMachine;
  const [row] = sql.all<{ n: number; next: number | null }>(
    "SELECT count(*) AS n, min(dueAt) AS next FROM chats WHERE machine = ? AND status = 'offline'",
    machine,
  );
  if ((row?.n ?? 0) < limit) return null;
  return {
    code: "throttled",
    message: `${limit} chats of machine ${machine} have ended and are kept for a day, which is the limit for one machine (maxOfflineChatsPerMachine); use chats longer, or try again later`,
    retryAfterMs: Math.max(1_000, (row?.next ?? now) - now),
  };
}
