import type { Tx } from "../kernel/tx.ts";
import { outbox } from "./task-tables.ts";

/**
 * Committed with the change. Its token in the queue names no task: lost, late or repeated, it costs
 * only time, since the alarm dispatches what the queue has not.
 */

const queueMs = 5_000;

/** @param afterMs then the alarm dispatches */
export function enqueue(tx: Tx, hasWork: () => boolean, afterMs = queueMs): void {
  if (outbox.count(tx.sql) > 0 || !hasWork()) return;
  outbox.insert(tx.sql, { dueAt: tx.now + afterMs, tries: 0 });
  tx.tell({ kind: "dispatch" });
}

export function complete(tx: Tx, hasWork: boolean, afterMs?: number): void {
  tx.sql.run("DELETE FROM outbox");
  enqueue(tx, () => hasWork, afterMs);
}

export const dueAt = "SELECT min(dueAt) FROM outbox";
