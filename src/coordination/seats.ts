import * as balance from "./balance.ts";
import * as budgets from "./budgets.ts";
import * as chatRows from "./chat-rows.ts";
import * as lanes from "./lanes.ts";
import type { Performance } from "./performance.ts";
import type { Tx } from "./tx.ts";

/** Chats that have said which tasks they take, and can be told of one now. */
export interface Seat extends balance.Candidate {
  /** Types of tasks; `*` stands for all. */
  readonly types: ReadonlySet<string>;
  readonly life: chatRows.LifeRow;
}

interface Row extends chatRows.LifeRow {
  readonly capabilities: string;
  readonly capacity: number;
  readonly task_types: string;
  readonly held: number;
  readonly last_assigned_at: number | null;
}

/** [BU4] Nobody whose budget is used up. [QU6] Neither those that are gone, drain or are stuck nor those without a connection: they ask for themselves. */
export function all(tx: Tx): Seat[] {
  return found(tx, "");
}

/** Those with room for one more. */
export function open(tx: Tx): Seat[] {
  return found(tx, "AND held < capacity");
}

function found(tx: Tx, condition: string): Seat[] {
  const rows = tx.sql.all<Row>(
    `SELECT chat, incarnation, machine, status, last_seen_at, is_connected, grace_until, due_at, capabilities, capacity, task_types, last_assigned_at,
       (SELECT count(*) FROM tasks WHERE tasks.chat = chats.chat) AS held
     FROM chats WHERE task_types IS NOT NULL AND status <> 'offline' AND status NOT IN ('draining', 'stuck') ${condition} ORDER BY chat`,
  );
  return rows
    .filter((row) => tx.presence.lastSeen(row.chat) !== null && chatRows.goneBy(tx, row) === null)
    .filter(({ chat }) => budgets.spent(tx, chat) === null)
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

export function withPerformance(seat: Seat, performance: Performance | null): Seat {
  return { ...seat, performance };
}

export function takes(seat: Seat, lane: string): boolean {
  const type = lanes.typeIn(lane);
  const isWanted = seat.types.has("*") || seat.types.has(type);
  return isWanted && balance.isCapable(seat, { capabilities: lanes.capabilitiesIn(lane) });
}

/** Whether something is queued that somebody of them takes and has room for. */
export function areWaiting(tx: Tx): boolean {
  const free = open(tx);
  if (free.length === 0) return false;
  for (const lane of lanes.queued(tx)) if (free.some((seat) => takes(seat, lane))) return true;
  return false;
}
