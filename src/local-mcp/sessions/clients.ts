import type { Sql } from "../../shared/sql.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";

export interface ClientSession {
  readonly givenId: string;
  /** SHIM's id: differs only for a second live client that opened the same session. */
  readonly sessionId: string;
}

export function current(sql: Sql, client: ProcessIdentity): ClientSession | null {
  const [row] = sql.all<ClientSession>(
    "SELECT given_id AS givenId, session_id AS sessionId FROM clients WHERE boot = ? AND pid = ? AND start = ?",
    client.boot,
    client.pid,
    client.start,
  );
  return row ?? null;
}

/** [ID2] Replaces the client's row. */
export function moveTo(sql: Sql, now: number, client: ProcessIdentity, to: ClientSession): void {
  sql.run(
    `INSERT INTO clients (boot, pid, start, given_id, session_id, at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (boot, pid, start) DO UPDATE SET given_id = excluded.given_id, session_id = excluded.session_id, at = excluded.at`,
    client.boot,
    client.pid,
    client.start,
    to.givenId,
    to.sessionId,
    now,
  );
}

/** [ID11] Spares recent rows: a home that two machines share has two boots at a time. */
export function prune(sql: Sql, boot: string, before: number): void {
  sql.run("DELETE FROM clients WHERE boot <> ? AND at < ?", boot, before);
}
