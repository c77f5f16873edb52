import type { JournalEntry, JournalKind } from "../../contract/journal.ts";
import { turnBoundSql, type TurnBound } from "../../contract/turn-kinds.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { journal } from "../../store/session-tables.ts";

/** One thing that was seen. */
export interface JournalRow {
  /** Orders those of one time: as they arrived. */
  readonly seq: number;
  /** Its own time (epoch ms). */
  readonly at: number;
  readonly entry: JournalEntry;
}

const entries = journal.pick("seq", "at", "kind", "body");
const prompts = journal.pick("seq", "at", "key");

/**
 * Returns false for an event stored already (two hooks, a spool, the transcript).
 *
 * @param unless key of an entry beside which this one is not stored
 */
export function append(
  sql: Sql,
  session: string,
  at: number,
  key: string,
  entry: JournalEntry,
  unless: string | null = null,
): boolean {
  const { kind, ...body } = entry;
  const query = `INSERT INTO journal (session, at, kind, key, body) SELECT ?, ?, ?, ?, ?
     WHERE NOT EXISTS (SELECT 1 FROM journal WHERE session = ? AND key = ?) ON CONFLICT (session, key) DO NOTHING`;
  return sql.run(query, session, at, kind, key, JSON.stringify(body), session, unless) > 0;
}

export interface PromptRow extends JournalRow {
  readonly key: string;
  readonly entry: Extract<JournalEntry, { readonly kind: "prompt" }>;
}

const promptRows = journal.pick("seq", "at", "key", "body");

/** Prompts of a span of time (epoch ms, both ends included), oldest first. */
export function promptsBetween(sql: Sql, session: string, from: number, to: number): PromptRow[] {
  const rest = "WHERE session = ? AND kind = 'prompt' AND at BETWEEN ? AND ? ORDER BY seq";
  // append() wrote the body.
  return promptRows.select(sql, rest, session, from, to).map(({ seq, at, key, body }) => {
    return { seq, at, key, entry: { kind: "prompt", ...body } as PromptRow["entry"] };
  });
}

/** @returns epoch ms of the first prompt later than this time; null: none */
export function nextPromptAt(sql: Sql, session: string, at: number): number | null {
  const rest = "WHERE session = ? AND kind = 'prompt' AND at > ? ORDER BY at LIMIT 1";
  return prompts.select(sql, rest, session, at)[0]?.at ?? null;
}

/** Puts what two sources have reported into the row of the first one. */
export function replace(sql: Sql, seq: number, key: string, { kind: _kind, ...body }: JournalEntry): void {
  journal.update(sql, { seq }, { key, body });
}

/** Keeps an entry whose interpretation took too long out of every later one. */
export function markUnread(sql: Sql, sessionId: string, seq: number): void {
  sql.run(
    "UPDATE journal SET kind = 'unread', body = json_object('of', kind, 'text', body) WHERE session = ? AND seq = ?",
    sessionId,
    seq,
  );
}

export function has(sql: Sql, sessionId: string, key: string): boolean {
  return journal.has(sql, { session: sessionId, key });
}

/** Counts entries whose key is the prefix and one character or more. */
export function countKeys(sql: Sql, sessionId: string, prefix: string): number {
  const query = "SELECT count(*) AS count FROM journal WHERE session = ? AND key > ? AND key < ?";
  return sql.all<{ count: number }>(query, sessionId, prefix, `${prefix}\u{10FFFF}`)[0]?.count ?? 0;
}

export function find(sql: Sql, sessionId: string, key: string): JournalRow | null {
  const row = entries.find(sql, { session: sessionId, key });
  return row ? toJournalRow(row) : null;
}

export function list(sql: Sql, sessionId: string, afterSeq: number, limit = 5_000): JournalRow[] {
  const rest = "WHERE session = ? AND seq > ? ORDER BY seq LIMIT ?";
  return entries.select(sql, rest, sessionId, afterSeq, limit).map(toJournalRow);
}

/** Newest first. @param until the last row that counts */
export function newest(
  sql: Sql,
  sessionId: string,
  kinds: readonly JournalKind[],
  limit: number,
  until = Number.MAX_SAFE_INTEGER,
): JournalRow[] {
  const rest = `WHERE session = ? AND seq <= ? AND kind IN (${kinds.map(() => "?").join(", ")}) ORDER BY seq DESC LIMIT ?`;
  return entries.select(sql, rest, sessionId, until, ...kinds, limit).map(toJournalRow);
}

const recent = 50;

/** The latest by its time: what only a transcript has is stored behind what followed it. */
export function latest(sql: Sql, sessionId: string, kinds: readonly JournalKind[]): JournalRow | undefined {
  const newestRows = `SELECT seq, at FROM journal WHERE session = ? AND kind IN (${kinds.map(() => "?").join(", ")})
    ORDER BY seq DESC LIMIT ?`;
  const rest = `WHERE seq = (SELECT seq FROM (${newestRows}) ORDER BY at DESC, seq DESC LIMIT 1)`;
  return entries.select(sql, rest, sessionId, ...kinds, recent).map(toJournalRow)[0];
}

const turnBounds = journal.pick("at", "kind");
const maxTurnBounds = 1_000;

/** Begins and ends of the newest turns, oldest first; the index has just these kinds. */
export function newestTurns(sql: Sql, sessionId: string, limit = maxTurnBounds): { at: number; kind: TurnBound }[] {
  const rest = `WHERE session = ? AND ${turnBoundSql} ORDER BY seq DESC LIMIT ?`;
  return turnBounds.select(sql, rest, sessionId, limit).toReversed() as ReturnType<typeof newestTurns>;
}

const searched = 5_000;

/** Times of the compactions among the newest entries. */
export function newestCompactions(sql: Sql, sessionId: string): number[] {
  return sql
    .all<{ at: number }>(
      `SELECT at FROM (SELECT at, kind FROM journal WHERE session = ? ORDER BY seq DESC LIMIT ?) WHERE kind = 'compacted'`,
      sessionId,
      searched,
    )
    .map(({ at }) => at);
}

/** @returns 0: the session has no row */
export function newestSeq(sql: Sql, sessionId: string): number {
  const [row] = sql.all<{ seq: number | null }>("SELECT max(seq) AS seq FROM journal WHERE session = ?", sessionId);
  return row?.seq ?? 0;
}

/** @returns 0 without a prompt */
export function newestPromptSeq(sql: Sql, sessionId: string): number {
  return newestPrompt(sql, sessionId)?.seq ?? 0;
}

/** Has its own index: a turn may hold thousands of entries. */
export function newestPrompt(sql: Sql, sessionId: string): RowOf<typeof prompts> | null {
  return prompts.select(sql, "WHERE session = ? AND kind = 'prompt' ORDER BY seq DESC LIMIT 1", sessionId)[0] ?? null;
}

function toJournalRow({ seq, at, kind, body }: RowOf<typeof entries>): JournalRow {
  // append() wrote the row.
  return { seq, at, entry: { kind, ...body } as JournalEntry };
}
