import * as attemptRows from "../tasks/attempt-rows.ts";
import type { ChatLoad } from "../tasks/balance.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import * as lanes from "../tasks/lanes.ts";
import { assign, enqueueDispatch, firstDue, pushedRequestId } from "../tasks/lifecycle.ts";
import * as meta from "../kernel/meta.ts";
import { rebalance, type AssignedTask } from "./rebalance.ts";
import * as availableChats from "../tasks/available-chats.ts";
import * as rows from "../tasks/task-rows.ts";
import { isExpired, type TaskRow } from "../tasks/task-rows.ts";
import type { Tx } from "../kernel/tx.ts";

/** Rebalances tasks that have not started, every `balancingIntervalMs` while there are any. */

const nextKey = "rebalance_at";

export const dueAt = `SELECT CAST(value AS INTEGER) FROM meta WHERE key = '${nextKey}'`;

export function schedule(tx: Tx): void {
  if (meta.read(tx.sql, nextKey) === null) scheduleNext(tx);
}

function scheduleNext(tx: Tx): void {
  meta.write(tx.sql, nextKey, String(tx.now + tx.settings.balancingIntervalMs));
}

const maxChats = 1_000;

export function sweep(tx: Tx): void {
  const waiting = listAssigned(tx);
  if (waiting.length === 0) return meta.remove(tx.sql, nextKey);
  scheduleNext(tx);
  const receivers = new Map(availableChats.listAll(tx).map((candidate) => [candidate.chat, candidate]));
  const all = [...receivers.values()].slice(0, maxChats).map((candidate) => toReceiver(candidate, waiting));
  const others = listGivers(tx, waiting, receivers);
  const byTask = new Map(waiting.map((row) => [row.task, row]));
  const reassignments = rebalance([...all, ...others], waiting.map(toAssigned));
  for (const { task, to } of reassignments) {
    const [row, candidate] = [byTask.get(task), receivers.get(to)];
    if (row && candidate) reassign(tx, row, candidate);
  }
  if (reassignments.length > 0) enqueueDispatch(tx);
}

function listAssigned(tx: Tx): TaskRow[] {
  return tx.sql
    .all<TaskRow>(
      `SELECT ${rows.columns} FROM tasks WHERE chat IS NOT NULL AND state = 'assigned' ORDER BY chat LIMIT 1000`,
    )
    .filter((row) => !isExpired(tx, row));
}

function toReceiver(candidate: availableChats.TypedChat, waiting: readonly TaskRow[]): ChatLoad {
  const types = candidate.types.has("*") ? new Set(waiting.map(({ type }) => type)) : candidate.types;
  return { ...candidate, capabilities: [...candidate.capabilities, ...[...types].map((type) => `\n${type}`)] };
}

function toAssigned(row: TaskRow): AssignedTask {
  return {
    task: row.task,
    chat: row.chat ?? "",
    isStarted: false,
    affinity: row.affinity,
    capabilities: [...lanes.capabilitiesIn(row.lane), `\n${row.type}`],
  };
}

function listGivers(tx: Tx, waiting: readonly TaskRow[], receivers: ReadonlyMap<string, unknown>): ChatLoad[] {
  const names = new Set(waiting.flatMap(({ chat }) => (chat === null || receivers.has(chat) ? [] : [chat])));
  return [...names].flatMap((chat) => {
    const row = chatRows.find(tx, chat);
    if (!row) return [];
    const running = rows.countHeld(tx, chat);
    const takesNothing = row.status === "draining" || row.status === "stuck";
    return [{ chat, running, capacity: takesNothing ? 0 : row.capacity, capabilities: [] }];
  });
}

function reassign(tx: Tx, row: TaskRow, to: availableChats.AvailableChat): void {
  attemptRows.insert(tx, row, {
    ended: "moved",
    became: "assigned",
    reason: `to chat ${to.chat}, which has less to do`,
  });
  const moved = assign(tx, [row.task], { chat: to.life, requestId: pushedRequestId, isStarted: false });
  chatRows.recordAssignment(tx, to.life, firstDue(moved));
  for (const chat of [row.chat, to.chat]) if (chat !== null) tx.tell({ kind: "task", chat });
}
