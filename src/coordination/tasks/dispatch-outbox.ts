import type { Tx } from "../kernel/tx.ts";

/** [QU1] Committed with the change. Names no task: lost, late or repeated, it costs only time. */

const resendMs = 30_000;
const maxResendMs = 300_000;

interface OutboxRow {
  readonly seq: number;
  readonly tries: number;
}

function findToken({ sql }: Tx): OutboxRow | null {
  return sql.all<OutboxRow>("SELECT seq, tries FROM outbox LIMIT 1")[0] ?? null;
}

export function depth({ sql }: Pick<Tx, "sql">): number {
  return sql.all("SELECT 1 FROM outbox").length;
}

export function enqueue(tx: Tx, hasWork: () => boolean): void {
  if (findToken(tx) || !hasWork()) return;
  tx.sql.run("INSERT INTO outbox (due_at, tries) VALUES (?, 0)", tx.now + resendMs);
  tx.tell({ kind: "dispatch" });
}

export function complete(tx: Tx, hasWork: boolean): void {
  tx.sql.run("DELETE FROM outbox");
  enqueue(tx, () => hasWork);
}

/** [QU2] Resends a token that led to no dispatch. */
export function resend(tx: Tx, hasWork: boolean): void {
  const row = findToken(tx);
  if (!row || !hasWork) return complete(tx, false);
  const dueAt = tx.now + Math.min(maxResendMs, resendMs * 2 ** row.tries);
  tx.sql.run("UPDATE outbox SET due_at = ?, tries = ? WHERE seq = ?", dueAt, Math.min(row.tries + 1, 10), row.seq);
  tx.tell({ kind: "dispatch" });
}

export const dueAt = "SELECT min(due_at) FROM outbox";
