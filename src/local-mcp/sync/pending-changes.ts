import type { SyncOp } from "../../contract/sync.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { syncChanges, syncLog } from "../../store/sync-tables.ts";

export type PendingChange = RowOf<typeof syncChanges>;

/** Newest checkpoints sent again per session: as many as a coordinator keeps. */
const maxCheckpointsPerSession = 20;

export function oldest(sql: Sql, limit: number): PendingChange[] {
  return syncChanges.select(sql, "ORDER BY seq LIMIT ?", limit);
}

export function deletions(sql: Sql, limit: number): PendingChange[] {
  return syncChanges.select(
    sql,
    `WHERE CASE kind WHEN 'session' THEN id NOT IN (SELECT id FROM sessions) ELSE id NOT IN (SELECT id FROM checkpoints) END
     ORDER BY seq LIMIT ?`,
    limit,
  );
}

export function hasDeletions(sql: Sql): boolean {
  return deletions(sql, 1).length > 0 || syncLog.has(sql, { kind: "forget" });
}

export function remove(sql: Sql, seqs: readonly number[]): void {
  sql.run("DELETE FROM sync_changes WHERE seq IN (SELECT value FROM json_each(?))", JSON.stringify(seqs));
}

/** Number of the change that was recorded last; 0: none waits. */
export function newest(sql: Sql): number {
  return sql.all<{ seq: number | null }>("SELECT max(seq) AS seq FROM sync_changes")[0]?.seq ?? 0;
}

export function count(sql: Sql): number {
  return syncChanges.count(sql);
}

export function hasSealed(sql: Sql): boolean {
  return sql.all("SELECT 1 FROM sync_log LIMIT 1").length > 0;
}

export function sealedCount(sql: Sql): number {
  return syncLog.count(sql);
}

/** Changes that wait to be sent, sealed or not. */
export function unsentCount(sql: Sql): number {
  return count(sql) + sealedCount(sql);
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
  sql.run("DELETE FROM sync_changes WHERE kind = 'checkpoint' AND id IN (SELECT id FROM checkpoints)");
  sql.run(
    `INSERT OR IGNORE INTO sync_changes (kind, session, id, at)
     SELECT 'session', id, id, lastSeenAt FROM sessions WHERE lastSeenAt > ? ORDER BY lastSeenAt`,
    since,
  );
  sql.run(
    `INSERT INTO sync_changes (kind, session, id, at)
     SELECT 'checkpoint', session, id, at FROM (
       SELECT seq, session, id, at, row_number() OVER (PARTITION BY session ORDER BY seq DESC) AS place FROM checkpoints WHERE at > ?
     ) WHERE place <= ? ORDER BY seq`,
    since,
    maxCheckpointsPerSession,
  );
}

/** [SY62] Requeues sealed, unacknowledged ops before newer changes and empties the log. */
export function requeueLog(sql: Sql): void {
  const log = syncLog.select(sql, "ORDER BY seq");
  if (log.length === 0) return;
  const laterChanges = oldest(sql, Number.MAX_SAFE_INTEGER);
  sql.run("DELETE FROM sync_changes");
  for (const { op, at } of log) {
    const { session, checkpoint } = JSON.parse(op) as SyncOp;
    enqueue(sql, { kind: checkpoint === undefined ? "session" : "checkpoint", session, id: checkpoint ?? session, at });
  }
  for (const change of laterChanges) enqueue(sql, change);
  sql.run("DELETE FROM sync_log");
}

export function enqueue(sql: Sql, { kind, session, id, at }: Omit<PendingChange, "seq">): void {
  syncChanges.insert(sql, { kind, session, id, at }, "ON CONFLICT DO NOTHING");
}

/** [SY65] Keeps each session's newest checkpoint and all deletions; returns the skipped count. */
export function skipSuperseded(sql: Sql): number {
  return sql.run(
    `DELETE FROM sync_changes WHERE kind = 'checkpoint' AND EXISTS (
       SELECT 1 FROM checkpoints mine JOIN checkpoints newer ON newer.session = mine.session AND newer.seq > mine.seq
       WHERE mine.id = sync_changes.id)`,
  );
}
