import type { Sql } from "../shared/sql.ts";

/** How long SHIM's own work for a session took. */
export interface SessionDuration {
  readonly session: string;
  /** Name of the histogram that has the same observations. */
  readonly name: string;
  readonly count: number;
  readonly slow: number;
  /** Seconds. */
  readonly sum: number;
}

/** Part of the caller's transaction. */
export function add(sql: Sql, { session, name, count, slow, sum }: SessionDuration): void {
  sql.run(
    `INSERT INTO session_durations (session_id, name, count, slow, sum) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (session_id, name) DO UPDATE SET count = count + excluded.count, slow = slow + excluded.slow,
       sum = sum + excluded.sum`,
    session,
    name,
    count,
    slow,
    sum,
  );
}

export function list(sql: Sql, session: string): SessionDuration[] {
  const query =
    "SELECT session_id AS session, name, count, slow, sum FROM session_durations WHERE session_id = ? ORDER BY name";
  return sql.all<SessionDuration>(query, session);
}
