import type { Sql } from "#src/shared/sql.ts";
import type { Crash } from "#src/local-mcp/signals/history.ts";
import { crashes } from "#src/store/session-tables.ts";

/** The deaths that are stored, newest first. */
export function listCrashes(sql: Sql): Crash[] {
  return crashes.select(sql, "ORDER BY at DESC, session");
}
