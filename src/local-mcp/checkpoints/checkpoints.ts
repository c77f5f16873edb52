import type { Trigger } from "../../contract/checkpoint.ts";
import type { WorkState } from "../../contract/work-state.ts";
import type { Sql } from "../../shared/sql.ts";
import { decode, type EncodedBody } from "../../store/checkpoint-body.ts";
import * as totals from "../../store/metric-totals.ts";

export interface Checkpoint {
  readonly seq: number;
  readonly id: string;
  readonly sessionId: string;
  readonly at: number;
  readonly trigger: Trigger;
  /** SHA-256 (hex) of the state as JSON. */
  readonly hash: string;
  /** Last journal row that is folded into the state. */
  readonly journalSeq: number;
  readonly rawBytes: number;
  readonly redactions: number;
  readonly summary: string;
}

const columns = `c.seq, c.id, c.session_id AS sessionId, c.at, c.trigger, c.hash, c.journal_seq AS journalSeq,
  c.raw_bytes AS rawBytes, c.redactions, c.summary`;

export type NewCheckpoint = EncodedBody & Omit<Checkpoint, "seq" | "hash" | "rawBytes">;

/** Returns its position among all checkpoints. The search index follows later. */
export function insert(sql: Sql, checkpoint: NewCheckpoint): number {
  const [row] = sql.all<{ seq: number }>(
    `INSERT INTO checkpoints (id, session_id, at, trigger, hash, journal_seq, raw_bytes, redactions, summary, body)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq`,
    checkpoint.id,
    checkpoint.sessionId,
    checkpoint.at,
    checkpoint.trigger,
    checkpoint.hash,
    checkpoint.journalSeq,
    checkpoint.rawBytes,
    checkpoint.redactions,
    checkpoint.summary,
    checkpoint.body,
  );
  if (!row) throw new Error(`checkpoint ${checkpoint.id} was not stored`);
  // One row for both: the sum is that of shim_checkpoint_bytes_total.
  totals.add(sql, "shim_checkpoints_total", { labels: [checkpoint.trigger], sum: checkpoint.rawBytes });
  totals.add(sql, "shim_redactions_total", { value: checkpoint.redactions });
  return row.seq;
}

export function setJournalSeq(sql: Sql, seq: number, journalSeq: number): void {
  sql.run("UPDATE checkpoints SET journal_seq = ? WHERE seq = ? AND journal_seq < ?", journalSeq, seq, journalSeq);
}

export function latest(sql: Sql, sessionId: string, beforeSeq = Number.MAX_SAFE_INTEGER): Checkpoint | null {
  const [row] = sql.all<Checkpoint>(
    `SELECT ${columns} FROM checkpoints c WHERE session_id = ? AND seq < ? ORDER BY seq DESC LIMIT 1`,
    sessionId,
    beforeSeq,
  );
  return row ?? null;
}

export function get(sql: Sql, id: string): Checkpoint | null {
  const [row] = sql.all<Checkpoint>(`SELECT ${columns} FROM checkpoints c WHERE id = ?`, id);
  return row ?? null;
}

/** Default limit of two: enough to detect an ambiguous prefix. */
export function byPrefix(sql: Sql, prefix: string, limit = 2): Checkpoint[] {
  return sql.all<Checkpoint>(
    `SELECT ${columns} FROM checkpoints c WHERE id >= ? AND id < ? ORDER BY id LIMIT ?`,
    prefix,
    `${prefix}\u{10FFFF}`,
    limit,
  );
}

/** [CP3] Throws when there is none of this number, or it is damaged. */
export function requireState(sql: Sql, seq: number): WorkState {
  const row = readBody(sql, seq);
  if (!row) throw new Error(`there is no checkpoint number ${seq}`);
  const state = unpackState(row);
  if (!state) throw new Error(`checkpoint ${row.id} is damaged: its content does not match its hash`);
  return state;
}

/** Returns null if damaged or missing. */
export function findState(sql: Sql, seq: number): WorkState | null {
  const row = readBody(sql, seq);
  return row ? unpackState(row) : null;
}

interface CheckpointBody {
  readonly id: string;
  readonly hash: string;
  readonly body: Uint8Array;
}

function readBody(sql: Sql, seq: number): CheckpointBody | undefined {
  return sql.all<CheckpointBody>("SELECT id, hash, body FROM checkpoints WHERE seq = ?", seq)[0];
}

function unpackState({ body, hash }: CheckpointBody): WorkState | null {
  try {
    // The hash proves that these are the bytes that encode() made of a WorkState.
    return decode(body, hash) as WorkState;
  } catch {
    return null;
  }
}

export interface CheckpointFilter {
  /** Words of which all must occur; the last one may be a beginning. */
  readonly text?: string;
  readonly session?: string;
  readonly project?: string;
  readonly since?: number;
  readonly until?: number;
  /** Cursor of the next page: only checkpoints before this position. */
  readonly beforeSeq?: number;
  readonly limit?: number;
}

/** [CP4] Newest first; by text only what the index has taken in. */
export function search(sql: Sql, filter: CheckpointFilter): Checkpoint[] {
  const { where, values } = conditions(filter);
  return sql.all<Checkpoint>(
    `SELECT ${columns} FROM checkpoints c WHERE ${where} ORDER BY c.seq DESC LIMIT ?`,
    ...values,
    filter.limit ?? 20,
  );
}

export interface SessionHits {
  readonly sessionId: string;
  readonly total: number;
}

/** Lists sessions by their newest match of {@link search}; the limit counts sessions. */
export function sessionsWith(sql: Sql, filter: CheckpointFilter): SessionHits[] {
  const { where, values } = conditions(filter);
  return sql.all<SessionHits>(
    `SELECT c.session_id AS sessionId, count(*) AS total FROM checkpoints c WHERE ${where}
     GROUP BY c.session_id ORDER BY max(c.seq) DESC LIMIT ?`,
    ...values,
    filter.limit ?? 20,
  );
}

function conditions(filter: CheckpointFilter): { readonly where: string; readonly values: (string | number)[] } {
  const where = ["c.seq < ?", "c.at >= ?", "c.at <= ?"];
  const never = Number.MAX_SAFE_INTEGER;
  const values: (string | number)[] = [filter.beforeSeq ?? never, filter.since ?? 0, filter.until ?? never];
  const add = (condition: string, value: string | undefined): void => {
    if (value === undefined) return;
    where.push(condition);
    values.push(value);
  };
  add("c.seq IN (SELECT rowid FROM checkpoints_text WHERE checkpoints_text MATCH ?)", matchAll(filter.text));
  add("c.session_id = ?", filter.session);
  add("c.session_id IN (SELECT id FROM sessions WHERE project = ?)", filter.project);
  return { where: where.join(" AND "), values };
}

/** Quotes each word, so that no character is an operator of FTS5 (sqlite.org/fts5.html 3). */
function matchAll(text: string | undefined): string | undefined {
  const words = text?.split(/[\s\0]+/).filter((word) => /[\p{L}\p{N}]/u.test(word)) ?? [];
  if (words.length === 0) return text === undefined ? undefined : '""';
  return `${words.map((word) => `"${word.replaceAll('"', '""')}"`).join(" ")}*`;
}

const maxSummaryBytes = 2_048;

/** [CP5] At most 2 KB, for the search. */
export function summarize(title: string | null, state: WorkState): string {
  const parts = [
    title,
    state.goal,
    ...state.prompts.slice(-4).map(({ text }) => text),
    state.nextStep,
    ...state.inProgress,
    ...state.todos.filter((todo) => todo.status !== "completed").map((todo) => todo.text),
    ...state.done.slice(-5),
    ...state.decisions.slice(-5),
    ...state.answers.slice(-5).map(({ question, answer }) => `${question} -> ${answer}`),
    ...state.calls.flatMap(({ name, input, error }) => (error === undefined ? [] : [`${name} ${input}: ${error}`])),
    ...state.files.slice(-20).map((file) => file.path.split(/[\\/]/).at(-1)),
  ];
  const seen = new Set(parts.filter((part): part is string => Boolean(part)).map((part) => clip(part, 300)));
  return clip([...seen].join("\n"), maxSummaryBytes);
}

/** Cuts to UTF-8 bytes without cutting a character in two. */
export function clip(text: string, bytes: number): string {
  if (text.length * 3 <= bytes) return text;
  const encoded = Buffer.from(text);
  if (encoded.length <= bytes) return text;
  return encoded
    .subarray(0, bytes)
    .toString()
    .replace(/(?<!\uFFFD)\uFFFD+$/u, "");
}
