import * as chatRows from "../kernel/chat-rows.ts";
import { assign, firstDue, pushedRequestId } from "../tasks/lifecycle.ts";
import * as lanes from "../tasks/lanes.ts";
import * as rebalanceSweep from "./rebalance.ts";
import { outbox } from "../tasks/task-tables.ts";
import { Candidates, hasWork } from "../tasks/candidates.ts";
import type { Tx } from "../kernel/tx.ts";

const maxTasksPerDispatch = 100;

/**
 * Reads the queue itself: a repeated, late or lost token changes only the time. Returns the
 * number of assigned tasks.
 * @param restAfterMs then the alarm assigns what is left, unless the queue has
 */
export function assignQueued(tx: Tx, restAfterMs?: number): number {
  const assigned = assignSome(tx);
  tx.sql.run("DELETE FROM outbox");
  const isMore = assigned === maxTasksPerDispatch && hasWork(tx);
  enqueue(tx, () => isMore, restAfterMs);
  return assigned;
}

function assignSome(tx: Tx): number {
  const candidates = new Candidates(tx);
  const all = [...candidates.lanes()];
  // The first task of each partition key; the last one is next.
  const fronts = all.length === 0 ? [] : lanes.fronts(tx, all).toSorted((a, b) => compareFronts(b, a));
  const notified = new Map<string, { readonly life: chatRows.LivenessRow; readonly due: number }>();
  let assigned = 0;
  for (let head = fronts.pop(); head && assigned < maxTasksPerDispatch; head = fronts.pop()) {
    const candidate = candidates.select(head);
    // No chat has room for this partition key any more: load only grows here.
    if (!candidate) continue;
    const held = assign(tx, [head.task], { chat: candidate.life, requestId: pushedRequestId, isStarted: false });
    const [next] = lanes.fronts(tx, [head.lane]);
    if (next) fronts.splice(fronts.findLastIndex((one) => compareFronts(one, next) > 0) + 1, 0, next);
    candidates.assign(candidate);
    const due = Math.min(firstDue(held), notified.get(candidate.chat)?.due ?? Infinity);
    notified.set(candidate.chat, { life: candidate.life, due });
    assigned += 1;
  }
  for (const { life, due } of notified.values()) {
    chatRows.recordAssignment(tx, life, due);
    tx.tell({ kind: "task", chat: life.chat });
  }
  if (assigned > 0) rebalanceSweep.schedule(tx);
  return assigned;
}

/** Each is read, and what a request costs must not grow with them. */
const maxLanesAtOnce = 20;

/** For the commit of a request; what is left over goes through the queue. */
export function assignAtOnce(tx: Tx): void {
  if (lanes.hasMoreThan(tx, maxLanesAtOnce)) enqueue(tx, () => hasWork(tx));
  else assignQueued(tx);
}

/** Where there is no queue: until nothing is left that an available chat could take. */
export function assignAll(tx: Tx): void {
  while (assignSome(tx) === maxTasksPerDispatch);
}

const compareFronts = lanes.compareFor("");

const queueMs = 5_000;

/**
 * A row that is committed with the change. Its token in the queue names no task: lost, late or
 * repeated, it costs only time, since the alarm dispatches what the queue has not.
 * @param afterMs then the alarm dispatches
 */
export function enqueue(tx: Tx, hasWork: () => boolean, afterMs = queueMs): void {
  if (outbox.count(tx.sql) > 0 || !hasWork()) return;
  outbox.insert(tx.sql, { dueAt: tx.now + afterMs, tries: 0 });
  tx.tell({ kind: "dispatch" });
}

export const dueAt = "SELECT min(dueAt) FROM outbox";
