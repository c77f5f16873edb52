import type { Sql } from "../../shared/sql.ts";

/** What has happened to the offers of a dead session: `offered` to a chat, `taken` up by it, `recovered` with its first checkpoint after that. */
export type RecoveryAction = "offered" | "taken" | "recovered" | "undone" | "dismissed";

export interface RecoveryNote {
  readonly at: number;
  readonly sessionId: string;
  readonly action: RecoveryAction;
  /** The chat that it concerns; null where it is the user's doing. */
  readonly by?: string | null;
  readonly score?: number | null;
}

export function note(sql: Sql, { at, sessionId, action, by, score }: RecoveryNote): void {
  sql.run(
    "INSERT INTO recoveries (at, session_id, action, by_session, score) VALUES (?, ?, ?, ?, ?)",
    at,
    sessionId,
    action,
    by ?? null,
    score ?? null,
  );
}

/** Whether the chat has said, or was told, that it goes on with the dead session it was offered last. */
export function isTaken(sql: Sql, sessionId: string, by: string): boolean {
  const [row] = sql.all<{ action: RecoveryAction; by: string | null }>(
    'SELECT action, by_session AS "by" FROM recoveries WHERE session_id = ? ORDER BY seq DESC LIMIT 1',
    sessionId,
  );
  return row?.action === "taken" && row.by === by;
}
