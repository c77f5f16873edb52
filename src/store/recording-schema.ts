/** Migration 12: append only. */
export const recordingTables: readonly string[] = [
  // Settings that differ from the defaults, as JSON; named by their digest.
  "CREATE TABLE settings_seen (hash TEXT PRIMARY KEY, changed TEXT NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID",
  // Settings, model and effort of a session from that time on.
  `CREATE TABLE session_settings (
     session_id TEXT NOT NULL,
     at INTEGER NOT NULL,
     hash TEXT NOT NULL,
     model TEXT,
     effort TEXT,
     PRIMARY KEY (session_id, at)
   ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE session_durations (
     session_id TEXT NOT NULL,
     name TEXT NOT NULL,
     count INTEGER NOT NULL,
     slow INTEGER NOT NULL,
     sum REAL NOT NULL,
     PRIMARY KEY (session_id, name)
   ) STRICT, WITHOUT ROWID`,
  // Arm of a unit: a session, assigned at its start.
  `CREATE TABLE exposures (
     seq INTEGER PRIMARY KEY,
     experiment TEXT NOT NULL,
     unit TEXT NOT NULL,
     arm TEXT NOT NULL,
     at INTEGER NOT NULL,
     UNIQUE (experiment, unit)
   ) STRICT`,
  "CREATE INDEX exposures_by_unit ON exposures (unit)",
  // Revision: of two processes that advance one experiment, one wins.
  `CREATE TABLE experiments (
     id TEXT PRIMARY KEY,
     key TEXT NOT NULL,
     state TEXT NOT NULL,
     revision INTEGER NOT NULL,
     at INTEGER NOT NULL,
     body TEXT NOT NULL
   ) STRICT, WITHOUT ROWID`,
  // Values in force beside config.json: of a treated arm, or of all sessions during a rollback.
  `CREATE TABLE trial_values (
     experiment TEXT PRIMARY KEY,
     key TEXT NOT NULL,
     value REAL NOT NULL,
     scope TEXT NOT NULL,
     share REAL NOT NULL,
     salt TEXT NOT NULL
   ) STRICT, WITHOUT ROWID`,
];
