import type { Tx } from "./tx.ts";

/**
 * [QU1] The one token of a workspace for the queue: it stands in a row while it is under way, in the same commit as what it is about. What it
 * stands for is a look at what is queued, never a task: lost, late or twice it costs time only.
 */

/** A token that has brought no look. */
const againMs = 30_000;
const mostMs = 300_000;

interface Row {
  readonly seq: number;
  readonly tries: number;
}

function underWay({ sql }: Tx): Row | null {
  return sql.all<Row>("SELECT seq, tries FROM outbox LIMIT 1")[0] ?? null;
}

/** Tokens under way: 0 or 1. */
export function depth({ sql }: Pick<Tx, "sql">): number {
  return sql.all("SELECT 1 FROM outbox").length;
}

/** @param isAwaited whether something is queued for somebody who does not ask by himself */
export function add(tx: Tx, isAwaited: () => boolean): void {
  if (underWay(tx) || !isAwaited()) return;
  tx.sql.run("INSERT INTO outbox (due_at, tries) VALUES (?, 0)", tx.now + againMs);
  tx.tell({ kind: "dispatch" });
}

/** A look has been taken. @param isAwaited whether there is more than it has given out */
export function looked(tx: Tx, isAwaited: boolean): void {
  tx.sql.run("DELETE FROM outbox");
  add(tx, () => isAwaited);
}

/** [QU2] For the alarm: no look came of the token. */
export function resend(tx: Tx, isAwaited: boolean): void {
  const row = underWay(tx);
  if (!row || !isAwaited) return looked(tx, false);
  const dueAt = tx.now + Math.min(mostMs, againMs * 2 ** row.tries);
  tx.sql.run("UPDATE outbox SET due_at = ?, tries = ? WHERE seq = ?", dueAt, Math.min(row.tries + 1, 10), row.seq);
  tx.tell({ kind: "dispatch" });
}

export const dueAt = "SELECT min(due_at) FROM outbox";
