import type { ListedCheckpoint } from "../../../contract/machine/sessions.ts";
import { turnBoundSql } from "../../../contract/turn-kinds.ts";
import type { WorkState } from "../../../contract/work-state.ts";
import type { Sql } from "../../../shared/sql.ts";
import type { NewRowOf, RowOf } from "../../../shared/table.ts";
import { decode } from "../../../store/checkpoint-body.ts";
import * as totals from "../../../store/metric-totals.ts";
import { checkpoints } from "../../../store/session-tables.ts";
import { toState } from "../life/stored-state.ts";
import { lastRequest } from "../kept-prompts.ts";

/** Without its body, which may be large. */
const heads = checkpoints.without("body");
const bodies = checkpoints.pick("id", "hash", "body");

export type Checkpoint = RowOf<typeof heads>;
export type NewCheckpoint = NewRowOf<typeof checkpoints>;

/** Returns its position among all checkpoints. The search index follows later. */
export function insert(sql: Sql, checkpoint: NewCheckpoint): number {
  const seq = checkpoints.append(sql, checkpoint);
  // One row for both: the sum is that of shim_checkpoint_bytes_total.
  totals.add(sql, "shim_checkpoints_total", { labels: [checkpoint.trigger], sum: checkpoint.rawBytes });
  totals.add(sql, "shim_redactions_total", { value: checkpoint.redactions });
  return seq;
}

export function setJournalSeq(sql: Sql, seq: number, journalSeq: number): void {
  sql.run("UPDATE checkpoints SET journalSeq = ? WHERE seq = ? AND journalSeq < ?", journalSeq, seq, journalSeq);
}

/**
 * Whether the present turn has its first files, or was denied them. While they are being saved, a
 * second tool beside the first waits, too. A turn begins with its prompt, or with the end of the
 * turn before it.
 */
export function hasTurnStart(sql: Sql, sessionId: string): boolean {
  const query = `SELECT 1 FROM checkpoints c LEFT JOIN snapshots s ON s.checkpointId = c.id
    WHERE c.session = ? AND c.journalSeq >= coalesce((SELECT max(seq) FROM journal
        WHERE session = c.session AND ${turnBoundSql}), 0) AND c.trigger IN ('turn', 'before_tool')
      AND coalesce(s.state, '') <> 'running' LIMIT 1`;
  return sql.all(query, sessionId).length > 0;
}

export function latest(sql: Sql, sessionId: string, beforeSeq = Number.MAX_SAFE_INTEGER): Checkpoint | null {
  return heads.select(sql, "WHERE session = ? AND seq < ? ORDER BY seq DESC LIMIT 1", sessionId, beforeSeq)[0] ?? null;
}

/** The newest that holds no later row of the journal. */
export function latestAt(sql: Sql, sessionId: string, journalSeq: number): Checkpoint | null {
  const rest = "WHERE session = ? AND journalSeq <= ? ORDER BY seq DESC LIMIT 1";
  return heads.select(sql, rest, sessionId, journalSeq)[0] ?? null;
}

/** Default limit of two: enough to detect an ambiguous prefix. */
export function byPrefix(sql: Sql, prefix: string, limit = 2): Checkpoint[] {
  return heads.select(sql, "WHERE id >= ? AND id < ? ORDER BY id LIMIT ?", prefix, `${prefix}\u{10FFFF}`, limit);
}

/** Throws when there is none of this number, or it is damaged. */
export function requireState(sql: Sql, seq: number): WorkState {
  const row = bodies.find(sql, { seq });
  if (!row) throw new Error(`there is no checkpoint number ${seq}`);
  const state = unpackState(row);
  if (!state) throw new Error(`checkpoint ${row.id} is damaged: its content does not match its hash`);
  return state;
}

/** Returns null if damaged or missing. */
export function findState(sql: Sql, seq: number): WorkState | null {
  const row = bodies.find(sql, { seq });
  return row ? unpackState(row) : null;
}

function unpackState({ body, hash }: RowOf<typeof bodies>): WorkState | null {
  try {
    // The hash proves that these are the bytes that encode() made of a WorkState.
    return toState(decode(body, hash));
  } catch {
    return null;
  }
}

export interface CheckpointFilter {
  /** Words of which all must occur; the last one may be a beginning. */
  readonly text?: string;
  readonly sessions?: readonly string[];
  readonly project?: string;
  readonly since?: number;
  readonly until?: number;
  readonly limit?: number;
}

export interface SessionHits {
  readonly session: string;
  readonly total: number;
  /** The newest ones, newest first. */
  readonly newest: readonly Checkpoint[];
}

/** Sessions by their newest match, of a text only what is indexed; the limit counts sessions. */
export function sessionsWith(sql: Sql, filter: CheckpointFilter, perSession: number): SessionHits[] {
  const found = newestSessions(sql, filter);
  const { where, values } = conditions({ ...filter, sessions: [...found] });
  const query = `SELECT session, seq FROM checkpoints WHERE ${where} ORDER BY seq DESC`;
  const hits = Map.groupBy(sql.all<{ session: string; seq: number }>(query, ...values), ({ session }) => session);
  return [...found].map((session) => {
    const own = hits.get(session) ?? [];
    const shown = JSON.stringify(own.slice(0, perSession).map(({ seq }) => seq));
    const newest = heads.select(sql, "WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY seq DESC", shown);
    return { session, total: own.length, newest };
  });
}

/** Matches that are read at once: a word may be in every checkpoint of years. */
const pageRows = 1_000;

/** Sessions of the newest matches. With a text its index is read from its end, not collected. */
function newestSessions(sql: Sql, { text, limit = 20, ...filter }: CheckpointFilter): ReadonlySet<string> {
  const match = matchAll(text);
  const [from, seq] =
    match === undefined
      ? ["checkpoints", "checkpoints.seq"]
      : [
          "checkpoints_text CROSS JOIN checkpoints ON checkpoints.seq = checkpoints_text.rowid",
          "checkpoints_text.rowid",
        ];
  const { where, values } = conditions(filter);
  const matching = match === undefined ? "" : "AND checkpoints_text MATCH ?";
  const query = `SELECT ${seq} AS seq, session FROM ${from} WHERE ${where} ${matching} AND ${seq} < ? ORDER BY ${seq} DESC LIMIT ${pageRows}`;
  const found = new Set<string>();
  for (let below = Number.MAX_SAFE_INTEGER; found.size < limit;) {
    const given = match === undefined ? [below] : [match, below];
    const rows: { seq: number; session: string }[] = sql.all(query, ...values, ...given);
    for (const { session } of rows) if (found.size < limit) found.add(session);
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows) break;
    below = last.seq;
  }
  return found;
}

function conditions(filter: CheckpointFilter): { readonly where: string; readonly values: (string | number)[] } {
  const where = ["at >= ?", "at <= ?"];
  const values: (string | number)[] = [filter.since ?? 0, filter.until ?? Number.MAX_SAFE_INTEGER];
  const add = (condition: string, value: string | undefined): void => {
    if (value === undefined) return;
    where.push(condition);
    values.push(value);
  };
  const { sessions } = filter;
  add("seq IN (SELECT rowid FROM checkpoints_text WHERE checkpoints_text MATCH ?)", matchAll(filter.text));
  add("session IN (SELECT value FROM json_each(?))", sessions && JSON.stringify(sessions));
  add("session IN (SELECT id FROM sessions WHERE project = ?)", filter.project);
  return { where: where.join(" AND "), values };
}

/** Quotes each word, so that no character is an operator of FTS5 (sqlite.org/fts5.html 3). */
function matchAll(text: string | undefined): string | undefined {
  const words = text?.split(/[\s\0]+/).filter((word) => /[\p{L}\p{N}]/u.test(word)) ?? [];
  if (words.length === 0) return text === undefined ? undefined : '""';
  return `${words.map((word) => `"${word.replaceAll('"', '""')}"`).join(" ")}*`;
}

const maxSummaryBytes = 2_048;

/** At most 2 KB, for the search. */
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
function clip(text: string, bytes: number): string {
  if (text.length * 3 <= bytes) return text;
  const encoded = Buffer.from(text);
  if (encoded.length <= bytes) return text;
  return encoded
    .subarray(0, bytes)
    .toString()
    .replace(/(?<!\uFFFD)\uFFFD+$/u, "");
}

export function readContents(sql: Sql, { seq }: Checkpoint): ListedCheckpoint["contents"] {
  const state = findState(sql, seq);
  return { lastRequest: (state && lastRequest(state)?.text) ?? null, isDamaged: state === null };
}
