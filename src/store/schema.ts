import type { Migration } from "../shared/migrate.ts";
import { recordingTables } from "./recording-schema.ts";
import { syncFilesTables, syncTables, teamTables } from "./team-and-sync-schema.ts";

/** Migration 11: append only. */
const telemetryTables: readonly string[] = [
  "ALTER TABLE usage_messages ADD COLUMN request_id TEXT",
  // Cost by the client's telemetry; null: none has come for this request.
  "ALTER TABLE usage_messages ADD COLUMN cost_micros INTEGER",
  "CREATE INDEX usage_messages_by_request ON usage_messages (request_id) WHERE request_id IS NOT NULL",
  // Difference of the two sources of cost since the status line's totals were last counted.
  `CREATE TABLE usage_telemetry (
     session_id TEXT PRIMARY KEY,
     ahead_micros INTEGER NOT NULL,
     settled_at INTEGER NOT NULL,
     at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID`,
];

/** Part of migration 6: append only. */
const deathAndUsageTables: readonly string[] = [
  // Highest risk level covered by a checkpoint, and a higher one that awaits its checkpoint.
  "ALTER TABLE sessions ADD COLUMN risk_covered TEXT",
  "ALTER TABLE sessions ADD COLUMN risk_pending TEXT",
  "ALTER TABLE sessions ADD COLUMN risk_below_at INTEGER",
  // Newest sign of work: a hook event, a tool call, growth of the transcript.
  "ALTER TABLE sessions ADD COLUMN worked_at INTEGER",
  // Set with the row in crashes; null again when the session is alive again.
  "ALTER TABLE sessions ADD COLUMN death_at INTEGER",
  "UPDATE sessions SET death_at = last_seen_at WHERE ended_at IS NULL AND EXISTS (SELECT 1 FROM crashes c WHERE c.session_id = sessions.id AND c.at = sessions.last_seen_at)",
  "CREATE INDEX sessions_not_known_dead ON sessions (last_seen_at) WHERE ended_at IS NULL AND death_at IS NULL AND owner_pid IS NOT NULL",
  "ALTER TABLE crashes ADD COLUMN checkpoint_age_ms INTEGER",
  "ALTER TABLE crashes ADD COLUMN unsaved_events INTEGER",
  "ALTER TABLE crashes ADD COLUMN unsaved_tool_calls INTEGER",
  // One row per model response, by its own id: a repeated line or copied transcript adds nothing.
  `CREATE TABLE usage_messages (
     key TEXT PRIMARY KEY,
     session_id TEXT NOT NULL,
     at INTEGER NOT NULL,
     day TEXT NOT NULL,
     project TEXT,
     model TEXT NOT NULL,
     task INTEGER,
     claim INTEGER,
     is_subagent INTEGER NOT NULL,
     input INTEGER NOT NULL,
     output INTEGER NOT NULL,
     cache_read INTEGER NOT NULL,
     cache_write INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID`,
  "CREATE INDEX usage_messages_by_session ON usage_messages (session_id, at)",
  "CREATE INDEX usage_messages_by_time ON usage_messages (at)",
  // Cost of a session as reported by the client, split by time.
  `CREATE TABLE usage_costs (
     session_id TEXT NOT NULL,
     day TEXT NOT NULL,
     model TEXT NOT NULL,
     task INTEGER NOT NULL,
     claim INTEGER NOT NULL,
     project TEXT,
     cost_micros INTEGER NOT NULL,
     at INTEGER NOT NULL,
     PRIMARY KEY (session_id, day, model, task, claim)
   ) STRICT, WITHOUT ROWID`,
  "CREATE INDEX usage_costs_by_time ON usage_costs (at)",
  // Client's last running total: only an increase is new.
  `CREATE TABLE usage_totals (
     session_id TEXT PRIMARY KEY,
     cost_micros INTEGER NOT NULL,
     process TEXT NOT NULL,
     at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID`,
  // Read position in the transcript of each sub-agent.
  `CREATE TABLE usage_files (
     session_id TEXT NOT NULL,
     name TEXT NOT NULL,
     bytes INTEGER NOT NULL,
     PRIMARY KEY (session_id, name)
   ) STRICT, WITHOUT ROWID`,
  // Spending of the chat's current task, as sums: a hook reads one row before each tool call.
  `CREATE TABLE task_spending (
     session_id TEXT PRIMARY KEY,
     task INTEGER NOT NULL,
     claim INTEGER NOT NULL,
     started_at INTEGER NOT NULL,
     tokens INTEGER NOT NULL,
     cost_micros REAL NOT NULL,
     limit_wall_ms INTEGER,
     limit_tokens INTEGER,
     limit_cost_micros INTEGER,
     exceeded TEXT,
     warned_at INTEGER
   ) STRICT, WITHOUT ROWID`,
];

/** Migration 10: totals begin with what the rows of today can tell. */
const metricTables: readonly string[] = [
  `CREATE TABLE metric_totals (
     name TEXT NOT NULL,
     labels TEXT NOT NULL,
     bucket TEXT NOT NULL,
     value REAL NOT NULL,
     sum REAL NOT NULL,
     PRIMARY KEY (name, labels, bucket)
   ) STRICT, WITHOUT ROWID`,
  `INSERT INTO metric_totals (name, labels, bucket, value, sum)
     SELECT 'shim_checkpoints_total', json_array(trigger), '', count(*), sum(raw_bytes) FROM checkpoints GROUP BY trigger
     UNION ALL SELECT 'shim_deaths_total', json_array(cause, ifnull(client, 'other')), '', count(*), 0
       FROM crashes LEFT JOIN sessions ON sessions.id = session_id GROUP BY 2
     UNION ALL SELECT 'shim_recoveries_total', json_array(action), '', count(*), 0 FROM recoveries GROUP BY action`,
];

/** Stored. Append only: each step only adds, since an old process may still be writing. */
export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: "sessions, journal, checkpoints, signals, recovery",
    statements: [
      "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
      `CREATE TABLE sessions (
         id TEXT PRIMARY KEY,
         client TEXT NOT NULL,
         project TEXT,
         cwd TEXT,
         title TEXT,
         model TEXT,
         transcript_path TEXT,
         transcript_offset INTEGER NOT NULL DEFAULT 0,
         origin TEXT NOT NULL,
         parent_id TEXT,
         owner_boot TEXT,
         owner_pid INTEGER,
         owner_start TEXT,
         started_at INTEGER NOT NULL,
         last_seen_at INTEGER NOT NULL,
         saved_at INTEGER,
         ended_at INTEGER,
         end_reason TEXT,
         detached_at INTEGER,
         detach_reason TEXT,
         recovery TEXT,
         recovery_at INTEGER,
         recovery_by TEXT,
         tool_calls INTEGER NOT NULL DEFAULT 0,
         tool_errors INTEGER NOT NULL DEFAULT 0,
         readings TEXT NOT NULL DEFAULT '{}'
       ) STRICT, WITHOUT ROWID`,
      "CREATE INDEX sessions_open ON sessions (started_at) WHERE ended_at IS NULL AND recovery IS NULL",
      "CREATE INDEX sessions_offered ON sessions (recovery_by) WHERE recovery = 'offered'",
      `CREATE TABLE clients (
         boot TEXT NOT NULL,
         pid INTEGER NOT NULL,
         start TEXT NOT NULL,
         given_id TEXT NOT NULL,
         session_id TEXT NOT NULL,
         at INTEGER NOT NULL,
         PRIMARY KEY (boot, pid, start)
       ) STRICT, WITHOUT ROWID`,
      `CREATE TABLE servers (
         boot TEXT NOT NULL,
         pid INTEGER NOT NULL,
         start TEXT NOT NULL,
         client_pid INTEGER NOT NULL,
         client_start TEXT NOT NULL,
         at INTEGER NOT NULL,
         PRIMARY KEY (boot, pid, start)
       ) STRICT, WITHOUT ROWID`,
      // AUTOINCREMENT: checkpoints refer to journal numbers, so none may be reused after pruning.
      `CREATE TABLE journal (
         seq INTEGER PRIMARY KEY AUTOINCREMENT,
         session_id TEXT NOT NULL,
         at INTEGER NOT NULL,
         kind TEXT NOT NULL,
         key TEXT NOT NULL,
         body TEXT NOT NULL,
         UNIQUE (session_id, key)
       ) STRICT`,
      "CREATE INDEX journal_by_session ON journal (session_id, seq)",
      `CREATE TABLE checkpoints (
         seq INTEGER PRIMARY KEY,
         id TEXT NOT NULL UNIQUE,
         session_id TEXT NOT NULL,
         at INTEGER NOT NULL,
         trigger TEXT NOT NULL,
         hash TEXT NOT NULL,
         journal_seq INTEGER NOT NULL,
         raw_bytes INTEGER NOT NULL,
         redactions INTEGER NOT NULL,
         summary TEXT NOT NULL,
         body BLOB NOT NULL
       ) STRICT`,
      "CREATE INDEX checkpoints_by_session ON checkpoints (session_id, seq)",
      "CREATE VIRTUAL TABLE checkpoints_text USING fts5 (summary, content='checkpoints', content_rowid='seq')",
      `CREATE TRIGGER checkpoints_text_add AFTER INSERT ON checkpoints BEGIN
         INSERT INTO checkpoints_text (rowid, summary) VALUES (new.seq, new.summary);
       END`,
      `CREATE TRIGGER checkpoints_text_drop AFTER DELETE ON checkpoints BEGIN
         INSERT INTO checkpoints_text (checkpoints_text, rowid, summary) VALUES ('delete', old.seq, old.summary);
       END`,
      `CREATE TABLE snapshots (
         checkpoint_id TEXT PRIMARY KEY,
         session_id TEXT NOT NULL,
         at INTEGER NOT NULL,
         state TEXT NOT NULL,
         reason TEXT,
         project TEXT NOT NULL,
         repository TEXT,
         head TEXT,
         branch TEXT,
         commit_id TEXT,
         detail TEXT NOT NULL DEFAULT '{}'
       ) STRICT, WITHOUT ROWID`,
      "CREATE INDEX snapshots_pending ON snapshots (at) WHERE state IN ('pending', 'running')",
      `CREATE TABLE signals (
         session_id TEXT NOT NULL,
         at INTEGER NOT NULL,
         risk REAL NOT NULL,
         level TEXT NOT NULL,
         readings TEXT NOT NULL,
         PRIMARY KEY (session_id, at)
       ) STRICT, WITHOUT ROWID`,
      `CREATE TABLE crashes (
         session_id TEXT NOT NULL,
         at INTEGER NOT NULL,
         cause TEXT NOT NULL,
         detail TEXT NOT NULL,
         readings TEXT NOT NULL,
         PRIMARY KEY (session_id, at)
       ) STRICT, WITHOUT ROWID`,
      `CREATE TABLE recoveries (
         seq INTEGER PRIMARY KEY,
         at INTEGER NOT NULL,
         session_id TEXT NOT NULL,
         action TEXT NOT NULL,
         by_session TEXT,
         score REAL,
         detail TEXT NOT NULL DEFAULT '{}'
       ) STRICT`,
      "CREATE INDEX recoveries_by_session ON recoveries (session_id, seq)",
      `CREATE TABLE notices (
         id INTEGER PRIMARY KEY,
         at INTEGER NOT NULL,
         kind TEXT NOT NULL,
         text TEXT NOT NULL,
         acknowledged_at INTEGER
       ) STRICT`,
    ],
  },
  {
    id: 2,
    name: "text_index_later",
    statements: [
      "CREATE TABLE checkpoints_unindexed (seq INTEGER PRIMARY KEY) STRICT",
      "DROP TRIGGER checkpoints_text_add",
      "DROP TRIGGER checkpoints_text_drop",
      `CREATE TRIGGER checkpoints_text_add AFTER INSERT ON checkpoints BEGIN
         INSERT INTO checkpoints_unindexed (seq) VALUES (new.seq);
       END`,
      // FTS5 damages its index when a row that is not in it is deleted.
      `CREATE TRIGGER checkpoints_text_drop AFTER DELETE ON checkpoints BEGIN
         INSERT INTO checkpoints_text (checkpoints_text, rowid, summary)
           SELECT 'delete', old.seq, old.summary WHERE old.seq NOT IN (SELECT seq FROM checkpoints_unindexed);
         DELETE FROM checkpoints_unindexed WHERE seq = old.seq;
       END`,
    ],
  },
  { id: 3, name: "team", statements: teamTables },
  { id: 4, name: "sync", statements: syncTables },
  {
    id: 5,
    name: "waiting chats and sent notifications",
    statements: [
      "ALTER TABLE sessions ADD COLUMN waiting_for TEXT",
      "ALTER TABLE sessions ADD COLUMN waiting_since INTEGER",
      "CREATE INDEX sessions_waiting ON sessions (waiting_since) WHERE waiting_for IS NOT NULL",
      // The key is a digest: it names no session.
      "CREATE TABLE sent_notifications (key TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    ],
  },
  { id: 6, name: "deaths and usage", statements: deathAndUsageTables },
  { id: 7, name: "session names", statements: ["ALTER TABLE sessions ADD COLUMN name TEXT"] },
  {
    id: 8,
    name: "index of prompts",
    statements: ["CREATE INDEX journal_prompts ON journal (session_id, seq) WHERE kind = 'prompt'"],
  },
  { id: 9, name: "files of sessions", statements: syncFilesTables },
  { id: 10, name: "totals of metrics", statements: metricTables },
  { id: 11, name: "telemetry", statements: telemetryTables },
  { id: 12, name: "settings and durations of sessions", statements: recordingTables },
  {
    id: 13,
    name: "version of a session's client",
    statements: ["ALTER TABLE sessions ADD COLUMN client_version TEXT"],
  },
];
