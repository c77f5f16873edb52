import type * as balance from "./balance.ts";
import * as budgets from "./budgets.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import type { Tx } from "../kernel/tx.ts";

export interface AvailableChat extends balance.Candidate {
  readonly life: chatRows.LivenessRow;
}

export interface AvailableChatRow extends chatRows.LivenessRow {
  readonly held: number;
  readonly lastAssignedAt: number | null;
}

export const columns = `chats.chat, chats.incarnation, machine, status, lastSeenAt, isConnected, graceUntil, dueAt, capabilities, capacity,
  lastAssignedAt, (SELECT count(*) FROM tasks WHERE tasks.chat = chats.chat) AS held`;

export interface TypedChat extends AvailableChat {
  readonly types: ReadonlySet<string>;
}

/** Whether any chat takes tasks; it may be unavailable. */
export function exists({ sql }: Tx): boolean {
  return sql.all("SELECT 1 FROM chats WHERE taskTypes IS NOT NULL AND status <> 'offline' LIMIT 1").length > 0;
}

export function listAll(tx: Tx): TypedChat[] {
  const rows = tx.sql.all<AvailableChatRow & { readonly taskTypes: string }>(
    `SELECT ${columns}, taskTypes FROM chats
     WHERE taskTypes IS NOT NULL AND status <> 'offline' AND status NOT IN ('draining', 'stuck') ORDER BY chat`,
  );
  return rows.flatMap((row) => {
    const chat = toAvailable(tx, row);
    return chat ? [{ ...chat, types: new Set(JSON.parse(row.taskTypes) as string[]) }] : [];
  });
}

/** [BU4] [QU6] Null for a chat that is over budget, offline or not connected. */
export function toAvailable(tx: Tx, row: AvailableChatRow): AvailableChat | null {
  if (tx.presence.lastSeen(row.chat) === null || chatRows.offlineReason(tx, row) !== null) return null;
  if (budgets.checkExhausted(tx, row.chat) !== null) return null;
  return {
    chat: row.chat,
    running: row.held,
    capacity: row.capacity,
    capabilities: JSON.parse(row.capabilities) as string[],
    performance: null,
    lastAssignedAt: row.lastAssignedAt,
    life: row,
  };
}
