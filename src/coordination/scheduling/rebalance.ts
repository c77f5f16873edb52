import { compare } from "../../shared/compare.ts";
import { hasRoom, isCapable, loadOf, type ChatLoad, type TaskNeeds } from "../tasks/balance.ts";

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
 * [PL15] Moves from the highest load to the lowest while the receiver has less load than the giver
 * without the task, so no move is reversed. Capacity 0 gives away all.
 * [PL16] Each step lowers the potential of Rosenthal ("A Class of Games Possessing Pure-Strategy
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
      const [task] = movable
        .filter((task) => isCapable(to, task))
        .toSorted((a, b) => compareTasks(a, b, from.chat, to.chat));
      if (task) return { task, from, to };
    }
  }
  return null;
}

/** Sorts by affinity, then the newest first, which would wait longest. */
function compareTasks(a: AssignedTask, b: AssignedTask, from: string, to: string): number {
  return affinityGain(b, from, to) - affinityGain(a, from, to) || b.task - a.task;
}

function affinityGain({ affinity }: AssignedTask, from: string, to: string): number {
  return Number(affinity === to) - Number(affinity === from);
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
