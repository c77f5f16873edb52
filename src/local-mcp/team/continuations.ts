import type { Sql } from "../../shared/sql.ts";

const hourMs = 3_600_000;

/** [HO49] Bounds continuations: chats that answer each other would never end. */
export function consume(sql: Sql, now: number, session: string, maxPerHour: number): boolean {
  sql.run("DELETE FROM team_continuations WHERE session_id = ? AND at <= ?", session, now - hourMs);
  const used = sql.all("SELECT 1 FROM team_continuations WHERE session_id = ?", session);
  if (used.length >= maxPerHour) return false;
  sql.run("INSERT OR IGNORE INTO team_continuations (session_id, at) VALUES (?, ?)", session, now);
  return true;
}
