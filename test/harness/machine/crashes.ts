import type { Sql } from "#src/shared/sql.ts";
import type { Crash } from "#src/machine/signals/crashes.ts";
import { crashes, signals } from "#src/store/session-tables.ts";

/** The deaths that are stored, newest first. */
export function listCrashes(sql: Sql): Crash[] {
  return crashes.select(sql, "ORDER BY at DESC, session");
}

/** Samples of a session's signals, newest first. */
export function listSamples(sql: Sql, session: string) {
  return signals.pick("at", "score", "level", "readings").select(sql, "WHERE session = ? ORDER BY at DESC", session);
}
