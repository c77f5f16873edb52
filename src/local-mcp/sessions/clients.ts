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

/**
 * [ID19] SHIM's id of a session that the client works in under this id; a fork that is not the
 * client's current session is found by its owner. Null: it has none.
 */
export function sessionOf(sql: Sql, client: ProcessIdentity, givenId: string): string | null {
  const now = current(sql, client);
  if (now?.givenId === givenId) return now.sessionId;
  return listOpen(sql, client).find(({ parentId }) => parentId === givenId)?.id ?? null;
}

/** Whether the client works in several sessions that have neither ended nor died. */
export function hasSeveral(sql: Sql, client: ProcessIdentity): boolean {
  return listOpen(sql, client).length > 1;
}

/** Newest first. */
function listOpen(
  sql: Sql,
  { boot, pid, start }: ProcessIdentity,
): { readonly id: string; readonly parentId: string | null }[] {
  return sql.all(
    `SELECT id, parent_id AS parentId FROM sessions WHERE ended_at IS NULL AND death_at IS NULL AND owner_pid IS NOT NULL
       AND owner_pid = ? AND owner_start = ? AND owner_boot = ? ORDER BY started_at DESC`,
    pid,
    start,
    boot,
  );
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
