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
