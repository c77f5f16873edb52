import type { Sql } from "../../shared/sql.ts";
import type { Processes } from "../../platform/processes.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import { isDead } from "./detect.ts";

/** Returns null for none, or an undone one. */
export function noteOf(sql: Sql, sessionId: string): Pick<recoveries.RecoveryNote, "action" | "by"> | null {
  const [row] = sql.all<Pick<recoveries.RecoveryNote, "action" | "by">>(
    'SELECT action, by_session AS "by" FROM recoveries WHERE session_id = ? ORDER BY seq DESC LIMIT 1',
    sessionId,
  );
  return row === undefined || row.action === "undone" ? null : row;
}

/** [RE101] False if the user dismissed the session, or another living chat here has it. */
export function isFree(sql: Sql, processes: Processes, now: number, sessionId: string, chatId: string): boolean {
  const note = noteOf(sql, sessionId);
  if (note === null || note.by === chatId) return note?.action !== "dismissed";
  if (note.action === "dismissed") return false;
  const other = note.by ? sessions.get(sql, note.by) : null;
  return other === null || other.endedAt !== null || isDead(other, processes, now);
}

export function takenBy(sql: Sql, chat: string): string[] {
  return sql
    .all<{ id: string }>(
      `SELECT DISTINCT s.session_id AS id FROM remote_sessions s JOIN recoveries r ON r.session_id = s.session_id
       WHERE r.seq = (SELECT max(seq) FROM recoveries WHERE session_id = s.session_id)
         AND r.action = 'taken' AND r.by_session = ?`,
      chat,
    )
    .map(({ id }) => id);
}
