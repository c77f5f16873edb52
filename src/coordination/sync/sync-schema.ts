/** Migration 5: append only. Envelopes are last, so that lists and counts do not read them. */
export const syncTables: readonly string[] = [
  // One row: a push writes one, nothing is summed up again, and no number recurs.
  `CREATE TABLE sync_totals (
     one INTEGER PRIMARY KEY CHECK (one = 1),
     key_id TEXT,
     epoch INTEGER NOT NULL,
     revision INTEGER NOT NULL,
     chars INTEGER NOT NULL
   ) STRICT`,
  "INSERT INTO sync_totals (one, key_id, epoch, revision, chars) VALUES (1, NULL, 0, 0, 0)",
  // Epochs are unique in a workspace. `hashes` are those of the newest ops up to the mark.
  `CREATE TABLE sync_devices (
     epoch INTEGER PRIMARY KEY,
     device TEXT NOT NULL,
     machine TEXT NOT NULL,
     key_id TEXT NOT NULL,
     mark INTEGER NOT NULL,
     pushed_at INTEGER NOT NULL,
     hashes TEXT NOT NULL
   ) STRICT`,
  // Ordered by change, from which pulls continue. No envelope: only checkpoints are stored yet.
  `CREATE TABLE sync_sessions (
     revision INTEGER PRIMARY KEY,
     session TEXT NOT NULL,
     device TEXT NOT NULL,
     machine TEXT NOT NULL,
     project TEXT,
     is_ended INTEGER NOT NULL,
     epoch INTEGER NOT NULL,
     seq INTEGER NOT NULL,
     at INTEGER NOT NULL,
     changed_at INTEGER NOT NULL,
     taken_chat TEXT,
     taken_machine TEXT,
     taken_at INTEGER,
     chars INTEGER NOT NULL,
     envelope TEXT NOT NULL,
     UNIQUE (session, device)
   ) STRICT`,
  `CREATE TABLE sync_checkpoints (
     checkpoint TEXT NOT NULL,
     device TEXT NOT NULL,
     session TEXT NOT NULL,
     epoch INTEGER NOT NULL,
     seq INTEGER NOT NULL,
     at INTEGER NOT NULL,
     chars INTEGER NOT NULL,
     envelope TEXT NOT NULL,
     PRIMARY KEY (checkpoint, device)
   ) STRICT, WITHOUT ROWID`,
  // Sessions that other machines have read and must delete.
  `CREATE TABLE sync_forgotten (
     revision INTEGER PRIMARY KEY,
     session TEXT NOT NULL,
     device TEXT NOT NULL,
     at INTEGER NOT NULL
   ) STRICT`,
  "CREATE INDEX sync_checkpoints_session ON sync_checkpoints (session, device)",
];

/** Migration 7: append only. At most two bundles per session: complete and incoming. */
export const syncFilesTable = `CREATE TABLE sync_files (
     session TEXT NOT NULL,
     device TEXT NOT NULL,
     bundle TEXT NOT NULL,
     part INTEGER NOT NULL,
     parts INTEGER NOT NULL,
     checkpoint TEXT NOT NULL,
     epoch INTEGER NOT NULL,
     at INTEGER NOT NULL,
     chars INTEGER NOT NULL,
     envelope TEXT NOT NULL,
     PRIMARY KEY (session, device, bundle, part)
   ) STRICT, WITHOUT ROWID`;
