import type { Sql } from "../../shared/sql.ts";
import { teamContinuations } from "../../store/team-tables.ts";

const hourMs = 3_600_000;

/** [HO49] Bounds continuations: chats that answer each other would never end. */
export function consume(sql: Sql, now: number, session: string, maxPerHour: number): boolean {
  sql.run("DELETE FROM team_continuations WHERE session = ? AND at <= ?", session, now - hourMs);
  if (teamContinuations.count(sql, { session }) >= maxPerHour) return false;
  teamContinuations.insert(sql, { session, at: now }, "ON CONFLICT DO NOTHING");
  return true;
}
