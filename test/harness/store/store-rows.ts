import type { Sql, SqlValue } from "#src/shared/sql.ts";
import { encode } from "#src/store/checkpoint-body.ts";
import { indexPending } from "#src/store/text-index.ts";
import { T0 } from "./temp-store.ts";

export function column(sql: Sql, query: string, ...values: (string | number)[]): unknown[] {
  return sql.all<Record<string, unknown>>(query, ...values).map((row) => Object.values(row)[0]);
}

/** @param conflict what follows the values of an INSERT */
export function insert(sql: Sql, table: string, row: Readonly<Record<string, SqlValue>>, conflict = ""): void {
  const columns = Object.keys(row);
  const places = columns.map(() => "?").join();
  sql.run(`INSERT INTO ${table} (${columns.join()}) VALUES (${places}) ${conflict}`, ...Object.values(row));
}

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
  const { id = "ses", project = "/p", title = "t", lastSeenAt = T0, endedAt = null, recovery = null } = overrides;
  const times = { startedAt: lastSeenAt, lastSeenAt, endedAt };
  const row = { id, client: "claude-code", project, cwd: project, title, origin: "startup", ...times, recovery };
  const change = "DO UPDATE SET lastSeenAt = excluded.lastSeenAt, endedAt = excluded.endedAt";
  insert(sql, "sessions", row, `ON CONFLICT (id) ${change}`);
}

interface JournalRow {
  readonly session: string;
  readonly key: string;
  readonly at: number;
  readonly text: string;
}

export function addJournal(sql: Sql, overrides: Partial<JournalRow> = {}): number {
  const { session = "ses", key = "k", at = T0, text = "text" } = overrides;
  const row = { session, at, kind: "prompt", key, body: JSON.stringify({ text }) };
  insert(sql, "journal", row, "ON CONFLICT DO NOTHING");
  return Number(column(sql, "SELECT seq FROM journal WHERE session = ? AND key = ?", session, key)[0]);
}

/** Checkpoints that the search index finds, once it has taken in what waits. */
export function searched(sql: Sql, word: string): unknown[] {
  indexPending(sql);
  return column(sql, "SELECT rowid FROM checkpoints_text WHERE checkpoints_text MATCH ?", word);
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
  const { id = "cp", session = "ses", at = T0, summary = "sum", state = { goal: "g" }, journalSeq = 0 } = overrides;
  const { body, hash, rawBytes } = encode(state);
  const sizes = { journalSeq, rawBytes, redactions: 0 };
  const row = { id, session, at, trigger: "on_demand", hash, ...sizes, summary, body };
  insert(sql, "checkpoints", row, "ON CONFLICT DO NOTHING");
}

interface SnapshotRow {
  readonly checkpoint: string;
  readonly session: string;
  readonly project: string;
  readonly repository: string | null;
  readonly text: string;
}

export function addSnapshot(sql: Sql, overrides: Partial<SnapshotRow> = {}): void {
  const { checkpoint = "cp", session = "ses", project = "/p", repository = null, text = "t" } = overrides;
  const about = { checkpointId: checkpoint, session, at: T0, state: "done", reason: text };
  insert(sql, "snapshots", { ...about, project, repository, branch: text, detail: JSON.stringify({ text }) });
}

/** One row in every table that belongs to a session, with the text in each column that takes one. */
export function plant(sql: Sql, session: string, project: string, text: string): void {
  addSession(sql, { id: session, project, title: text });
  const journalSeq = addJournal(sql, { session, key: `${session} key`, text });
  addCheckpoint(sql, { id: `cp ${session}`, session, summary: text, state: { goal: text }, journalSeq });
  addSnapshot(sql, { checkpoint: `cp ${session}`, session, project, repository: "/snapshots/r", text });
  plantRest(sql, session, text);
}

export function plantRest(sql: Sql, session: string, text: string): void {
  const about = { session, at: T0 };
  sql.run("INSERT INTO signals VALUES (?, ?, 0.5, ?, ?)", session, T0, text, "{}");
  insert(sql, "crashes", {
    ...about,
    cause: "killed",
    detail: text,
    readings: "{}",
    unsavedEvents: 0,
    unsavedToolCalls: 0,
  });
  insert(sql, "recoveries", { ...about, action: "offered", detail: JSON.stringify({ text }) });
  insert(sql, "clients", { ...about, boot: "b", pid: 1, start: session, givenId: session });
}
