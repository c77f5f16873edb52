import type { Migration } from "../../shared/migrate.ts";

/** Stored. Append only: a change is a new step that only adds; an old process may still be writing. */
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
      // AUTOINCREMENT: checkpoints point at places of the journal, so a number must not come again after its row was pruned.
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
      // A row that is not in the index must not be taken out of it: FTS5 would count it, and the index would be damaged.
      `CREATE TRIGGER checkpoints_text_drop AFTER DELETE ON checkpoints BEGIN
         INSERT INTO checkpoints_text (checkpoints_text, rowid, summary)
           SELECT 'delete', old.seq, old.summary WHERE old.seq NOT IN (SELECT seq FROM checkpoints_unindexed);
         DELETE FROM checkpoints_unindexed WHERE seq = old.seq;
       END`,
    ],
  },
  {
    id: 3,
    name: "team",
    statements: [
      // Chats that processes of this machine have registered with whoever decides: hooks and the supervisor read them.
      `CREATE TABLE team_chats (
         session_id TEXT PRIMARY KEY,
         workspace TEXT NOT NULL,
         chat TEXT NOT NULL,
         incarnation INTEGER NOT NULL,
         process TEXT NOT NULL,
         at INTEGER NOT NULL
       ) STRICT, WITHOUT ROWID`,
      // What a chat is to be told, each once: by its next hook, or by a tool that it asks.
      `CREATE TABLE team_news (
         seq INTEGER PRIMARY KEY AUTOINCREMENT,
         session_id TEXT NOT NULL,
         key TEXT NOT NULL,
         kind TEXT NOT NULL,
         at INTEGER NOT NULL,
         body TEXT NOT NULL,
         told_at INTEGER,
         UNIQUE (session_id, key)
       ) STRICT`,
      "CREATE INDEX team_news_untold ON team_news (session_id, seq) WHERE told_at IS NULL",
      // When a hook made a chat go on by itself.
      `CREATE TABLE team_continuations (
         session_id TEXT NOT NULL,
         at INTEGER NOT NULL,
         PRIMARY KEY (session_id, at)
       ) STRICT, WITHOUT ROWID`,
      // Reservations of files, as last heard of.
      `CREATE TABLE team_files (
         resource TEXT PRIMARY KEY,
         workspace TEXT NOT NULL,
         holder TEXT NOT NULL,
         holder_name TEXT NOT NULL,
         machine TEXT NOT NULL,
         checkout TEXT NOT NULL,
         since INTEGER NOT NULL,
         at INTEGER NOT NULL
       ) STRICT, WITHOUT ROWID`,
      // What a project is called in a workspace, found once: a hook has no time to ask git.
      `CREATE TABLE team_projects (
         workspace TEXT NOT NULL,
         root TEXT NOT NULL,
         project TEXT NOT NULL,
         at INTEGER NOT NULL,
         PRIMARY KEY (workspace, root)
       ) STRICT, WITHOUT ROWID`,
      // What a chat has to say to others (results, messages), until it is answered: it outlives the network and the process.
      `CREATE TABLE team_calls (
         seq INTEGER PRIMARY KEY AUTOINCREMENT,
         session_id TEXT NOT NULL,
         workspace TEXT NOT NULL,
         name TEXT NOT NULL,
         input TEXT NOT NULL,
         at INTEGER NOT NULL,
         tries INTEGER NOT NULL DEFAULT 0,
         last_error TEXT
       ) STRICT`,
    ],
  },
  {
    id: 4,
    name: "sync",
    statements: [
      // One row while this machine belongs to a workspace on the edge: only then changes are noted.
      `CREATE TABLE sync_device (
         workspace TEXT PRIMARY KEY,
         device TEXT NOT NULL,
         epoch INTEGER NOT NULL,
         fingerprint TEXT NOT NULL,
         key_id TEXT NOT NULL,
         sealed INTEGER NOT NULL,
         acked INTEGER NOT NULL,
         joined_at INTEGER NOT NULL
       ) STRICT, WITHOUT ROWID`,
      // The op log's first half: what has changed, in the transaction of the change.
      `CREATE TABLE sync_changes (
         seq INTEGER PRIMARY KEY AUTOINCREMENT,
         kind TEXT NOT NULL,
         session_id TEXT NOT NULL,
         id TEXT NOT NULL,
         at INTEGER NOT NULL
       ) STRICT`,
      "CREATE UNIQUE INDEX sync_changes_of ON sync_changes (kind, id)",
      // The second half: sealed under a number of the device, sent as it stands here until it is acknowledged.
      `CREATE TABLE sync_log (
         seq INTEGER PRIMARY KEY,
         kind TEXT NOT NULL,
         session_id TEXT NOT NULL,
         at INTEGER NOT NULL,
         hash TEXT NOT NULL,
         op TEXT NOT NULL
       ) STRICT`,
      "CREATE TABLE sync_uploader (one INTEGER PRIMARY KEY CHECK (one = 1), process TEXT NOT NULL, at INTEGER NOT NULL) STRICT",
      // Sessions of other machines of the workspace, opened, as last heard of.
      `CREATE TABLE remote_sessions (
         workspace TEXT NOT NULL,
         device TEXT NOT NULL,
         session_id TEXT NOT NULL,
         machine TEXT NOT NULL,
         project TEXT,
         seq INTEGER NOT NULL,
         at INTEGER NOT NULL,
         is_ended INTEGER NOT NULL,
         taken_by TEXT,
         body TEXT NOT NULL,
         PRIMARY KEY (workspace, session_id, device)
       ) STRICT, WITHOUT ROWID`,
      `CREATE TABLE remote_checkpoints (
         checkpoint_id TEXT PRIMARY KEY,
         workspace TEXT NOT NULL,
         device TEXT NOT NULL,
         session_id TEXT NOT NULL,
         at INTEGER NOT NULL,
         body BLOB NOT NULL
       ) STRICT, WITHOUT ROWID`,
      // No OR IGNORE: the statement that fires a trigger may bring a conflict clause of its own, which would count instead (lang_createtrigger.html).
      `CREATE TRIGGER sync_session_new AFTER INSERT ON sessions
         WHEN EXISTS (SELECT 1 FROM sync_device) AND NOT EXISTS (SELECT 1 FROM sync_changes WHERE kind = 'session' AND id = new.id) BEGIN
         INSERT INTO sync_changes (kind, session_id, id, at) VALUES ('session', new.id, new.id, new.last_seen_at);
       END`,
      `CREATE TRIGGER sync_session_changed AFTER UPDATE ON sessions
         WHEN EXISTS (SELECT 1 FROM sync_device) AND NOT EXISTS (SELECT 1 FROM sync_changes WHERE kind = 'session' AND id = new.id) BEGIN
         INSERT INTO sync_changes (kind, session_id, id, at) VALUES ('session', new.id, new.id, new.last_seen_at);
       END`,
      `CREATE TRIGGER sync_session_gone AFTER DELETE ON sessions WHEN EXISTS (SELECT 1 FROM sync_device) BEGIN
         DELETE FROM sync_changes WHERE kind = 'session' AND id = old.id;
         INSERT INTO sync_changes (kind, session_id, id, at) VALUES ('session', old.id, old.id, old.last_seen_at);
       END`,
      `CREATE TRIGGER sync_checkpoint_new AFTER INSERT ON checkpoints
         WHEN EXISTS (SELECT 1 FROM sync_device) AND NOT EXISTS (SELECT 1 FROM sync_changes WHERE kind = 'checkpoint' AND id = new.id) BEGIN
         INSERT INTO sync_changes (kind, session_id, id, at) VALUES ('checkpoint', new.session_id, new.id, new.at);
       END`,
      // What a forgotten session had handed on is taken out of others.
      `CREATE TRIGGER sync_checkpoint_changed AFTER UPDATE OF body ON checkpoints
         WHEN EXISTS (SELECT 1 FROM sync_device) AND NOT EXISTS (SELECT 1 FROM sync_changes WHERE kind = 'checkpoint' AND id = new.id) BEGIN
         INSERT INTO sync_changes (kind, session_id, id, at) VALUES ('checkpoint', new.session_id, new.id, new.at);
       END`,
      `CREATE TRIGGER sync_checkpoint_gone AFTER DELETE ON checkpoints WHEN EXISTS (SELECT 1 FROM sync_device) BEGIN
         DELETE FROM sync_changes WHERE kind = 'checkpoint' AND id = old.id;
         INSERT INTO sync_changes (kind, session_id, id, at) VALUES ('checkpoint', old.session_id, old.id, old.at);
       END`,
    ],
  },
  {
    id: 5,
    name: "team_claims",
    statements: [
      // Tasks that a chat has taken, until it reports how they ended: a later process of the same client goes on with them.
      `CREATE TABLE team_claims (
         session_id TEXT NOT NULL,
         workspace TEXT NOT NULL,
         task INTEGER NOT NULL,
         claim INTEGER NOT NULL,
         incarnation INTEGER NOT NULL,
         at INTEGER NOT NULL,
         body TEXT NOT NULL,
         PRIMARY KEY (session_id, task)
       ) STRICT, WITHOUT ROWID`,
    ],
  },
];
