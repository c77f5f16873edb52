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

type Texts<Name extends string> = Partial<Record<Name, string>>;
type Times<Name extends string> = Partial<Record<Name, number>>;

/** A row as the session part writes it; repeatable. */
export function addSession(
  sql: Sql,
  more: Texts<"id"> &
    Times<"lastSeenAt"> & {
      project?: string | null;
      title?: string | null;
      endedAt?: number | null;
      recovery?: string | null;
    } = {},
): void {
  const { project = "/p", lastSeenAt = T0 } = more;
  const usual = { id: "ses", client: "claude-code", title: "t", origin: "startup", startedAt: lastSeenAt };
  const change = "DO UPDATE SET lastSeenAt = excluded.lastSeenAt, endedAt = excluded.endedAt";
  insert(
    sql,
    "sessions",
    { endedAt: null, cwd: project, ...usual, ...more, project, lastSeenAt },
    `ON CONFLICT (id) ${change}`,
  );
}

export function addJournal(sql: Sql, more: Texts<"session" | "key" | "text"> & Times<"at"> = {}): number {
  const { session = "ses", key = "k", at = T0, text = "text" } = more;
  const row = { session, at, kind: "prompt", key, body: JSON.stringify({ text }) };
  insert(sql, "journal", row, "ON CONFLICT DO NOTHING");
  return Number(column(sql, "SELECT seq FROM journal WHERE session = ? AND key = ?", session, key)[0]);
}

/** Checkpoints that the search index finds, once it has taken in what waits. */
export function searched(sql: Sql, word: string): unknown[] {
  indexPending(sql);
  return column(sql, "SELECT rowid FROM checkpoints_text WHERE checkpoints_text MATCH ?", word);
}

export function addCheckpoint(
  sql: Sql,
  more: Texts<"id" | "session" | "summary"> & Times<"at" | "journalSeq"> & { state?: unknown } = {},
): void {
  const { state = { goal: "g" }, ...given } = more;
  const usual = { id: "cp", session: "ses", at: T0, journalSeq: 0, redactions: 0, summary: "sum" };
  insert(sql, "checkpoints", { trigger: "on_demand", ...usual, ...encode(state), ...given }, "ON CONFLICT DO NOTHING");
}

export function addSnapshot(
  sql: Sql,
  more: Texts<"checkpoint" | "session" | "project" | "text"> & { repository?: string | null } = {},
): void {
  const { checkpoint = "cp", session = "ses", project = "/p", repository = null, text = "t" } = more;
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
  const unsaved = { unsavedEvents: 0, unsavedToolCalls: 0 };
  insert(sql, "crashes", { ...about, cause: "killed", detail: text, readings: "{}", ...unsaved });
  insert(sql, "recoveries", { ...about, action: "offered", detail: JSON.stringify({ text }) });
  insert(sql, "clients", { ...about, boot: "b", pid: 1, start: session, givenId: session });
}
