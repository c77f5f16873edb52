import { compare } from "../../shared/compare.ts";
import * as attemptRows from "../tasks/attempt-rows.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import * as lanes from "../tasks/lanes.ts";
import { assign, firstDue, pushedRequestId } from "../tasks/lifecycle.ts";
import * as meta from "../kernel/meta.ts";
import * as candidates from "../tasks/candidates.ts";
import { hasRoom, isCapable, loadOf, type ChatLoad, type TaskNeeds } from "../tasks/candidates.ts";
import * as rows from "../tasks/task-rows.ts";
import { tasks } from "../tasks/task-tables.ts";
import type { Tx } from "../kernel/tx.ts";

export interface AssignedTask extends TaskNeeds {
  readonly task: number;
  readonly chat: string;
  readonly isStarted: boolean;
}

export interface Reassignment {
  readonly task: number;
  readonly from: string;
  readonly to: string;
}

/**
 * Moves from the highest load to the lowest while the receiver has less load than the giver
 * without the task, so no move is reversed. Capacity 0 gives away all.
 * Each step lowers the potential of Rosenthal ("A Class of Games Possessing Pure-Strategy
 * Nash Equilibria", 1973), the sum of n(n-1)/2c over chats with n tasks and capacity c, so it
 * terminates.
 * @param chats all live chats; tasks of others are ignored
 * @param assigned each task once; started ones stay
 * @returns at most one move per task, by its number
 */
export function rebalance(chats: readonly ChatLoad[], assigned: readonly AssignedTask[]): Reassignment[] {
  const state: BalanceState = {
    chats: new Map(chats.map((chatLoad) => [chatLoad.chat, chatLoad])),
    waiting: Map.groupBy(
      assigned.filter(({ isStarted }) => !isStarted),
      ({ chat }) => chat,
    ),
  };
  for (let step = nextStep(state); step; step = nextStep(state)) applyStep(state, step);
  return [...state.waiting]
    .flatMap(([to, tasks]) => tasks.map(({ task, chat }) => ({ task, from: chat, to })))
    .filter(({ from, to }) => from !== to)
    .toSorted((a, b) => a.task - b.task);
}

interface BalanceState {
  readonly chats: Map<string, ChatLoad>;
  readonly waiting: Map<string, AssignedTask[]>;
}

interface ReassignStep {
  readonly task: AssignedTask;
  readonly from: ChatLoad;
  readonly to: ChatLoad;
}

function nextStep({ chats, waiting }: BalanceState): ReassignStep | null {
  const all = [...chats.values()];
  const receivers = all.filter(hasRoom).toSorted((a, b) => loadOf(a) - loadOf(b) || compare(a.chat, b.chat));
  const givers = all
    .filter(({ chat }) => waiting.has(chat))
    .toSorted((a, b) => loadWithoutOne(b) - loadWithoutOne(a) || compare(a.chat, b.chat));
  for (const from of givers) {
    const movable = waiting.get(from.chat) ?? [];
    for (const to of receivers.filter((to) => loadOf(to) < loadWithoutOne(from))) {
      const gain = ({ affinity }: AssignedTask): number =>
        Number(affinity === to.chat) - Number(affinity === from.chat);
      const [task] = movable
        .filter((task) => isCapable(to, task))
        // By affinity, then the newest first, which would wait longest.
        .toSorted((a, b) => gain(b) - gain(a) || b.task - a.task);
      if (task) return { task, from, to };
    }
  }
  return null;
}

function applyStep({ chats, waiting }: BalanceState, { task, from, to }: ReassignStep): void {
  chats.set(from.chat, { ...from, running: from.running - 1 });
  chats.set(to.chat, { ...to, running: to.running + 1 });
  const remaining = waiting.get(from.chat)?.filter((one) => one !== task);
  waiting.set(from.chat, remaining ?? []);
  waiting.set(to.chat, [...(waiting.get(to.chat) ?? []), task]);
}

function loadWithoutOne({ running, capacity }: ChatLoad): number {
  return capacity === 0 ? Number.POSITIVE_INFINITY : (running - 1) / capacity;
}

/** Rebalances tasks that have not started, every `balancingIntervalMs` while there are any. */

const nextKey = "rebalance_at";

export const dueAt = `SELECT CAST(value AS INTEGER) FROM meta WHERE key = '${nextKey}'`;

export function schedule(tx: Tx): void {
  if (meta.read(tx.sql, nextKey) === null) scheduleNext(tx);
}

function scheduleNext(tx: Tx): void {
  meta.write(tx.sql, nextKey, String(tx.now + tx.settings.balancingIntervalMs));
}

export function sweep(tx: Tx): void {
  const waiting = listAssigned(tx);
  if (waiting.length === 0) return meta.remove(tx.sql, nextKey);
  scheduleNext(tx);
  const receivers = new Map(candidates.listAvailable(tx).map((candidate) => [candidate.chat, candidate]));
  const all = [...receivers.values()].map((candidate) => toReceiver(candidate, waiting));
  const others = listGivers(tx, waiting, receivers);
  const byTask = new Map(waiting.map((row) => [row.task, row]));
  const reassignments = rebalance([...all, ...others], waiting.map(toAssigned));
  for (const { task, to } of reassignments) {
    const [row, candidate] = [byTask.get(task), receivers.get(to)];
    if (row && candidate) reassign(tx, row, candidate);
  }
  if (reassignments.length > 0) tx.requestDispatch();
}

function listAssigned(tx: Tx): rows.TaskRow[] {
  return tx.sql
    .all<rows.TaskRow>(
      `SELECT ${rows.columns} FROM tasks WHERE chat IS NOT NULL AND state = 'assigned' ORDER BY chat LIMIT 1000`,
    )
    .filter((row) => !rows.isExpired(tx, row));
}

function toReceiver(candidate: candidates.AvailableChat, waiting: readonly rows.TaskRow[]): ChatLoad {
  const types = candidate.types.has("*") ? new Set(waiting.map(({ type }) => type)) : candidate.types;
  return { ...candidate, capabilities: [...candidate.capabilities, ...[...types].map((type) => `\n${type}`)] };
}

function toAssigned(row: rows.TaskRow): AssignedTask {
  return {
    task: row.task,
    chat: row.chat ?? "",
    isStarted: false,
    affinity: row.affinity,
    capabilities: [...lanes.capabilitiesIn(row.lane), `\n${row.type}`],
  };
}

function listGivers(tx: Tx, waiting: readonly rows.TaskRow[], receivers: ReadonlyMap<string, unknown>): ChatLoad[] {
  const names = new Set(waiting.flatMap(({ chat }) => (chat === null || receivers.has(chat) ? [] : [chat])));
  return [...names].flatMap((chat) => {
    const row = chatRows.find(tx, chat);
    if (!row) return [];
    const running = tasks.count(tx.sql, { chat });
    const takesNothing = row.status === "draining" || row.status === "stuck";
    return [{ chat, running, capacity: takesNothing ? 0 : row.capacity, capabilities: [] }];
  });
}

function reassign(tx: Tx, row: rows.TaskRow, to: candidates.AvailableChat): void {
  attemptRows.insert(tx, row, {
    ended: "moved",
    became: "assigned",
    reason: `to chat ${to.chat}, which has less to do`,
  });
  const moved = assign(tx, [row.task], { chat: to.life, requestId: pushedRequestId, isStarted: false });
  chatRows.recordAssignment(tx, to.life, firstDue(moved));
  for (const chat of [row.chat, to.chat]) if (chat !== null) tx.tell({ kind: "task", chat });
}
