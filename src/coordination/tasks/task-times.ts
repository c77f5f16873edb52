import type { TaskRow } from "./task-rows.ts";
import type { Tx } from "../kernel/tx.ts";

/** Times of a task that a chat has. */

/** When a running one is looked at: its attempt is over, or it has been silent too long. */
export function nextCheckAt({ close_at, seen_at, heartbeat_ms }: TaskRow): number {
  return Math.min(close_at ?? 0, (seen_at ?? 0) + heartbeat_ms);
}

/** [TA16] At its last instant a claim is over, whether or not a sweep has seen it. */
export function isExpired({ now }: Tx, row: TaskRow): boolean {
  return (row.state === "running" ? nextCheckAt(row) : (row.due_at ?? 0)) <= now;
}

export function remainingMs({ now }: Tx, row: Pick<TaskRow, "close_at" | "close_ms">): number {
  return row.close_at === null ? row.close_ms : Math.max(0, row.close_at - now);
}

/** [TA10] After the nth failure base * 2^(n - 1), at most the cap; with jitter between half and all of it, by task and attempt alone. */
export function backoffMs({ task, failures, base_ms, cap_ms, has_jitter }: TaskRow): number {
  const maxMs = Math.min(cap_ms, base_ms * 2 ** Math.max(0, failures - 1));
  return has_jitter === 1 ? Math.ceil((maxMs * (1 + pseudoRandom(task, failures))) / 2) : maxMs;
}

/** Of two numbers something between 0 and 1 that looks like chance: the finalizer of MurmurHash3. */
function pseudoRandom(task: number, attempt: number): number {
  let hash = (task ^ Math.imul(attempt, 0x9e3779b9)) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
