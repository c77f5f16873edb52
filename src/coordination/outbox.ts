import type { Sql } from "../shared/sql.ts";
import type { Tx } from "./tx.ts";

/**
 * [QU1] The one token of a workspace for the queue: while something is queued it stands in a row of its own, in the same commit as what made it
 * so. What it stands for is a look at the queue, never a task: lost, late or twice it costs time only.
 */

/** After a token was sent, and after a look that left something queued. */
const againMs = 30_000;
const mostMs = 300_000;

interface Row {
  readonly seq: number;
  /** Null: nobody could take anything when it was last looked. */
  readonly sent_at: number | null;
  readonly tries: number;
}

function token(sql: Sql): Row | null {
  return sql.all<Row>("SELECT seq, sent_at, tries FROM outbox ORDER BY seq DESC LIMIT 1")[0] ?? null;
}

/** Something is queued. @param isAwaited whether somebody could take it who does not ask by himself; else it is enough to look again some time */
export function add(tx: Tx, isAwaited: () => boolean): void {
  const present = token(tx.sql);
  if (present && present.sent_at !== null) return;
  const isWanted = isAwaited();
  if (present && !isWanted) return;
  if (present) {
    tx.sql.run("UPDATE outbox SET sent_at = ?, due_at = ? WHERE seq = ?", tx.now, tx.now + againMs, present.seq);
  } else {
    tx.sql.run(
      "INSERT INTO outbox (sent_at, due_at, tries) VALUES (?, ?, 0)",
      isWanted ? tx.now : null,
      tx.now + againMs,
    );
  }
  if (isWanted) tx.tell({ kind: "dispatch" });
}

/** [QU2] It was looked. @param isLeft something is still queued @param isWanted and more of it could be taken at once */
export function looked(tx: Tx, isLeft: boolean, isWanted: boolean): void {
  const present = token(tx.sql);
  if (!present) return;
  if (!isLeft) return void tx.sql.run("DELETE FROM outbox");
  tx.sql.run(
    "UPDATE outbox SET sent_at = ?, due_at = ?, tries = ? WHERE seq = ?",
    isWanted ? tx.now : null,
    tx.now + Math.min(mostMs, againMs * 2 ** present.tries),
    Math.min(present.tries + 1, 10),
    present.seq,
  );
  if (isWanted) tx.tell({ kind: "dispatch" });
}

export const dueAt = "SELECT min(due_at) FROM outbox";
