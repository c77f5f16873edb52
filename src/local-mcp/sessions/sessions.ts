import type { Readings } from "../../contract/readings.ts";
import type { Sql, SqlValue } from "../../shared/sql.ts";
import type { ProcessIdentity } from "../processes.ts";

export type Recovery = "offered" | "recovered" | "dismissed";

export interface Session {
  readonly id: string;
  readonly client: string;
  /** Root folder of the project; null where the client names none. */
  readonly project: string | null;
  readonly cwd: string | null;
  readonly title: string | null;
  readonly model: string | null;
  readonly transcriptPath: string | null;
  readonly transcriptOffset: number;
  /** startup, resume, clear, compact, fork (as Claude Code says) or handle (minted by a tool call). */
  readonly origin: string;
  readonly parentId: string | null;
  /** The process whose life is the session's life. */
  readonly owner: ProcessIdentity | null;
  readonly startedAt: number;
  readonly lastSeenAt: number;
  /** When its state was last known to be in a checkpoint. */
  readonly savedAt: number | null;
  readonly endedAt: number | null;
  readonly endReason: string | null;
  readonly detachedAt: number | null;
  readonly detachReason: string | null;
  readonly recovery: Recovery | null;
  readonly recoveryAt: number | null;
  readonly recoveryBy: string | null;
  readonly toolCalls: number;
  readonly toolErrors: number;
  readonly readings: Readings;
}

interface Row {
  id: string;
  client: string;
  project: string | null;
  cwd: string | null;
  title: string | null;
  model: string | null;
  transcript_path: string | null;
  transcript_offset: number;
  origin: string;
  parent_id: string | null;
  owner_boot: string | null;
  owner_pid: number | null;
  owner_start: string | null;
  started_at: number;
  last_seen_at: number;
  saved_at: number | null;
  ended_at: number | null;
  end_reason: string | null;
  detached_at: number | null;
  detach_reason: string | null;
  recovery: Recovery | null;
  recovery_at: number | null;
  recovery_by: string | null;
  tool_calls: number;
  tool_errors: number;
  readings: string;
}

export interface Sighting {
  readonly id: string;
  readonly client: string;
  readonly origin: string;
  /** The first that is told stays: a chat may go to other folders. */
  readonly project?: string | null;
  readonly cwd?: string | null;
  readonly model?: string | null;
  readonly transcriptPath?: string | null;
  readonly parentId?: string | null;
  readonly owner: ProcessIdentity | null;
  /** False for what may arrive after the end (a late hook, a spool): it does not open an ended session again. */
  readonly isAlive: boolean;
}

/**
 * A sign of life: makes the session at its first, refreshes it later. [ID3] A session that is seen alive again is not ended,
 * detached or on offer any more.
 */
export function seen(sql: Sql, now: number, sighting: Sighting): Session {
  if (sighting.isAlive) {
    sql.run(
      `UPDATE sessions SET ended_at = NULL, end_reason = NULL, detached_at = NULL, detach_reason = NULL,
         recovery = NULL, recovery_at = NULL, recovery_by = NULL
       WHERE id = ? AND (ended_at IS NOT NULL OR detached_at IS NOT NULL OR recovery IS NOT NULL)`,
      sighting.id,
    );
  }
  const [row] = sql.all<Row>(
    `INSERT INTO sessions (id, client, project, cwd, model, transcript_path, origin, parent_id, owner_boot, owner_pid, owner_start,
       started_at, last_seen_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET
       project = coalesce(project, excluded.project), cwd = coalesce(excluded.cwd, cwd),
       model = coalesce(excluded.model, model), transcript_path = coalesce(excluded.transcript_path, transcript_path),
       owner_boot = coalesce(excluded.owner_boot, owner_boot), owner_pid = coalesce(excluded.owner_pid, owner_pid),
       owner_start = coalesce(excluded.owner_start, owner_start), last_seen_at = max(last_seen_at, excluded.last_seen_at)
     RETURNING *`,
    ...valuesOf(sighting),
    now,
    now,
  );
  if (!row) throw new Error(`session ${sighting.id} was not stored`);
  return fromRow(row);
}

function valuesOf({ owner, ...sighting }: Sighting): SqlValue[] {
  const place = [sighting.project, sighting.cwd, sighting.model, sighting.transcriptPath];
  return [
    sighting.id,
    sighting.client,
    ...place.map((value) => value ?? null),
    sighting.origin,
    sighting.parentId ?? null,
    ...(owner ? [owner.boot, owner.pid, owner.start] : [null, null, null]),
  ];
}

export function get(sql: Sql, id: string): Session | null {
  const [row] = sql.all<Row>("SELECT * FROM sessions WHERE id = ?", id);
  return row ? fromRow(row) : null;
}

/** Sessions whose id begins with `prefix`, at most two: one is the answer, two is ambiguous. */
export function byPrefix(sql: Sql, prefix: string): Session[] {
  return sql
    .all<Row>("SELECT * FROM sessions WHERE id >= ? AND id < ? ORDER BY id LIMIT 2", prefix, `${prefix}\u{10FFFF}`)
    .map(fromRow);
}

export interface SessionFilter {
  readonly project?: string;
  readonly since?: number;
  readonly limit?: number;
}

/** Newest first. */
export function list(sql: Sql, filter: SessionFilter = {}): Session[] {
  return sql
    .all<Row>(
      "SELECT * FROM sessions WHERE last_seen_at >= ? AND (? IS NULL OR project = ?) ORDER BY last_seen_at DESC, id LIMIT ?",
      filter.since ?? 0,
      filter.project ?? null,
      filter.project ?? null,
      filter.limit ?? 100,
    )
    .map(fromRow);
}

/**
 * [RE1] Sessions without an end mark that nobody recovers: alive, or incomplete. Newest first, read page by page; an index keeps it flat in
 * history.
 *
 * @param projects null stands for sessions without a project; absent: all
 */
export function* open(sql: Sql, projects?: readonly (string | null)[]): Generator<Session, void> {
  const ofProjects =
    projects === undefined ? "" : `AND coalesce(project, '') IN (${projects.map(() => "?").join(", ")})`;
  const query = `SELECT * FROM sessions WHERE ended_at IS NULL AND recovery IS NULL ${ofProjects}
     ORDER BY last_seen_at DESC, id LIMIT ${openPage} OFFSET ?`;
  const values = projects?.map((project) => project ?? "") ?? [];
  for (let offset = 0; ; offset += openPage) {
    const page = sql.all<Row>(query, ...values, offset);
    yield* page.map(fromRow);
    if (page.length < openPage) return;
  }
}

const openPage = 500;

/** The end mark. [RE2] Only SessionEnd, or an explicit finish, sets it. */
export function end(sql: Sql, now: number, id: string, reason: string): void {
  sql.run("UPDATE sessions SET ended_at = ?, end_reason = ?, last_seen_at = ? WHERE id = ?", now, reason, now, id);
}

/** [RE3] The end of stdin, or a signal, is not the end of the session: a killed client looks the same. */
export function detach(sql: Sql, now: number, id: string, reason: string): void {
  sql.run(
    "UPDATE sessions SET detached_at = ?, detach_reason = ? WHERE id = ? AND ended_at IS NULL AND detached_at IS NULL",
    now,
    reason,
    id,
  );
}

/** Counts tool calls and keeps the newest readings, title and how far the transcript was read. */
export function update(sql: Sql, id: string, change: SessionChange): void {
  sql.run(
    `UPDATE sessions SET tool_calls = tool_calls + ?, tool_errors = tool_errors + ?, readings = coalesce(?, readings),
       title = coalesce(title, ?), model = coalesce(?, model), transcript_offset = coalesce(?, transcript_offset)
     WHERE id = ?`,
    change.toolCalls ?? 0,
    change.toolErrors ?? 0,
    change.readings ? JSON.stringify(change.readings) : null,
    change.title ?? null,
    change.model ?? null,
    change.transcriptOffset ?? null,
    id,
  );
}

export interface SessionChange {
  /** Added to the counts. */
  readonly toolCalls?: number;
  readonly toolErrors?: number;
  readonly readings?: Readings;
  /** Set once. */
  readonly title?: string | null;
  readonly model?: string | null;
  readonly transcriptOffset?: number;
}

/**
 * @param title used where the session has none yet
 * @returns false when there is no such session any more
 */
export function markSaved(sql: Sql, now: number, id: string, title: string | null): boolean {
  const changed = sql.run(
    "UPDATE sessions SET saved_at = ?, last_seen_at = max(last_seen_at, ?), title = coalesce(title, ?) WHERE id = ?",
    now,
    now,
    title,
    id,
  );
  return changed > 0;
}

export function setRecovery(sql: Sql, now: number, id: string, recovery: Recovery | null, by: string | null): void {
  sql.run("UPDATE sessions SET recovery = ?, recovery_at = ?, recovery_by = ? WHERE id = ?", recovery, now, by, id);
}

/** All that are on offer: to a chat that has not saved anything since. */
export function offered(sql: Sql): Session[] {
  return sql.all<Row>("SELECT * FROM sessions WHERE recovery = 'offered'").map(fromRow);
}

/** The session that this one was offered last and has not taken over yet. */
export function offeredTo(sql: Sql, by: string): Session[] {
  return sql.all<Row>("SELECT * FROM sessions WHERE recovery = 'offered' AND recovery_by = ?", by).map(fromRow);
}

function fromRow(row: Row): Session {
  return {
    id: row.id,
    client: row.client,
    project: row.project,
    cwd: row.cwd,
    title: row.title,
    model: row.model,
    transcriptPath: row.transcript_path,
    transcriptOffset: row.transcript_offset,
    origin: row.origin,
    parentId: row.parent_id,
    owner: ownerOf(row),
    startedAt: row.started_at,
    lastSeenAt: row.last_seen_at,
    savedAt: row.saved_at,
    endedAt: row.ended_at,
    endReason: row.end_reason,
    detachedAt: row.detached_at,
    detachReason: row.detach_reason,
    recovery: row.recovery,
    recoveryAt: row.recovery_at,
    recoveryBy: row.recovery_by,
    toolCalls: row.tool_calls,
    toolErrors: row.tool_errors,
    // Written by update() only.
    readings: JSON.parse(row.readings) as Readings,
  };
}

function ownerOf(row: Row): ProcessIdentity | null {
  if (row.owner_boot === null || row.owner_pid === null || row.owner_start === null) return null;
  return { boot: row.owner_boot, pid: row.owner_pid, start: row.owner_start };
}
