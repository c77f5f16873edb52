import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { syncChanges } from "../../store/sync-tables.ts";

export type PendingChange = RowOf<typeof syncChanges>;

const isKept = "deleted IS NULL AND session IN (SELECT id FROM sessions)";

/** Sessions and checkpoints that are gone, oldest first. */
export function deletions(sql: Sql, limit: number): PendingChange[] {
  return syncChanges.select(sql, `WHERE NOT (${isKept}) ORDER BY seq LIMIT ?`, limit);
}

/** Changes of sessions after one and up to another, oldest first. */
export function ofSessions(sql: Sql, [after, to]: readonly [number, number], limit: number): PendingChange[] {
  return syncChanges.select(sql, `WHERE seq > ? AND seq <= ? AND ${isKept} ORDER BY seq LIMIT ?`, after, to, limit);
}

/** Number of the change that was recorded last; 0: none waits. */
export function newest(sql: Sql): number {
  return sql.all<{ seq: number | null }>("SELECT max(seq) AS seq FROM sync_changes")[0]?.seq ?? 0;
}

/** Changes that were recorded since they were read have other numbers. */
export function remove(sql: Sql, seqs: readonly number[]): void {
  sql.run("DELETE FROM sync_changes WHERE seq IN (SELECT value FROM json_each(?))", JSON.stringify(seqs));
}

/** Changes that the coordinator has not acknowledged. */
export function count(sql: Sql): number {
  return syncChanges.count(sql);
}

/** Changes, or calls of all chats, that wait for an answer; `oldestAt` in epoch ms. */
export function waitingIn(
  sql: Sql,
  table: "sync_changes" | "team_calls",
): { readonly count: number; readonly oldestAt: number | null } {
  const [found] = sql.all<{ n: number; at: number | null }>(`SELECT count(*) AS n, min(at) AS at FROM ${table}`);
  return { count: found?.n ?? 0, oldestAt: found?.at ?? null };
}

export function hasUrgent(sql: Sql): boolean {
  return syncChanges.has(sql, { isUrgent: true });
}

/** Enqueues all that is kept but sessions that ended before `since` (epoch ms). */
export function enqueueAll(sql: Sql, since: number): void {
  sql.run(
    "DELETE FROM sync_changes WHERE deleted IS NULL AND session IN (SELECT id FROM sessions WHERE lastSeenAt > ?)",
    since,
  );
  sql.run(
    `INSERT INTO sync_changes (session, at, isUrgent)
     SELECT id, lastSeenAt, 1 FROM sessions WHERE lastSeenAt > ? ORDER BY lastSeenAt`,
    since,
  );
}

/** @param deleted see {@link syncChanges} */
export function enqueue(sql: Sql, session: string, at: number, deleted: string | null = null): void {
  sql.run("DELETE FROM sync_changes WHERE session = ? AND deleted IS ?", session, deleted);
  syncChanges.insert(sql, { session, deleted, at, isUrgent: true });
}
