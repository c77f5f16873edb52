import type { TaskRow } from "./task-rows.ts";
import type { Tx } from "../kernel/tx.ts";

export function nextCheckAt({ close_at, seen_at, heartbeat_ms }: TaskRow): number {
  return Math.min(close_at ?? 0, (seen_at ?? 0) + heartbeat_ms);
}

/** [TA16] A claim has ended at its last instant, whether or not a sweep has run. */
export function isExpired({ now }: Tx, row: TaskRow): boolean {
  return (row.state === "running" ? nextCheckAt(row) : (row.due_at ?? 0)) <= now;
}

export function remainingMs({ now }: Tx, row: Pick<TaskRow, "close_at" | "close_ms">): number {
  return row.close_at === null ? row.close_ms : Math.max(0, row.close_at - now);
}

/** [TA33] base * 2^(n - 1), at most the cap; jitter by task and attempt: half to all of it. */
export function backoffMs({ task, failures, base_ms, cap_ms, has_jitter }: TaskRow): number {
  const maxMs = Math.min(cap_ms, base_ms * 2 ** Math.max(0, failures - 1));
  return has_jitter === 1 ? Math.ceil((maxMs * (1 + pseudoRandom(task, failures))) / 2) : maxMs;
}

/** Pseudo-random number from 0 to 1: the finalizer of MurmurHash3. */
function pseudoRandom(task: number, attempt: number): number {
  let hash = (task ^ Math.imul(attempt, 0x9e3779b9)) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
