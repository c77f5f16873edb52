import type { JournalEntry, JournalKind } from "../../contract/journal.ts";
import type { Sql } from "../../shared/sql.ts";

export interface JournalRow {
  readonly seq: number;
  readonly at: number;
  readonly entry: JournalEntry;
}

interface StoredRow {
  seq: number;
  at: number;
  kind: JournalKind;
  body: string;
}

/** [JO1] Returns false for an event stored already (two hooks, a spool, the transcript). */
export function append(sql: Sql, sessionId: string, at: number, key: string, entry: JournalEntry): boolean {
  const { kind, ...body } = entry;
  return (
    sql.run(
      "INSERT INTO journal (session_id, at, kind, key, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT (session_id, key) DO NOTHING",
      sessionId,
      at,
      kind,
      key,
      JSON.stringify(body),
    ) > 0
  );
}

/** [JO42] Keeps an entry whose interpretation took too long out of every later one. */
export function markUnread(sql: Sql, sessionId: string, seq: number): void {
  sql.run(
    "UPDATE journal SET kind = 'unread', body = json_object('of', kind, 'text', body) WHERE session_id = ? AND seq = ?",
    sessionId,
    seq,
  );
}

export function has(sql: Sql, sessionId: string, key: string): boolean {
  return sql.all("SELECT 1 FROM journal WHERE session_id = ? AND key = ?", sessionId, key).length > 0;
}

/** Counts entries whose key is the prefix and one character or more. */
export function countKeys(sql: Sql, sessionId: string, prefix: string): number {
  const query = "SELECT count(*) AS count FROM journal WHERE session_id = ? AND key > ? AND key < ?";
  return sql.all<{ count: number }>(query, sessionId, prefix, `${prefix}\u{10FFFF}`)[0]?.count ?? 0;
}

export function find(sql: Sql, sessionId: string, key: string): JournalRow | null {
  const [row] = sql.all<StoredRow>(
    "SELECT seq, at, kind, body FROM journal WHERE session_id = ? AND key = ?",
    sessionId,
    key,
  );
  return row ? toJournalRow(row) : null;
}

export function list(sql: Sql, sessionId: string, afterSeq: number, limit = 5_000): JournalRow[] {
  return sql
    .all<StoredRow>(
      "SELECT seq, at, kind, body FROM journal WHERE session_id = ? AND seq > ? ORDER BY seq LIMIT ?",
      sessionId,
      afterSeq,
      limit,
    )
    .map(toJournalRow);
}

export function newest(sql: Sql, sessionId: string, kinds: readonly JournalKind[], limit: number): JournalRow[] {
  const placeholders = kinds.map(() => "?").join(", ");
  return sql
    .all<StoredRow>(
      `SELECT seq, at, kind, body FROM journal WHERE session_id = ? AND kind IN (${placeholders}) ORDER BY seq DESC LIMIT ?`,
      sessionId,
      ...kinds,
      limit,
    )
    .map(toJournalRow);
}

/** Returns 0 without a prompt. */
export function newestPromptSeq(sql: Sql, sessionId: string): number {
  return newestPrompt(sql, sessionId)?.seq ?? 0;
}

interface PromptRow {
  readonly seq: number;
  readonly at: number;
  readonly key: string;
}

/** Has its own index: a turn may hold thousands of entries. */
export function newestPrompt(sql: Sql, sessionId: string): PromptRow | null {
  const query = "SELECT seq, at, key FROM journal WHERE session_id = ? AND kind = 'prompt' ORDER BY seq DESC LIMIT 1";
  return sql.all<PromptRow>(query, sessionId)[0] ?? null;
}

function toJournalRow(row: StoredRow): JournalRow {
  // append() of this or an older program wrote the row: kinds and fields are only added.
  return { seq: row.seq, at: row.at, entry: { kind: row.kind, ...JSON.parse(row.body) } as JournalEntry };
}
