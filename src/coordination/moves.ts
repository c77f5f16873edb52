import * as attemptRows from "./attempt-rows.ts";
import type { Seat } from "./balance.ts";
import * as chatRows from "./chat-rows.ts";
import { assign, pushed } from "./claims.ts";
import * as lanes from "./lanes.ts";
import * as meta from "./meta.ts";
import { rebalance, type Assigned } from "./rebalance.ts";
import * as seats from "./seats.ts";
import * as rows from "./task-rows.ts";
import type { TaskRow } from "./task-rows.ts";
import { seekTakers } from "./task-states.ts";
import { isOver } from "./task-times.ts";
import type { Tx } from "./tx.ts";

/** Tasks that were assigned and have not started go to chats with less load, every `balancingIntervalMs` while there are any. */

const nextKey = "rebalance_at";

export const dueAt = `SELECT CAST(value AS INTEGER) FROM meta WHERE key = '${nextKey}'`;

/** [PL21] Something was assigned and has not started. */
export function arm(tx: Tx): void {
  if (meta.read(tx.sql, nextKey) === null) putOff(tx);
}

function putOff(tx: Tx): void {
  meta.write(tx.sql, nextKey, String(tx.now + tx.settings.balancingIntervalMs));
}

/** Chats looked at in one round, by name. */
const mostChats = 1_000;

/** For the alarm. */
export function sweep(tx: Tx): void {
  const waiting = assigned(tx);
  if (waiting.length === 0) return meta.remove(tx.sql, nextKey);
  putOff(tx);
  const takers = new Map(seats.all(tx).map((seat) => [seat.chat, seat]));
  const all = [...takers.values()].slice(0, mostChats).map((seat) => receiver(seat, waiting));
  const others = givers(tx, waiting, takers);
  const byTask = new Map(waiting.map((row) => [row.task, row]));
  const moves = rebalance([...all, ...others], waiting.map(wishOf));
  for (const { task, to } of moves) {
    const [row, seat] = [byTask.get(task), takers.get(to)];
    if (row && seat) move(tx, row, seat);
  }
  if (moves.length > 0) seekTakers(tx);
}

function assigned(tx: Tx): TaskRow[] {
  return tx.sql
    .all<TaskRow>("SELECT * FROM tasks WHERE chat IS NOT NULL AND state = 'assigned' ORDER BY chat LIMIT 1000")
    .filter((row) => !isOver(tx, row));
}

/** The types that a chat takes stand among its capabilities: a break of line is in no capability of its own. */
function receiver(seat: seats.Seat, waiting: readonly TaskRow[]): Seat {
  const types = seat.types.has("*") ? new Set(waiting.map(({ type }) => type)) : seat.types;
  return { ...seat, capabilities: [...seat.capabilities, ...[...types].map((type) => `\n${type}`)] };
}

function wishOf(row: TaskRow): Assigned {
  return {
    task: row.task,
    chat: row.chat ?? "",
    isStarted: false,
    affinity: row.affinity,
    capabilities: [...lanes.capabilitiesIn(row.lane), `\n${row.type}`],
  };
}

/** Those that hold such a task and are given nothing now: they ask for themselves, drain, or have no connection. */
function givers(tx: Tx, waiting: readonly TaskRow[], takers: ReadonlyMap<string, unknown>): Seat[] {
  const names = new Set(waiting.flatMap(({ chat }) => (chat === null || takers.has(chat) ? [] : [chat])));
  return [...names].flatMap((chat) => {
    const row = chatRows.get(tx, chat);
    if (!row) return [];
    const running = rows.countHeld(tx, chat);
    const isOut = row.status === "draining" || row.status === "stuck";
    // No abilities: it receives nothing.
    return [{ chat, running, capacity: isOut ? 0 : row.capacity, capabilities: [] }];
  });
}

function move(tx: Tx, row: TaskRow, to: seats.Seat): void {
  attemptRows.insert(tx, row, {
    ended: "moved",
    became: "assigned",
    reason: `to chat ${to.chat}, which has less to do`,
  });
  assign(tx, to.life, row.task, pushed, false);
  chatRows.given(tx, to.life);
  for (const chat of [row.chat, to.chat]) if (chat !== null) tx.tell({ kind: "task", chat });
}
