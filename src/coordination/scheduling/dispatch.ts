import * as balance from "../tasks/balance.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import { assign, firstDue, pushedRequestId } from "../tasks/lifecycle.ts";
import * as lanes from "../tasks/lanes.ts";
import * as rebalanceSweep from "./rebalance-sweep.ts";
import * as outbox from "../tasks/dispatch-outbox.ts";
import * as chatPerformance from "../tasks/chat-performance.ts";
import * as availableChats from "../tasks/available-chats.ts";
import type { Tx } from "../kernel/tx.ts";

const maxTasksPerDispatch = 100;

/**
 * [QU5] Reads the queue itself: a repeated, late or lost token changes only the time. Returns the
 * number of assigned tasks.
 */
export function assignQueued(tx: Tx): number {
  const candidates = availableChats.listWithRoom(tx);
  const assigned = candidates.length === 0 ? 0 : assignTo(tx, candidates);
  if (assigned > 0) rebalanceSweep.schedule(tx);
  outbox.complete(tx, assigned === maxTasksPerDispatch && availableChats.hasWork(tx));
  return assigned;
}

function assignTo(tx: Tx, candidates: readonly availableChats.AvailableChat[]): number {
  const available = new Map(candidates.map((candidate) => [candidate.chat, candidate]));
  const queue = new LaneQueue(tx, candidates);
  const performanceByChat = chatPerformance.readByChat(tx, queue.types);
  const notified = new Map<string, { readonly life: chatRows.LivenessRow; readonly due: number }>();
  let assigned = 0;
  for (let head = queue.next(); head && assigned < maxTasksPerDispatch && available.size > 0; head = queue.next()) {
    const candidate = selectCandidate([...available.values()], head, performanceByChat);
    // No chat has room for this partition key any more: load only grows here.
    if (!candidate) continue;
    const held = assign(tx, [head.task], { chat: candidate.life, requestId: pushedRequestId, isStarted: false });
    queue.advance(head.lane);
    const updated = { ...candidate, running: candidate.running + 1 };
    if (balance.hasRoom(updated)) available.set(candidate.chat, updated);
    else available.delete(candidate.chat);
    const due = Math.min(firstDue(held), notified.get(candidate.chat)?.due ?? Infinity);
    notified.set(candidate.chat, { life: candidate.life, due });
    assigned += 1;
  }
  for (const { life, due } of notified.values()) {
    chatRows.recordAssignment(tx, life, due);
    tx.tell({ kind: "task", chat: life.chat });
  }
  return assigned;
}

/** Each is read, and what a request costs must not grow with them [TA32]. */
const maxLanesAtOnce = 20;

/** [QU12] For the commit of a request; what is left over goes through the queue. */
export function assignAtOnce(tx: Tx): void {
  if (lanes.hasMoreThan(tx, maxLanesAtOnce)) outbox.enqueue(tx, () => availableChats.hasWork(tx));
  else assignQueued(tx);
}

/** Where there is no queue: until nothing is left that an available chat could take. */
export function assignAll(tx: Tx): void {
  while (assignQueued(tx) === maxTasksPerDispatch);
}

const compareFronts = lanes.compareFor(lanes.noChat);

/** Queued partition keys that available chats accept; reads one task per key at a time. */
class LaneQueue {
  readonly types: ReadonlySet<string>;
  readonly #tx: Tx;
  /** Sorted; the last one is next. */
  readonly #fronts: lanes.Front[];

  constructor(tx: Tx, candidates: readonly availableChats.AvailableChat[]) {
    this.#tx = tx;
    const matchingLanes: string[] = [];
    for (const lane of lanes.listQueued(tx))
      if (candidates.some((candidate) => availableChats.accepts(candidate, lane))) matchingLanes.push(lane);
    this.types = new Set(matchingLanes.map((lane) => lanes.typeIn(lane)));
    this.#fronts = lanes.fronts(tx, matchingLanes).toSorted((a, b) => compareFronts(b, a));
  }

  next(): lanes.Front | undefined {
    return this.#fronts.pop();
  }

  advance(lane: string): void {
    const [front] = lanes.fronts(this.#tx, [lane]);
    if (!front) return;
    const index = this.#fronts.findLastIndex((one) => compareFronts(one, front) > 0);
    this.#fronts.splice(index + 1, 0, front);
  }
}

function selectCandidate(
  all: readonly availableChats.AvailableChat[],
  { lane, affinity }: lanes.Front,
  performanceByChat: ReadonlyMap<string, chatPerformance.PerformanceByType>,
): availableChats.AvailableChat | undefined {
  const type = lanes.typeIn(lane);
  const candidates = all
    .filter((candidate) => availableChats.accepts(candidate, lane))
    .map((candidate) =>
      availableChats.withPerformance(candidate, performanceByChat.get(candidate.chat)?.get(type) ?? null),
    );
  const { chat } = balance.selectChat(candidates, { capabilities: lanes.capabilitiesIn(lane), affinity });
  return candidates.find((candidate) => candidate.chat === chat);
}

export function resendToken(tx: Tx): void {
  outbox.resend(tx, availableChats.hasWork(tx));
}
