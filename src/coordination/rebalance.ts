import { compare } from "../shared/compare.ts";
import { hasRoom, isCapable, loadOf, type Seat, type Wanted } from "./balance.ts";

/** Which tasks that have not started had better wait with another chat. Pure. */

export interface Assigned extends Wanted {
  readonly task: number;
  readonly chat: string;
  readonly isStarted: boolean;
}

export interface Move {
  readonly task: number;
  readonly from: string;
  readonly to: string;
}

/**
 * [PL15] From the chat with the highest load to the one with the lowest that can do the task, as long as the latter has less load than the former
 * has without it: by its load, the receiver would be selected if the task were new. So no move would be moved back, and none moves what was
 * selected just now. A chat of capacity 0 gives away all that has not started.
 *
 * [PL16] Until no step is left: the next round finds none either. Each step lowers the potential of Rosenthal ("A Class of Games Possessing
 * Pure-Strategy Nash Equilibria", 1973), the sum of n(n-1)/2c over chats with n tasks and capacity c, so the steps come to an end.
 *
 * @param seats all live chats; tasks of others are not looked at
 * @param assigned a task stands here once; those that have started stay
 * @returns at most one move for each task, by its number
 */
export function rebalance(seats: readonly Seat[], assigned: readonly Assigned[]): Move[] {
  const round: Round = {
    seats: new Map(seats.map((seat) => [seat.chat, seat])),
    waiting: Map.groupBy(
      assigned.filter(({ isStarted }) => !isStarted),
      ({ chat }) => chat,
    ),
  };
  for (let step = nextStep(round); step; step = nextStep(round)) take(round, step);
  return [...round.waiting]
    .flatMap(([to, tasks]) => tasks.map(({ task, chat }) => ({ task, from: chat, to })))
    .filter(({ from, to }) => from !== to)
    .toSorted((a, b) => a.task - b.task);
}

interface Round {
  readonly seats: Map<string, Seat>;
  /** What may be moved, by the chat where it is by now; each still names the one where it was. */
  readonly waiting: Map<string, Assigned[]>;
}

interface Step {
  readonly task: Assigned;
  readonly from: Seat;
  readonly to: Seat;
}

function nextStep({ seats, waiting }: Round): Step | null {
  const all = [...seats.values()];
  const receivers = all.filter(hasRoom).toSorted((a, b) => loadOf(a) - loadOf(b) || compare(a.chat, b.chat));
  const givers = all
    .filter(({ chat }) => waiting.has(chat))
    .toSorted((a, b) => loadWithoutOne(b) - loadWithoutOne(a) || compare(a.chat, b.chat));
  for (const from of givers) {
    const own = waiting.get(from.chat) ?? [];
    for (const to of receivers.filter((to) => loadOf(to) < loadWithoutOne(from))) {
      const [task] = own.filter((task) => isCapable(to, task)).toSorted((a, b) => orderOf(a, b, from.chat, to.chat));
      if (task) return { task, from, to };
    }
  }
  return null;
}

/** Those first that wish to be there, those last that wish to stay; else the newest, which would wait longest. */
function orderOf(a: Assigned, b: Assigned, from: string, to: string): number {
  return wish(b, from, to) - wish(a, from, to) || b.task - a.task;
}

function wish({ affinity }: Assigned, from: string, to: string): number {
  return Number(affinity === to) - Number(affinity === from);
}

function take({ seats, waiting }: Round, { task, from, to }: Step): void {
  seats.set(from.chat, { ...from, running: from.running - 1 });
  seats.set(to.chat, { ...to, running: to.running + 1 });
  const rest = waiting.get(from.chat)?.filter((one) => one !== task);
  waiting.set(from.chat, rest ?? []);
  waiting.set(to.chat, [...(waiting.get(to.chat) ?? []), task]);
}

function loadWithoutOne({ running, capacity }: Seat): number {
  return capacity === 0 ? Number.POSITIVE_INFINITY : (running - 1) / capacity;
}
