import type { Sql } from "#src/shared/sql.ts";
import { encode } from "#src/store/checkpoint-body.ts";
import { indexPending } from "#src/store/text-index.ts";
import { T0 } from "./temp-store.ts";

interface SessionRow {
  readonly id: string;
  readonly project: string | null;
  readonly title: string | null;
  readonly lastSeenAt: number;
  readonly endedAt: number | null;
  readonly recovery: string | null;
}

/** A row as the session part writes it; repeatable. */
export function addSession(sql: Sql, overrides: Partial<SessionRow> = {}): void {
  const row = { id: "ses", project: "/p", title: "t", lastSeenAt: T0, endedAt: null, recovery: null, ...overrides };
  sql.run(
    `INSERT INTO sessions (id, client, project, cwd, title, origin, started_at, last_seen_at, ended_at, recovery)
     VALUES (?, 'claude-code', ?, ?, ?, 'startup', ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET last_seen_at = excluded.last_seen_at, ended_at = excluded.ended_at`,
    row.id,
    row.project,
    row.project,
    row.title,
    row.lastSeenAt,
    row.lastSeenAt,
    row.endedAt,
    row.recovery,
  );
}

interface JournalRow {
  readonly session: string;
  readonly key: string;
  readonly at: number;
  readonly text: string;
}

/** Checkpoints that the search index finds, once it has taken in what waits. */
export function searched(sql: Sql, word: string): unknown[] {
  indexPending(sql);
  return column(sql, "SELECT rowid FROM checkpoints_text WHERE checkpoints_text MATCH ?", word);
}

export function addJournal(sql: Sql, overrides: Partial<JournalRow> = {}): number {
  const row = { session: "ses", key: "k", at: T0, text: "text", ...overrides };
  sql.run(
    "INSERT INTO journal (session_id, at, kind, key, body) VALUES (?, ?, 'prompt', ?, ?) ON CONFLICT DO NOTHING",
    row.session,
    row.at,
    row.key,
    JSON.stringify({ text: row.text }),
  );
  return (
    sql.all<{ seq: number }>("SELECT seq FROM journal WHERE session_id = ? AND key = ?", row.session, row.key)[0]
      ?.seq ?? 0
  );
}

interface CheckpointRow {
  readonly id: string;
  readonly session: string;
  readonly at: number;
  readonly summary: string;
  readonly state: unknown;
  readonly journalSeq: number;
}

export function addCheckpoint(sql: Sql, overrides: Partial<CheckpointRow> = {}): void {
  const row = { id: "cp", session: "ses", at: T0, summary: "sum", state: { goal: "g" }, journalSeq: 0, ...overrides };
  const { body, hash, rawBytes } = encode(row.state);
  sql.run(
    `INSERT INTO checkpoints (id, session_id, at, trigger, hash, journal_seq, raw_bytes, redactions, summary, body)
     VALUES (?, ?, ?, 'on_demand', ?, ?, ?, 0, ?, ?) ON CONFLICT DO NOTHING`,
    row.id,
    row.session,
    row.at,
    hash,
    row.journalSeq,
    rawBytes,
    row.summary,
    body,
  );
}

/** One column of a query, in its order. */
export function column(sql: Sql, query: string, ...values: (string | number)[]): unknown[] {
  return sql.all<Record<string, unknown>>(query, ...values).map((row) => Object.values(row)[0]);
}

interface SnapshotRow {
  readonly checkpoint: string;
  readonly session: string;
  readonly project: string;
  readonly repository: string | null;
  readonly text: string;
}

export function addSnapshot(sql: Sql, overrides: Partial<SnapshotRow> = {}): void {
  const row = { checkpoint: "cp", session: "ses", project: "/p", repository: null, text: "t", ...overrides };
  sql.run(
    `INSERT INTO snapshots (checkpoint_id, session_id, at, state, reason, project, repository, branch, detail)
     VALUES (?, ?, ?, 'done', ?, ?, ?, ?, ?)`,
    row.checkpoint,
    row.session,
    T0,
    row.text,
    row.project,
    row.repository,
    row.text,
    JSON.stringify({ text: row.text }),
  );
}

/** One row in every table that belongs to a session, with the text in each place that takes one. */
export function plant(sql: Sql, session: string, project: string, text: string): void {
  addSession(sql, { id: session, project, title: text });
  const journalSeq = addJournal(sql, { session, key: `${session} key`, text });
  addCheckpoint(sql, { id: `cp ${session}`, session, summary: text, state: { goal: text }, journalSeq });
  addSnapshot(sql, { checkpoint: `cp ${session}`, session, project, repository: "/snapshots/r", text });
  plantRest(sql, session, text);
}

export function plantRest(sql: Sql, session: string, text: string): void {
  sql.run("INSERT INTO signals VALUES (?, ?, 0.5, ?, ?)", session, T0, text, "{}");
  sql.run(
    "INSERT INTO crashes (session_id, at, cause, detail, readings) VALUES (?, ?, 'killed', ?, '{}')",
    session,
    T0,
    text,
  );
  sql.run(
    "INSERT INTO recoveries (at, session_id, action, detail) VALUES (?, ?, 'offered', ?)",
    T0,
    session,
    JSON.stringify({ text }),
  );
  sql.run(
    "INSERT INTO clients (boot, pid, start, given_id, session_id, at) VALUES ('b', 1, ?, ?, ?, ?)",
    session,
    session,
    session,
    T0,
  );
}
