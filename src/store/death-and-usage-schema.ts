/** Part of migration 5: append only. */
export const deathAndUsageTables: readonly string[] = [
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
