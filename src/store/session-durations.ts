import type { Sql } from "../shared/sql.ts";
import type { RowOf } from "../shared/table.ts";
import { sessionDurations } from "./session-tables.ts";

export type SessionDuration = RowOf<typeof sessionDurations>;

/** Part of the caller's transaction. */
export function add(sql: Sql, duration: SessionDuration): void {
  sessionDurations.insert(
    sql,
    duration,
    `ON CONFLICT (session, name) DO UPDATE SET count = count + excluded.count, slow = slow + excluded.slow,
       sum = sum + excluded.sum`,
  );
}

export function list(sql: Sql, session: string): SessionDuration[] {
  return sessionDurations.select(sql, "WHERE session = ? ORDER BY name", session);
}
