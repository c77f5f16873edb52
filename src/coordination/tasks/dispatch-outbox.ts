import type { Tx } from "../kernel/tx.ts";

/**
 * [QU1] The one token of a workspace for the queue: it stands in a row while it is under way, in the same commit as what it is about. What it
 * stands for is a look at what is queued, never a task: lost, late or twice it costs time only.
 */

/** A token that has brought no look. */
const resendMs = 30_000;
const maxResendMs = 300_000;

interface OutboxRow {
  readonly seq: number;
  readonly tries: number;
}

function findToken({ sql }: Tx): OutboxRow | null {
  return sql.all<OutboxRow>("SELECT seq, tries FROM outbox LIMIT 1")[0] ?? null;
}

/** Tokens under way: 0 or 1. */
export function depth({ sql }: Pick<Tx, "sql">): number {
  return sql.all("SELECT 1 FROM outbox").length;
}

/** @param hasWork whether something is queued for somebody who does not ask by himself */
export function enqueue(tx: Tx, hasWork: () => boolean): void {
  if (findToken(tx) || !hasWork()) return;
  tx.sql.run("INSERT INTO outbox (due_at, tries) VALUES (?, 0)", tx.now + resendMs);
  tx.tell({ kind: "dispatch" });
}

/** A look has been taken. @param hasWork whether there is more than it has given out */
export function complete(tx: Tx, hasWork: boolean): void {
  tx.sql.run("DELETE FROM outbox");
  enqueue(tx, () => hasWork);
}

/** [QU2] For the alarm: no look came of the token. */
export function resend(tx: Tx, hasWork: boolean): void {
  const row = findToken(tx);
  if (!row || !hasWork) return complete(tx, false);
  const dueAt = tx.now + Math.min(maxResendMs, resendMs * 2 ** row.tries);
  tx.sql.run("UPDATE outbox SET due_at = ?, tries = ? WHERE seq = ?", dueAt, Math.min(row.tries + 1, 10), row.seq);
  tx.tell({ kind: "dispatch" });
}

export const dueAt = "SELECT min(due_at) FROM outbox";
