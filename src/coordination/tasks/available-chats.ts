import * as balance from "./balance.ts";
import * as budgets from "./budgets.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import * as lanes from "./lanes.ts";
import type { Performance } from "../kernel/performance.ts";
import type { Tx } from "../kernel/tx.ts";

export interface AvailableChat extends balance.Candidate {
  readonly types: ReadonlySet<string>;
  readonly life: chatRows.LivenessRow;
}

interface AvailableChatRow extends chatRows.LivenessRow {
  readonly capabilities: string;
  readonly capacity: number;
  readonly task_types: string;
  readonly held: number;
  readonly last_assigned_at: number | null;
}

/** [BU4] [QU6] Excludes chats that are over budget, offline, draining, stuck or not connected. */
export function listAll(tx: Tx): AvailableChat[] {
  return query(tx, "");
}

export function listWithRoom(tx: Tx): AvailableChat[] {
  return query(tx, "AND held < capacity");
}

function query(tx: Tx, condition: string): AvailableChat[] {
  const rows = tx.sql.all<AvailableChatRow>(
    `SELECT chat, incarnation, machine, status, last_seen_at, is_connected, grace_until, due_at, capabilities, capacity, task_types, last_assigned_at,
       (SELECT count(*) FROM tasks WHERE tasks.chat = chats.chat) AS held
     FROM chats WHERE task_types IS NOT NULL AND status <> 'offline' AND status NOT IN ('draining', 'stuck') ${condition} ORDER BY chat`,
  );
  return rows
    .filter((row) => tx.presence.lastSeen(row.chat) !== null && chatRows.offlineReason(tx, row) === null)
    .filter(({ chat }) => budgets.checkExhausted(tx, chat) === null)
    .map((row) => ({
      chat: row.chat,
      running: row.held,
      capacity: row.capacity,
      capabilities: JSON.parse(row.capabilities) as string[],
      performance: null,
      lastAssignedAt: row.last_assigned_at,
      types: new Set(JSON.parse(row.task_types) as string[]),
      life: row,
    }));
}

export function withPerformance(candidate: AvailableChat, performance: Performance | null): AvailableChat {
  return { ...candidate, performance };
}

export function accepts(candidate: AvailableChat, lane: string): boolean {
  const type = lanes.typeIn(lane);
  const acceptsType = candidate.types.has("*") || candidate.types.has(type);
  return acceptsType && balance.isCapable(candidate, { capabilities: lanes.capabilitiesIn(lane) });
}

export function hasWork(tx: Tx): boolean {
  const withRoom = listWithRoom(tx);
  if (withRoom.length === 0) return false;
  for (const lane of lanes.listQueued(tx)) if (withRoom.some((candidate) => accepts(candidate, lane))) return true;
  return false;
}
