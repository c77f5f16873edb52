/** Part of migration 3: append only. */
export const teamTables: readonly string[] = [
  // Chats of this machine that are registered; hooks and the supervisor read them.
  `CREATE TABLE team_chats (
     session_id TEXT PRIMARY KEY,
     workspace TEXT NOT NULL,
     chat TEXT NOT NULL,
     incarnation INTEGER NOT NULL,
     process TEXT NOT NULL,
     at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID`,
  // Notifications, delivered once: by the chat's next hook, or by a tool.
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
  // Times at which a hook made a chat continue by itself.
  `CREATE TABLE team_continuations (
     session_id TEXT NOT NULL,
     at INTEGER NOT NULL,
     PRIMARY KEY (session_id, at)
   ) STRICT, WITHOUT ROWID`,
  // Reservations of files, as last reported.
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
  // Project names in a workspace, cached: a hook has no time to ask git.
  `CREATE TABLE team_projects (
     workspace TEXT NOT NULL,
     root TEXT NOT NULL,
     project TEXT NOT NULL,
     at INTEGER NOT NULL,
     PRIMARY KEY (workspace, root)
   ) STRICT, WITHOUT ROWID`,
  // Unanswered calls of a chat (results, messages): they outlive the network and the process.
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
  // Claimed tasks until their report; a later process of the same client continues them.
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
];

/** Part of migration 4: append only. */
export const syncTables: readonly string[] = [
  // One row while this machine belongs to an edge workspace; changes are recorded only then.
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
  // Unsealed changes, recorded in the transaction of the change.
  `CREATE TABLE sync_changes (
     seq INTEGER PRIMARY KEY AUTOINCREMENT,
     kind TEXT NOT NULL,
     session_id TEXT NOT NULL,
     id TEXT NOT NULL,
     at INTEGER NOT NULL
   ) STRICT`,
  "CREATE UNIQUE INDEX sync_changes_of ON sync_changes (kind, id)",
  // Sealed ops under the device's numbers, sent unchanged until acknowledged.
  `CREATE TABLE sync_log (
     seq INTEGER PRIMARY KEY,
     kind TEXT NOT NULL,
     session_id TEXT NOT NULL,
     at INTEGER NOT NULL,
     hash TEXT NOT NULL,
     op TEXT NOT NULL
   ) STRICT`,
  // Opened sessions of the workspace's other machines, as last pulled.
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
  // No OR IGNORE: the firing statement's conflict clause would win (lang_createtrigger.html).
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
  // Forgetting a session changes the checkpoints that inherited from it.
  `CREATE TRIGGER sync_checkpoint_changed AFTER UPDATE OF body ON checkpoints
     WHEN EXISTS (SELECT 1 FROM sync_device) AND NOT EXISTS (SELECT 1 FROM sync_changes WHERE kind = 'checkpoint' AND id = new.id) BEGIN
     INSERT INTO sync_changes (kind, session_id, id, at) VALUES ('checkpoint', new.session_id, new.id, new.at);
   END`,
  `CREATE TRIGGER sync_checkpoint_gone AFTER DELETE ON checkpoints WHEN EXISTS (SELECT 1 FROM sync_device) BEGIN
     DELETE FROM sync_changes WHERE kind = 'checkpoint' AND id = old.id;
     INSERT INTO sync_changes (kind, session_id, id, at) VALUES ('checkpoint', old.session_id, old.id, old.at);
   END`,
];

/** Part of migration 9: append only. */
export const syncFilesTables: readonly string[] = [
  // Newest files of a session at the coordinator; JSON.
  "CREATE TABLE sync_files (session_id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID",
  `CREATE TRIGGER sync_files_gone AFTER DELETE ON sessions BEGIN
     DELETE FROM sync_files WHERE session_id = old.id;
   END`,
];
