import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { syncChanges } from "../../store/sync-tables.ts";

export type PendingChange = RowOf<typeof syncChanges>;

/** Newest checkpoints sent again per session: as many as a coordinator keeps. */
const maxCheckpointsPerSession = 20;

/** Changes that no request under way carries, oldest first. */
export function oldest(sql: Sql, limit: number): PendingChange[] {
  return syncChanges.select(sql, "WHERE batch = 0 ORDER BY seq LIMIT ?", limit);
}

/** Those of sessions, by their ids. */
export function ofSessions(sql: Sql, sessions: readonly string[]): PendingChange[] {
  const rest = "WHERE kind = 'session' AND batch = 0 AND id IN (SELECT value FROM json_each(?))";
  return syncChanges.select(sql, rest, JSON.stringify(sessions));
}

export function deletions(sql: Sql, limit: number): PendingChange[] {
  return syncChanges.select(
    sql,
    `WHERE batch = 0 AND
       CASE kind WHEN 'session' THEN id NOT IN (SELECT id FROM sessions) ELSE id NOT IN (SELECT id FROM checkpoints) END
     ORDER BY seq LIMIT ?`,
    limit,
  );
}

/** Marks changes as carried by a request. */
export function take(sql: Sql, seqs: readonly number[], batch: number): void {
  if (seqs.length > 0) sql.run(`UPDATE sync_changes SET batch = ? WHERE ${isAmong}`, batch, JSON.stringify(seqs));
}

export function remove(sql: Sql, seqs: readonly number[], batch: number): void {
  sql.run(`DELETE FROM sync_changes WHERE batch = ? AND ${isAmong}`, batch, JSON.stringify(seqs));
}

const isAmong = "seq IN (SELECT value FROM json_each(?))";

/** Changes that a request did not deliver wait again. @param batch null: those of dead hosts */
export function release(sql: Sql, batch: number | null): void {
  const isOf = batch === null ? "batch <> 0" : "batch = ?";
  const values = batch === null ? [] : [batch];
  // Two requests of dead hosts may carry changes of one name.
  sql.run(
    `DELETE FROM sync_changes WHERE ${isOf} AND EXISTS (SELECT 1 FROM sync_changes AS later
       WHERE later.kind = sync_changes.kind AND later.id = sync_changes.id AND later.seq > sync_changes.seq)`,
    ...values,
  );
  sql.run(`UPDATE sync_changes SET batch = 0 WHERE ${isOf}`, ...values);
}

/** Number of the change that was recorded last; 0: none waits. */
export function newest(sql: Sql): number {
  return sql.all<{ seq: number | null }>("SELECT max(seq) AS seq FROM sync_changes")[0]?.seq ?? 0;
}

/** Changes that the coordinator has not acknowledged. */
export function count(sql: Sql): number {
  return syncChanges.count(sql);
}

export function projectRoots(sql: Sql): string[] {
  return sql
    .all<{ project: string }>(
      `SELECT DISTINCT project FROM sessions
       WHERE project IS NOT NULL AND id IN (SELECT session FROM sync_changes ORDER BY seq LIMIT 400)`,
    )
    .map(({ project }) => project);
}

/** [SY62] Enqueues all that is kept but sessions that ended before `since` (epoch ms). */
export function enqueueAll(sql: Sql, since: number): void {
  sql.run(
    `INSERT OR IGNORE INTO sync_changes (kind, session, id, at)
     SELECT 'session', id, id, lastSeenAt FROM sessions WHERE lastSeenAt > ? ORDER BY lastSeenAt`,
    since,
  );
  sql.run(
    `INSERT OR IGNORE INTO sync_changes (kind, session, id, at)
     SELECT 'checkpoint', session, id, at FROM (
       SELECT seq, session, id, at, row_number() OVER (PARTITION BY session ORDER BY seq DESC) AS place FROM checkpoints WHERE at > ?
     ) WHERE place <= ? ORDER BY seq`,
    since,
    maxCheckpointsPerSession,
  );
}

export function enqueue(sql: Sql, { kind, session, id, at }: Omit<PendingChange, "seq" | "batch">): void {
  syncChanges.insert(sql, { kind, session, id, at }, "ON CONFLICT DO NOTHING");
}

/** [SY65] Keeps each session's newest checkpoint and all deletions; returns the skipped count. */
export function skipSuperseded(sql: Sql): number {
  return sql.run(
    `DELETE FROM sync_changes WHERE kind = 'checkpoint' AND batch = 0 AND EXISTS (
       SELECT 1 FROM checkpoints mine JOIN checkpoints newer ON newer.session = mine.session AND newer.seq > mine.seq
       WHERE mine.id = sync_changes.id)`,
  );
}
