/** Migration 12: append only. A task's row has the name of its schedule. */
export const scheduleTables: readonly string[] = [
  `CREATE TABLE schedules (
     name TEXT PRIMARY KEY,
     cron TEXT NOT NULL,
     time_zone TEXT NOT NULL,
     overlap TEXT NOT NULL,
     missed TEXT NOT NULL,
     state TEXT NOT NULL,
     end_at INTEGER,
     max_runs INTEGER,
     runs INTEGER NOT NULL DEFAULT 0,
     at INTEGER NOT NULL,
     next_at INTEGER,
     due_at INTEGER,
     last_at INTEGER,
     last_outcome TEXT,
     last_detail TEXT,
     last_task INTEGER,
     type TEXT NOT NULL,
     task TEXT NOT NULL
   ) STRICT, WITHOUT ROWID`,
  "CREATE INDEX schedules_due ON schedules (due_at) WHERE due_at IS NOT NULL",
  "ALTER TABLE tasks ADD COLUMN schedule TEXT",
];
