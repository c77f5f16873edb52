import type { Tx } from "../kernel/tx.ts";
import type { RowOf } from "../../shared/table.ts";
import { outbox } from "./task-tables.ts";

/** Committed with the change. Names no task: lost, late or repeated, it costs only time. */

const resendMs = 30_000;
const maxResendMs = 300_000;

function findToken({ sql }: Tx): RowOf<typeof outbox> | null {
  return outbox.select(sql, "LIMIT 1")[0] ?? null;
}

export function depth({ sql }: Pick<Tx, "sql">): number {
  return outbox.count(sql);
}

export function enqueue(tx: Tx, hasWork: () => boolean): void {
  if (findToken(tx) || !hasWork()) return;
  outbox.insert(tx.sql, { dueAt: tx.now + resendMs, tries: 0 });
  tx.tell({ kind: "dispatch" });
}

export function complete(tx: Tx, hasWork: boolean): void {
  tx.sql.run("DELETE FROM outbox");
  enqueue(tx, () => hasWork);
}

/** Resends a token that led to no dispatch. */
export function resend(tx: Tx, hasWork: boolean): void {
  const row = findToken(tx);
  if (!row || !hasWork) return complete(tx, false);
  const dueAt = tx.now + Math.min(maxResendMs, resendMs * 2 ** row.tries);
  outbox.update(tx.sql, { seq: row.seq }, { dueAt, tries: Math.min(row.tries + 1, 10) });
  tx.tell({ kind: "dispatch" });
}

export const dueAt = "SELECT min(dueAt) FROM outbox";
