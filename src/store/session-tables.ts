import type { Trigger } from "../contract/checkpoint.ts";
import type { Ending } from "../contract/ending.ts";
import type { JournalKind } from "../contract/journal.ts";
import type { CrashCause, Readings, RiskLevel, RiskMark } from "../contract/readings.ts";
import type { SettingValue } from "../contract/replay.ts";
import type { MachineTrial } from "../contract/learning.ts";
import { turnBoundSql } from "../contract/turn-kinds.ts";
import type { RemoteAnswer, TestRun } from "../contract/verification.ts";
import type { ProcessIdentity } from "../platform/processes.ts";
import type { Sql } from "../shared/sql.ts";
import { blob, flag, integer, json, real, serial, table, text, type RowOf } from "../shared/table.ts";

/**
 * `recovered` comes with the first checkpoint after `taken`. `mentioned`: in a sentence beside an
 * offer, which claims nothing. `returned`: its own client has opened the session again.
 */
export type RecoveryAction = "offered" | "mentioned" | "taken" | "recovered" | "undone" | "returned" | "dismissed";

/** Hand-over by the rule of a folder, because the session reached a usage limit. */
export interface LimitHandOver {
  /** Title of what continues. */
  readonly to: string;
  /** Spent for this limit before; null: unknown. */
  readonly usd: number | null;
}

export interface RecoveryDetail {
  readonly limit?: LimitHandOver | undefined;
}

export type Session = RowOf<typeof sessions>;

/** Times in epoch ms. Of sessions of this machine, and of others: see {@link sessionsElsewhere}. */
export const sessionColumns = {
  id: text().primary(),
  client: text(),
  /** The client's own word; null if it does not say. */
  clientVersion: text().nullable(),
  /** Root folder; null if the client names none. */
  project: text().nullable(),
  cwd: text().nullable(),
  title: text().nullable(),
  name: text().nullable(),
  model: text().nullable(),
  transcriptPath: text().nullable(),
  transcriptOffset: integer().default(0),
  /** startup, resume, clear, compact, fork (by Claude Code), handle (by a tool call), import. */
  origin: text(),
  parentId: text().nullable(),
  /** No person has had a part of it: its client was started by a script each time. */
  isScripts: flag().default(false),
  owner: json<ProcessIdentity>().nullable(),
  startedAt: integer(),
  lastSeenAt: integer(),
  /** Time at which its state was last known to be in a checkpoint. */
  savedAt: integer().nullable(),
  /** Its end; null: nothing of one was seen since it last lived. */
  ending: json<Ending>().nullable(),
  toolCalls: integer().default(0),
  toolErrors: integer().default(0),
  readings: json<Readings>().default({}),
  /** Highest risk level covered by a checkpoint, and a higher one that awaits its checkpoint. */
  riskMark: json<RiskMark>().default({ covered: "safe", pending: null, belowAt: null }),
  /** Newest sign of work: a hook event, a tool call, growth of the transcript. */
  workedAt: integer().nullable(),
  /** Machine that has it; null: this one. */
  machine: text().nullable(),
};

/** Sessions of this machine alone, so that no statement on it has to say so. */
export const sessions = table("sessions", sessionColumns);

/** Folders of sessions, by which one that was renamed is known. */
export const projects = table("projects", {
  path: text().primary(),
  /** See `FolderMarks`. */
  folder: text().nullable(),
  repository: text().nullable(),
  /** Its path now, where it was renamed. */
  movedTo: text().nullable(),
});

/** The session in which the process of a client works. */
export const clients = table("clients", {
  boot: text().primary(),
  pid: integer().primary(),
  start: text().primary(),
  /** The client's own id of the session. */
  givenId: text(),
  /** SHIM's id: differs only for a second live client that opened the same session. */
  session: text(),
  at: integer(),
});

export type ClientSession = Pick<RowOf<typeof clients>, "givenId" | "session">;

/** Checkpoints refer to numbers of entries, so none may be reused after pruning. */
export const journal = table("journal", {
  seq: serial({ isReused: false }),
  session: text(),
  at: integer(),
  kind: text<JournalKind>(),
  key: text(),
  /** The entry without its kind. */
  body: json<object>(),
});

export const checkpoints = table("checkpoints", {
  seq: serial(),
  id: text(),
  session: text(),
  at: integer(),
  trigger: text<Trigger>(),
  /** SHA-256 (hex) of the state as JSON. */
  hash: text(),
  /** Last journal row that is folded into the state. */
  journalSeq: integer(),
  rawBytes: integer(),
  redactions: integer(),
  summary: text(),
  body: blob(),
});

/** The text index takes these rows in later. */
const checkpointsUnindexed = table("checkpoints_unindexed", { seq: serial() });

export const snapshots = table("snapshots", {
  checkpointId: text().primary(),
  session: text(),
  at: integer(),
  state: text(),
  reason: text().nullable(),
  project: text(),
  repository: text().nullable(),
  head: text().nullable(),
  branch: text().nullable(),
  commit: text().nullable(),
  detail: json<object>().default({}),
});

export const signals = table("signals", {
  session: text().primary(),
  at: integer().primary(),
  score: real(),
  level: text<RiskLevel>(),
  readings: json<Readings>(),
});

export const crashes = table("crashes", {
  session: text().primary(),
  at: integer().primary(),
  cause: text<CrashCause>(),
  detail: text(),
  readings: json<Readings>(),
  /** Null if it had no checkpoint. */
  checkpointAgeMs: integer().nullable(),
  /** Journal entries, and tool calls among them, that no checkpoint held. */
  unsavedEvents: integer(),
  unsavedToolCalls: integer(),
});

export const recoveries = table("recoveries", {
  seq: serial(),
  at: integer(),
  session: text(),
  action: text<RecoveryAction>(),
  bySession: text().nullable(),
  score: real().nullable(),
  detail: json<RecoveryDetail>().default({}),
});

/** The newest verification of a session. */
export const verifications = table("verifications", {
  session: text().primary(),
  /** Epoch ms. */
  at: integer(),
  tests: json<TestRun>(),
  remotes: json<readonly RemoteAnswer[]>(),
});

/** Files that a call named, as they were before and after it. */
export const fileImages = table("file_images", {
  seq: serial(),
  session: text(),
  at: integer(),
  call: text(),
  side: text<"before" | "after">(),
  path: text(),
  /** Mode and object as git writes them; null: it was absent, or is not held. */
  entry: text().nullable(),
  /** The object alone. */
  object: text().nullable(),
  /** Why it is not held; null: it is, or was absent. */
  reason: text().nullable(),
  /** zstd; null: another row of the session has it. */
  content: blob().nullable(),
});

export const fileImageIndex = "CREATE INDEX file_images_by_object ON file_images (session, object)";

export const sessionTables = [
  sessions,
  clients,
  journal,
  checkpoints,
  checkpointsUnindexed,
  snapshots,
  signals,
  crashes,
  recoveries,
  verifications,
];

/** SQL, 1 or 0: whether nothing of the session's end is still to be noted. `row` is SQL, too. */
export function isSettledSql(row: string): string {
  return `coalesce(${row}.ending ->> 'isSettled', 0)`;
}

/** SQL: whether a process has the session, of which no end was noted. */
export const isUnsettledSql = "owner IS NOT NULL AND coalesce(ending ->> 'isSettled', 0) = 0";

export const unsettledIndex = `CREATE INDEX IF NOT EXISTS sessions_unsettled ON sessions (lastSeenAt) WHERE ${isUnsettledSql}`;

/** Chats of persons before runs of scripts, newest first, and whether each has ended. */
export const seenIndex =
  "CREATE INDEX IF NOT EXISTS sessions_seen ON sessions (isScripts, lastSeenAt DESC, id, coalesce(ending ->> 'how', ''))";

/** Ends of turns of every kind. */
export const turnIndex = `CREATE INDEX IF NOT EXISTS journal_bounds ON journal (session, seq) WHERE ${turnBoundSql}`;

export const claimIndex = "CREATE INDEX IF NOT EXISTS recoveries_by_chat ON recoveries (bySession, seq)";

export const sessionIndexes: readonly string[] = [
  "CREATE INDEX sessions_of_project ON sessions (project, lastSeenAt)",
  unsettledIndex,
  seenIndex,
  "CREATE UNIQUE INDEX journal_keys ON journal (session, key)",
  "CREATE INDEX journal_by_session ON journal (session, seq)",
  // A turn may hold thousands of entries.
  "CREATE INDEX journal_prompts ON journal (session, seq) WHERE kind = 'prompt'",
  turnIndex,
  "CREATE UNIQUE INDEX checkpoints_ids ON checkpoints (id)",
  "CREATE INDEX checkpoints_by_session ON checkpoints (session, seq)",
  "CREATE INDEX checkpoints_turns ON checkpoints (session, journalSeq) WHERE trigger IN ('turn', 'before_tool')",
  "CREATE VIRTUAL TABLE checkpoints_text USING fts5 (summary, content='checkpoints', content_rowid='seq')",
  `CREATE TRIGGER checkpoints_text_add AFTER INSERT ON checkpoints BEGIN
     INSERT INTO checkpoints_unindexed (seq) VALUES (new.seq);
   END`,
  // FTS5 damages its index when a row that is not in it is deleted.
  `CREATE TRIGGER checkpoints_text_drop AFTER DELETE ON checkpoints BEGIN
     INSERT INTO checkpoints_text (checkpoints_text, rowid, summary)
       SELECT 'delete', old.seq, old.summary WHERE old.seq NOT IN (SELECT seq FROM checkpoints_unindexed);
     DELETE FROM checkpoints_unindexed WHERE seq = old.seq;
   END`,
  "CREATE INDEX snapshots_pending ON snapshots (at) WHERE state IN ('pending', 'running')",
  "CREATE INDEX recoveries_by_session ON recoveries (session, seq)",
  claimIndex,
];

/** SQL: the newest decision about a session, null: it is free. `id` is SQL, too. */
export function claimSql(id: string): string {
  return `(SELECT iif(action IN ('undone', 'returned'), NULL, action) FROM recoveries
    WHERE session = ${id} AND action <> 'mentioned' ORDER BY seq DESC LIMIT 1)`;
}

export function isNotEndedSql(table: string): string {
  return `coalesce(${table}.ending ->> 'how', '') <> 'ended'`;
}

/** SQL: whether a session can be continued, by the decisions about it. `table` has no alias. */
export function isOpenSql(table: string): string {
  return `(${isNotEndedSql(table)} AND coalesce(${claimSql(`${table}.id`)}, '') NOT IN ('recovered', 'dismissed'))`;
}

/** New journal numbers must exceed all folded ones; call it after importing rows. */
export function raiseJournalSequence(sql: Sql): void {
  if (sql.all("SELECT 1 FROM sqlite_schema WHERE name = 'journal'").length === 0) return;
  const [row] = sql.all<{ highest: number }>(
    `SELECT max(
       coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'journal'), 0),
       coalesce((SELECT max(journalSeq) FROM checkpoints), 0)
     ) AS highest`,
  );
  sql.run("DELETE FROM sqlite_sequence WHERE name = 'journal'");
  sql.run("INSERT INTO sqlite_sequence (name, seq) VALUES ('journal', ?)", row?.highest ?? 0);
}

/** SQL: whether a session has anything to recover. `id` is SQL, too. */
export function hasContentSql(id: string): string {
  return `(EXISTS (SELECT 1 FROM checkpoints WHERE session = ${id}) OR
    EXISTS (SELECT 1 FROM journal WHERE session = ${id} AND kind IN ('prompt', 'assistant', 'tool_start', 'tool_end', 'tool_error')))`;
}

/** Settings, model and effort of a session from that time on. */
export const sessionSettings = table("session_settings", {
  session: text().primary(),
  at: integer().primary(),
  /** Settings that differ from the defaults. */
  changed: json<Record<string, SettingValue>>(),
  model: text().nullable(),
  effort: text().nullable(),
});

/** How long SHIM's own work for a session took. */
export const sessionDurations = table("session_durations", {
  session: text().primary(),
  /** Name of the histogram that has the same observations. */
  name: text().primary(),
  count: integer(),
  slow: integer(),
  /** Seconds. */
  sum: real(),
});

/** Arm of a unit: a session, assigned at its start. */
export const exposures = table("exposures", {
  seq: serial(),
  experiment: text(),
  unit: text(),
  arm: text(),
  at: integer(),
});

/** Trials of settings of this machine. */
export const experiments = table("experiments", {
  id: text().primary(),
  state: text(),
  /** Time of its start. */
  at: integer(),
  body: json<MachineTrial>(),
});

export const recordingTables = [sessionSettings, sessionDurations, exposures, experiments];

export const recordingIndexes: readonly string[] = [
  "CREATE UNIQUE INDEX exposures_units ON exposures (experiment, unit)",
  "CREATE INDEX exposures_by_unit ON exposures (unit)",
];
