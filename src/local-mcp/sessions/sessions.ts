import type { Readings } from "../../contract/readings.ts";
import type { Sql, SqlValue } from "../../shared/sql.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { RiskMark } from "../../policy/risk-mark.ts";
import { fromRow, sessionColumns, type Recovery, type Session, type SessionRow, type Waiting } from "./session-row.ts";

export type { Recovery, Session, Waiting } from "./session-row.ts";

export interface Sighting {
  readonly id: string;
  readonly client: string;
  readonly clientVersion?: string | null;
  readonly origin: string;
  /** The first value stays: a chat may go to other folders. */
  readonly project?: string | null;
  readonly cwd?: string | null;
  readonly model?: string | null;
  readonly transcriptPath?: string | null;
  readonly parentId?: string | null;
  readonly owner: ProcessIdentity | null;
  /** False for events that may arrive after the end (a late hook, a spool): they reopen nothing. */
  readonly isAlive: boolean;
  /** False for signs of life without work (a notification). */
  readonly isWork?: boolean;
}

/**
 * Creates or refreshes the session. [ID3] A sighting alive clears its end, detachment and offer.
 */
export function recordSighting(sql: Sql, now: number, sighting: Sighting): Session {
  if (sighting.isAlive) {
    sql.run(
      `UPDATE sessions SET ended_at = NULL, end_reason = NULL, detached_at = NULL, detach_reason = NULL,
         recovery = NULL, recovery_at = NULL, recovery_by = NULL, death_at = NULL
       WHERE id = ? AND (ended_at IS NOT NULL OR detached_at IS NOT NULL OR recovery IS NOT NULL OR death_at IS NOT NULL)`,
      sighting.id,
    );
  }
  const [row] = sql.all<SessionRow>(
    `INSERT INTO sessions (id, client, client_version, project, cwd, model, transcript_path, origin, parent_id, owner_boot, owner_pid, owner_start,
       started_at, last_seen_at, worked_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET client_version = coalesce(excluded.client_version, client_version),
       project = coalesce(project, excluded.project), cwd = coalesce(excluded.cwd, cwd),
       model = coalesce(excluded.model, model), transcript_path = coalesce(excluded.transcript_path, transcript_path),
       owner_boot = coalesce(excluded.owner_boot, owner_boot), owner_pid = coalesce(excluded.owner_pid, owner_pid),
       owner_start = coalesce(excluded.owner_start, owner_start), last_seen_at = max(last_seen_at, excluded.last_seen_at),
       worked_at = coalesce(excluded.worked_at, worked_at)
     RETURNING ${sessionColumns}`,
    ...toValues(sighting),
    now,
    now,
    sighting.isWork === false ? null : now,
  );
  if (!row) throw new Error(`session ${sighting.id} was not stored`);
  return fromRow(row);
}

function toValues({ owner, ...sighting }: Sighting): SqlValue[] {
  const details = [sighting.clientVersion, sighting.project, sighting.cwd, sighting.model, sighting.transcriptPath];
  return [
    sighting.id,
    sighting.client,
    ...details.map((value) => value ?? null),
    sighting.origin,
    sighting.parentId ?? null,
    ...(owner ? [owner.boot, owner.pid, owner.start] : [null, null, null]),
  ];
}

const select = `SELECT ${sessionColumns} FROM sessions`;

export function get(sql: Sql, id: string): Session | null {
  const [row] = sql.all<SessionRow>(`${select} WHERE id = ?`, id);
  return row ? fromRow(row) : null;
}

/** Default limit of two: enough to detect an ambiguous prefix. */
export function byPrefix(sql: Sql, prefix: string, limit = 2): Session[] {
  const query = `${select} WHERE id >= ? AND id < ? ORDER BY id LIMIT ?`;
  return sql.all<SessionRow>(query, prefix, `${prefix}\u{10FFFF}`, limit).map(fromRow);
}

export function displayTitle({ name, title }: Pick<Session, "name" | "title">): string | null {
  return name ?? title;
}

/** For a session of which no event comes any more. */
export function touch(sql: Sql, now: number, id: string): void {
  sql.run("UPDATE sessions SET last_seen_at = max(last_seen_at, ?) WHERE id = ? AND death_at IS NULL", now, id);
}

/** [CL80] @param name redacted; null removes the name */
export function rename(sql: Sql, id: string, name: string | null): void {
  sql.run("UPDATE sessions SET name = ? WHERE id = ?", name, id);
}

export interface SessionFilter {
  readonly project?: string;
  readonly since?: number;
  readonly limit?: number;
}

export function list(sql: Sql, filter: SessionFilter = {}): Session[] {
  return sql
    .all<SessionRow>(
      `${select} WHERE last_seen_at >= ? AND (? IS NULL OR project = ?) ORDER BY last_seen_at DESC, id LIMIT ?`,
      filter.since ?? 0,
      filter.project ?? null,
      filter.project ?? null,
      filter.limit ?? 100,
    )
    .map(fromRow);
}

/** [RE72] Newest first. Null in `projects` means sessions without a project; absent: all. */
export function* listOpen(sql: Sql, projects?: readonly (string | null)[]): Generator<Session, void> {
  const projectFilter =
    projects === undefined ? "" : `AND coalesce(project, '') IN (${projects.map(() => "?").join(", ")})`;
  const query = `${select} WHERE ended_at IS NULL AND recovery IS NULL ${projectFilter}
     ORDER BY last_seen_at DESC, id LIMIT ${openPageRows} OFFSET ?`;
  const values = projects?.map((project) => project ?? "") ?? [];
  for (let offset = 0; ; offset += openPageRows) {
    const page = sql.all<SessionRow>(query, ...values, offset);
    yield* page.map(fromRow);
    if (page.length < openPageRows) return;
  }
}

const openPageRows = 500;

export function listOpenOf(sql: Sql, { boot, pid, start }: ProcessIdentity): Session[] {
  return sql
    .all<SessionRow>(
      `${select} WHERE owner_boot = ? AND owner_pid = ? AND owner_start = ? AND origin = 'handle' AND ended_at IS NULL
       ORDER BY last_seen_at, id`,
      boot,
      pid,
      start,
    )
    .map(fromRow);
}

/** [RE2] Set only by SessionEnd or an explicit finish. [RE63] */
export function end(sql: Sql, now: number, id: string, reason: string): void {
  sql.run("DELETE FROM crashes WHERE session_id = ? AND at = (SELECT death_at FROM sessions WHERE id = ?)", id, id);
  sql.run(
    "UPDATE sessions SET ended_at = ?, end_reason = ?, last_seen_at = ?, death_at = NULL WHERE id = ?",
    now,
    reason,
    now,
    id,
  );
}

/** Written by the SessionEnd hook when the client ends in the middle of a turn. */
export const interruptedReason = "interrupted";

/** The connection ended, which a client that was closed and one that was killed both cause. */
const connectionEnds = ["stdin_end", "client_gone", "parent_death"];

/**
 * [RE3] The end of stdin, or a signal, is not the session's end: a killed client causes both.
 * @param isSignal [SI47] says more than the client's report, and that more than a closed connection
 */
export function detach(sql: Sql, now: number, id: string, reason: string, isSignal = false): void {
  const weaker = isSignal || reason === interruptedReason ? connectionEnds : [];
  sql.run(
    `UPDATE sessions SET detached_at = ?, detach_reason = ? WHERE id = ? AND ended_at IS NULL
       AND (detached_at IS NULL OR detach_reason IN (SELECT value FROM json_each(?)))`,
    now,
    reason,
    id,
    JSON.stringify(isSignal ? [...weaker, interruptedReason] : weaker),
  );
}

/** [RE105] Overrides what the MCP process saw of the same end. */
export function close(sql: Sql, now: number, id: string, reason: string): void {
  sql.run("UPDATE sessions SET detached_at = ?, detach_reason = ? WHERE id = ? AND ended_at IS NULL", now, reason, id);
}

export function update(sql: Sql, id: string, change: SessionChange): void {
  sql.run(
    `UPDATE sessions SET tool_calls = tool_calls + ?, tool_errors = tool_errors + ?, readings = coalesce(?, readings),
       title = coalesce(title, ?), model = coalesce(?, model),
       client_version = coalesce(?, client_version), transcript_offset = coalesce(?, transcript_offset),
       worked_at = coalesce(?, worked_at)
     WHERE id = ?`,
    change.toolCalls ?? 0,
    change.toolErrors ?? 0,
    change.readings ? JSON.stringify(change.readings) : null,
    change.title ?? null,
    change.model ?? null,
    change.clientVersion ?? null,
    change.transcriptOffset ?? null,
    change.workedAt ?? null,
    id,
  );
}

export function setRiskMark(sql: Sql, id: string, { covered, pending, belowAt }: RiskMark): void {
  const query = "UPDATE sessions SET risk_covered = ?, risk_pending = ?, risk_below_at = ? WHERE id = ?";
  sql.run(query, covered, pending, belowAt, id);
}

export interface SessionChange {
  /** Added to the stored counts. */
  readonly toolCalls?: number;
  readonly toolErrors?: number;
  readonly readings?: Readings;
  /** Set once. */
  readonly title?: string | null;
  readonly model?: string | null;
  readonly clientVersion?: string | null;
  readonly transcriptOffset?: number;
  readonly workedAt?: number;
}

/** [SI28] Returns false when the session is gone. */
export function markSaved(sql: Sql, now: number, id: string, title: string | null): boolean {
  const changed = sql.run(
    `UPDATE sessions SET saved_at = ?, last_seen_at = max(last_seen_at, ?), title = coalesce(title, ?),
       risk_covered = coalesce(risk_pending, risk_covered), risk_pending = NULL
     WHERE id = ?`,
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

export function moveOffers(sql: Sql, from: string, to: string): void {
  sql.run("UPDATE sessions SET recovery_by = ? WHERE recovery = 'offered' AND recovery_by = ?", to, from);
}

export function setWaiting(sql: Sql, id: string, waiting: Waiting | null): void {
  sql.run(
    "UPDATE sessions SET waiting_for = ?, waiting_since = ? WHERE id = ?",
    waiting?.for ?? null,
    waiting?.since ?? null,
    id,
  );
}

export function listWaiting(sql: Sql): Session[] {
  const query = `${select} WHERE waiting_for IS NOT NULL AND ended_at IS NULL ORDER BY waiting_since LIMIT 100`;
  return sql.all<SessionRow>(query).map(fromRow);
}

/** Not ended, not known to be dead, and without a sign of work since then. */
export function listSilent(sql: Sql, since: number): Session[] {
  const query = `${select} WHERE ended_at IS NULL AND death_at IS NULL AND owner_pid IS NOT NULL
     AND coalesce(worked_at, last_seen_at) <= ? ORDER BY last_seen_at DESC LIMIT 100`;
  return sql.all<SessionRow>(query, since).map(fromRow);
}

/** @returns false when its death is recorded already, or it has ended */
export function markDead(sql: Sql, id: string): boolean {
  const query = "UPDATE sessions SET death_at = last_seen_at WHERE id = ? AND death_at IS NULL AND ended_at IS NULL";
  return sql.run(query, id) > 0;
}

export function listWithoutDeath(sql: Sql): Session[] {
  const query = `${select} WHERE ended_at IS NULL AND death_at IS NULL AND owner_pid IS NOT NULL
     ORDER BY last_seen_at DESC LIMIT 500`;
  return sql.all<SessionRow>(query).map(fromRow);
}

export function listOffered(sql: Sql): Session[] {
  return sql.all<SessionRow>(`${select} WHERE recovery = 'offered'`).map(fromRow);
}

export function listOfferedTo(sql: Sql, by: string): Session[] {
  return sql.all<SessionRow>(`${select} WHERE recovery = 'offered' AND recovery_by = ?`, by).map(fromRow);
}
