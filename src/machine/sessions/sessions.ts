import { basename } from "node:path";
import type { RiskMark } from "../../contract/readings.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { Sql } from "../../shared/sql.ts";
import {
  hasContentSql,
  isNotEndedSql,
  isOpenSql,
  isSettledSql,
  isUnsettledSql,
  sessions,
  type Session,
} from "../../store/session-tables.ts";
import { noteReturn } from "./recoveries.ts";

export type { Session } from "../../store/session-tables.ts";

/** Origin of a session that was read from a file: its own client may not have it. */
export const importOrigin = "import";
/** Origin of a session that another machine has handed over. */
export const givenOrigin = "given";

export interface Sighting {
  readonly id: string;
  readonly client: string;
  readonly clientVersion?: string | null | undefined;
  readonly origin: string;
  /** The first value stays: a chat may go to other folders. */
  readonly project?: string | null;
  readonly cwd?: string | null;
  readonly model?: string | null | undefined;
  readonly transcriptPath?: string | null | undefined;
  /** Bytes of the transcript that are not read in a new session. */
  readonly transcriptOffset?: number;
  readonly parentId?: string | null;
  readonly isScripts?: boolean;
  readonly owner: ProcessIdentity | null;
  /** False for events that may arrive after the end (a late hook, a spool): they reopen nothing. */
  readonly isAlive: boolean;
  /** False for signs of life without work (a notification). */
  readonly isWork?: boolean;
}

/** Creates or refreshes the session. A sighting alive clears its end, and frees it. */
export function recordSighting(sql: Sql, now: number, { owner, isAlive, isWork, ...sighting }: Sighting): Session {
  if (isAlive) noteReturn(sql, now, sighting.id);
  const times = { startedAt: now, lastSeenAt: now, workedAt: isWork === false ? null : now };
  const row = sessions.insertReturning(
    sql,
    { ...sighting, ...times, owner: owner && identityOf(owner) },
    `ON CONFLICT (id) DO UPDATE SET clientVersion = coalesce(excluded.clientVersion, clientVersion),
       project = coalesce(project, excluded.project), cwd = coalesce(excluded.cwd, cwd),
       model = coalesce(excluded.model, model), transcriptPath = coalesce(excluded.transcriptPath, transcriptPath),
       owner = coalesce(excluded.owner, owner), lastSeenAt = max(lastSeenAt, excluded.lastSeenAt),
       workedAt = coalesce(excluded.workedAt, workedAt)${isAlive ? ", ending = NULL" : ""}`,
  );
  if (!row) throw new Error(`session ${sighting.id} was not stored`);
  return row;
}

/** Pure. @returns the row of a living session after the change, which {@link update} stores */
export function withChange(row: Session, change: SessionChange): Session {
  const lastSeenAt = Math.max(row.lastSeenAt, change.lastSeenAt ?? 0);
  return { ...row, ...Object.fromEntries(given(change)), project: row.project ?? change.project ?? null, lastSeenAt };
}

function given(change: SessionChange): [name: string, value: string | number | boolean | object][] {
  return Object.entries(change).flatMap(([name, value]) =>
    value === null || value === undefined ? [] : [[name, value]],
  );
}

/** Stored as JSON, and compared as text. */
export function identityOf({ boot, pid, start }: ProcessIdentity): ProcessIdentity {
  return { boot, pid, start };
}

export function get(sql: Sql, id: string): Session | null {
  return sessions.find(sql, { id });
}

/** Default limit of two: enough to detect an ambiguous prefix. */
export function byPrefix(sql: Sql, prefix: string, limit = 2): Session[] {
  return sessions.select(sql, "WHERE id >= ? AND id < ? ORDER BY id LIMIT ?", prefix, `${prefix}\u{10FFFF}`, limit);
}

export function displayTitle({ name, title }: Pick<Session, "name" | "title">): string | null {
  return name ?? title;
}

/** A chat that the client continued has an owner, and is recorded by its hooks since. */
export function isOnlyImported({ origin, owner }: Pick<Session, "origin" | "owner">): boolean {
  return (origin === importOrigin || origin === givenOrigin) && owner === null;
}

/** Its chat began before SHIM was there: the client's resume was the first event. */
export function isFirstSeenResumed({ origin }: Pick<Session, "origin">): boolean {
  return origin === "resume";
}

/** Its context began with that of another session, or of another window of the same one. */
export function isFork({ origin }: Pick<Session, "origin">): boolean {
  return origin === "fork";
}

/** Its transcript begins before SHIM has seen it. */
export function hasHistory(session: Pick<Session, "origin">): boolean {
  return isFirstSeenResumed(session) || isFork(session);
}

/** Start of the next reading of a transcript, in bytes: a file of another name is another file. */
export function offsetIn({ transcriptPath, transcriptOffset }: Session, path: string): number {
  return transcriptPath === null || basename(transcriptPath) === basename(path) ? transcriptOffset : 0;
}

/** For a session of which no event comes any more. */
export function touch(sql: Sql, now: number, id: string): void {
  sql.run(
    `UPDATE sessions SET lastSeenAt = max(lastSeenAt, ?) WHERE id = ? AND ${isSettledSql("sessions")} = 0`,
    now,
    id,
  );
}

/** A chat that continues a session before it has a title of its own is called like it. */
export function inheritTitle(sql: Sql, id: string, from: string): void {
  const query = `UPDATE sessions SET title = coalesce(title,
     (SELECT coalesce(name, title) FROM sessions WHERE id = ?)) WHERE id = ?`;
  sql.run(query, from, id);
}

/** @param name redacted; null removes the name */
export function rename(sql: Sql, id: string, name: string | null): void {
  sessions.update(sql, { id }, { name });
}

/** Its project is another folder from now on. */
export function moveTo(sql: Sql, id: string, project: string | null): void {
  sessions.update(sql, { id }, { project });
}

/** Whether there is anything of it to recover. */
export function hasContent(sql: Sql, id: string): boolean {
  return sql.all(`SELECT 1 FROM sessions WHERE id = ? AND ${hasContentSql("sessions.id")}`, id).length > 0;
}

export interface SessionFilter {
  /** Absent: any; null: those without one. */
  readonly project?: string | null;
  readonly since?: number;
  readonly limit?: number;
  /** Runs of scripts, too. Absent: only where no person has a chat. */
  readonly withScripts?: boolean;
}

const personsFirst = "ORDER BY isScripts, lastSeenAt DESC, id";

function whereOf({ project, since = 0 }: SessionFilter): [where: string, values: (string | number | null)[]] {
  const where = "WHERE lastSeenAt >= ?";
  return project === undefined ? [where, [since]] : [`${where} AND project IS ?`, [since, project]];
}

/** Newest first, chats of persons before the runs of scripts, which {@link countFolded} counts. */
export function list(sql: Sql, filter: SessionFilter = {}): Session[] {
  const [where, values] = whereOf(filter);
  const shown = foldsScripts(sql, filter) ? "AND isScripts = 0" : "";
  return sessions.select(sql, `${where} ${shown} ${personsFirst} LIMIT ?`, ...values, filter.limit ?? 100);
}

/** All of them, as in {@link list}; rows are read as they are asked for. */
export function each(sql: Sql, filter: Omit<SessionFilter, "limit">): Generator<Session, void> {
  const [where, values] = whereOf(filter);
  return pages(sql, foldsScripts(sql, filter) ? `${where} AND isScripts = 0` : where, values);
}

const pageRows = 500;

function* pages(sql: Sql, where: string, values: readonly (string | number | null)[]): Generator<Session, void> {
  for (let offset = 0; ; offset += pageRows) {
    const page = sessions.select(sql, `${where} ${personsFirst} LIMIT ${pageRows} OFFSET ?`, ...values, offset);
    yield* page;
    if (page.length < pageRows) return;
  }
}

/**
 * Whether a list leaves out the runs of scripts. Where no person has a chat, they are all that
 * there is: an editor may start its client as a script does.
 */
export function foldsScripts(sql: Sql, { project, withScripts }: SessionFilter): boolean {
  const [where, values] = whereOf(project === undefined ? {} : { project });
  return (
    withScripts !== true && sql.all(`SELECT 1 FROM sessions ${where} AND isScripts = 0 LIMIT 1`, ...values).length > 0
  );
}

/** Number of the runs of scripts that a list leaves out. */
export function countFolded(sql: Sql, filter: SessionFilter): number {
  const [where, values] = whereOf(filter);
  const count = `SELECT count(*) AS n FROM sessions ${where} AND isScripts = 1`;
  return foldsScripts(sql, filter) ? (sql.all<{ n: number }>(count, ...values)[0]?.n ?? 0) : 0;
}

/** Pure. Orders chats of persons before runs of scripts. */
export function byPerson(one: Session, other: Session): number {
  return Number(one.isScripts) - Number(other.isScripts);
}

/**
 * Sessions that run or can be continued, newest first, chats of persons before runs of scripts.
 * Null in `projects` means sessions without a project; absent: all.
 */
export function listOpen(sql: Sql, projects?: readonly (string | null)[]): Generator<Session, void> {
  const projectFilter =
    projects === undefined ? "" : `(${projects.map(() => "project IS ?").join(" OR ") || "FALSE"}) AND`;
  return pages(sql, `WHERE ${projectFilter} ${isOpenSql("sessions")}`, projects ?? []);
}

/** Those of {@link listOpen} without a noted end, or heard of since then (epoch ms). */
export function listPresent(sql: Sql, since: number): Session[] {
  return sessions.select(
    sql,
    `WHERE id IN (SELECT id FROM sessions WHERE ${isUnsettledSql}
       UNION ALL SELECT id FROM sessions WHERE isScripts IN (0, 1) AND lastSeenAt >= ?)
     AND ${isOpenSql("sessions")} ${personsFirst}`,
    since,
  );
}

export function listOpenOf(sql: Sql, owner: ProcessIdentity): Session[] {
  return sessions.select(
    sql,
    `WHERE ${isUnsettledSql} AND owner = ? AND origin = 'handle' AND ${isNotEndedSql("sessions")} ORDER BY lastSeenAt, id`,
    JSON.stringify(identityOf(owner)),
  );
}

/** SQL of fields in which the new value does not just replace the old one. */
const merged: Partial<Record<string, string>> = {
  toolCalls: "toolCalls + ?",
  toolErrors: "toolErrors + ?",
  title: "coalesce(title, ?)",
  project: "coalesce(project, ?)",
  lastSeenAt: "max(lastSeenAt, ?)",
};

/** Writes nothing where nothing changes; of several values of a field the last counts. */
export function update(sql: Sql, id: string, ...changes: readonly SessionChange[]): void {
  const fields = new Map(changes.flatMap(given));
  if (fields.size === 0) return;
  const values: (string | number)[] = [];
  const texts: string[] = [];
  for (const [name, value] of fields) {
    texts.push(`${name} = ${merged[name] ?? "?"}`);
    const stored = typeof value === "object" ? JSON.stringify(value) : value;
    values.push(typeof stored === "boolean" ? Number(stored) : stored);
  }
  sql.run(`UPDATE sessions SET ${texts.join(", ")} WHERE id = ?`, ...values, id);
}

/** Its client keeps the session where SHIM reads no file. */
export function setUnread(sql: Sql, id: string): void {
  sessions.update(sql, { id }, { transcriptPath: null });
}

export function setRiskMark(sql: Sql, id: string, riskMark: RiskMark): void {
  sessions.update(sql, { id }, { riskMark });
}

type Changed =
  | "isScripts"
  | "project"
  | "cwd"
  | "title"
  | "model"
  | "clientVersion"
  | "transcriptPath"
  | "transcriptOffset"
  | "owner";
type Counted = "lastSeenAt" | "workedAt" | "toolCalls" | "toolErrors" | "readings";

/** Null leaves the stored value, as an absent field does. Counts are added; a title is set once. */
export type SessionChange = { readonly [Name in Changed | Counted]?: Session[Name] | undefined };

/** Returns false when the session is gone. */
export function markSaved(sql: Sql, now: number, id: string, title: string | null, seenAt = now): boolean {
  const changed = sql.run(
    `UPDATE sessions SET savedAt = ?,
       readings = json_set(readings, '$.sinceCheckpointMs', json_object('value', 0, 'source', 'measured', 'at', ?)), lastSeenAt = max(lastSeenAt, ?), title = coalesce(title, ?),
       riskMark = json_set(riskMark, '$.covered', coalesce(riskMark ->> 'pending', riskMark ->> 'covered'), '$.pending', NULL)
     WHERE id = ?`,
    now,
    now,
    seenAt,
    title,
    id,
  );
  return changed > 0;
}

/** Sessions of processes, of which no end was noted. */
export function listUnsettled(sql: Sql): Session[] {
  // `+`: by the index of these few, not by that of all in this order.
  return sessions.select(sql, `WHERE ${isUnsettledSql} ORDER BY +isScripts, lastSeenAt DESC, id LIMIT 500`);
}
