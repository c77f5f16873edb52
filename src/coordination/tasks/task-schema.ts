/**
 * Migration 2: append only. Columns that change often are apart from large ones. Indexes are
 * partial: deleting an entry costs no row on the edge.
 */
export const taskTables: readonly string[] = [
  `CREATE TABLE tasks (
     task INTEGER PRIMARY KEY,
     type TEXT NOT NULL,
     lane TEXT NOT NULL,
     priority INTEGER NOT NULL,
     state TEXT NOT NULL,
     reason TEXT,
     detail TEXT,
     parent INTEGER,
     depth INTEGER NOT NULL,
     affinity TEXT,
     tags TEXT NOT NULL,
     on_death TEXT NOT NULL,
     max_attempts INTEGER NOT NULL,
     base_ms INTEGER NOT NULL,
     cap_ms INTEGER NOT NULL,
     has_jitter INTEGER NOT NULL,
     queue_ms INTEGER,
     close_ms INTEGER NOT NULL,
     heartbeat_ms INTEGER NOT NULL,
     failures INTEGER NOT NULL DEFAULT 0,
     stalls INTEGER NOT NULL DEFAULT 0,
     lost_chats INTEGER NOT NULL DEFAULT 0,
     claim INTEGER NOT NULL DEFAULT 0,
     chat TEXT,
     incarnation INTEGER,
     request_id TEXT,
     at INTEGER NOT NULL,
     not_before INTEGER NOT NULL,
     queued_at INTEGER,
     assigned_at INTEGER,
     started_at INTEGER,
     seen_at INTEGER,
     close_at INTEGER,
     ended_at INTEGER,
     cancel_reason TEXT,
     progress TEXT,
     checkpoint TEXT,
     due_at INTEGER
   ) STRICT`,
  "CREATE INDEX tasks_queued ON tasks (lane, priority DESC, task) WHERE state = 'queued'",
  "CREATE INDEX tasks_chat ON tasks (chat) WHERE chat IS NOT NULL",
  "CREATE INDEX tasks_due ON tasks (due_at) WHERE due_at IS NOT NULL",
  "CREATE INDEX tasks_parent ON tasks (parent) WHERE parent IS NOT NULL",
  "CREATE INDEX tasks_dead ON tasks (task) WHERE state = 'dead'",
  `CREATE TABLE task_texts (
     task INTEGER PRIMARY KEY,
     payload TEXT NOT NULL,
     depends_on TEXT NOT NULL
   ) STRICT`,
  // Ended attempts, with the result, so that an ack writes one row for both.
  `CREATE TABLE attempts (
     task INTEGER NOT NULL,
     claim INTEGER NOT NULL,
     attempt INTEGER NOT NULL,
     chat TEXT NOT NULL,
     incarnation INTEGER NOT NULL,
     queued_at INTEGER NOT NULL,
     assigned_at INTEGER NOT NULL,
     started_at INTEGER,
     ended_at INTEGER NOT NULL,
     ended TEXT NOT NULL,
     reason TEXT,
     became TEXT NOT NULL,
     late_calls INTEGER NOT NULL DEFAULT 0,
     progress TEXT,
     checkpoint TEXT,
     result TEXT,
     PRIMARY KEY (task, claim)
   ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE task_dependents (
     needs INTEGER NOT NULL,
     task INTEGER NOT NULL,
     PRIMARY KEY (needs, task)
   ) STRICT, WITHOUT ROWID`,
  "CREATE TABLE task_dedupe (key TEXT PRIMARY KEY, task INTEGER NOT NULL, until INTEGER NOT NULL) STRICT, WITHOUT ROWID",
  "CREATE INDEX task_dedupe_until ON task_dedupe (until)",
];

/** Migration 3. */
export const planTables: readonly string[] = [
  "ALTER TABLE tasks ADD COLUMN ref TEXT",
  "ALTER TABLE tasks ADD COLUMN join_rule TEXT",
  "ALTER TABLE tasks ADD COLUMN budget TEXT",
  "ALTER TABLE chats ADD COLUMN last_assigned_at INTEGER",
  `CREATE TABLE chat_performance (
     chat TEXT NOT NULL,
     type TEXT NOT NULL,
     success_rate REAL NOT NULL,
     duration_ms REAL,
     PRIMARY KEY (chat, type)
   ) STRICT, WITHOUT ROWID`,
  // `claim` reported the own figures last; earlier ones are those of all claims before.
  `CREATE TABLE task_usage (
     task INTEGER PRIMARY KEY,
     claim INTEGER NOT NULL,
     earlier TEXT NOT NULL,
     own TEXT NOT NULL
   ) STRICT`,
  // Key: the name of a chat, or the number of a day since 1970 (UTC).
  `CREATE TABLE usage (
     kind TEXT NOT NULL,
     key TEXT NOT NULL,
     wall_ms INTEGER NOT NULL,
     tokens INTEGER NOT NULL,
     cost_micros INTEGER NOT NULL,
     PRIMARY KEY (kind, key)
   ) STRICT, WITHOUT ROWID`,
];

/**
 * Migration 9: of a task's life, fewer rows. A small payload and the result are in the task's row,
 * so that one row is written for both; the successful attempt is there too.
 */
export const fewerTaskRows: readonly string[] = [
  "ALTER TABLE tasks ADD COLUMN done_by TEXT",
  "ALTER TABLE tasks ADD COLUMN done_incarnation INTEGER",
  "ALTER TABLE tasks ADD COLUMN late_calls INTEGER NOT NULL DEFAULT 0",
  // NULL: in task_texts.
  "ALTER TABLE tasks ADD COLUMN depends_on TEXT",
  "ALTER TABLE tasks ADD COLUMN payload TEXT",
  "ALTER TABLE tasks ADD COLUMN result TEXT",
  `CREATE VIEW all_attempts AS
     SELECT task, claim, attempt, chat, incarnation, queued_at, assigned_at, started_at, ended_at, ended, reason, became,
       late_calls, progress, checkpoint, result FROM attempts
     UNION ALL
     SELECT task, claim, failures + 1, done_by, done_incarnation, queued_at, assigned_at, started_at, ended_at, 'done', NULL, 'done',
       late_calls, progress, checkpoint, result FROM tasks WHERE done_by IS NOT NULL`,
  // A held task is due with its chat: chats.due_at is never later.
  "DROP INDEX tasks_due",
  "CREATE INDEX tasks_due ON tasks (due_at) WHERE state IN ('scheduled', 'queued') AND due_at IS NOT NULL",
  `UPDATE chats SET due_at = min(ifnull(due_at, held.at), held.at)
   FROM (SELECT chat, min(due_at) AS at FROM tasks WHERE chat IS NOT NULL GROUP BY chat) AS held WHERE held.chat = chats.chat`,
  // Hours at which ended tasks are due to be deleted; `after_task`: how far the walk has come.
  "CREATE TABLE task_prunes (at INTEGER PRIMARY KEY, after_task INTEGER NOT NULL DEFAULT 0) STRICT",
  `INSERT INTO task_prunes (at) SELECT DISTINCT (due_at + 3599999) / 3600000 * 3600000 FROM tasks
   WHERE state IN ('done', 'dead', 'cancelled') AND due_at IS NOT NULL`,
];

/** Migration 4. Only tasks with affinity have an entry. */
export const affinityIndex =
  "CREATE INDEX tasks_wished ON tasks (affinity, lane, priority DESC, task) WHERE state = 'queued' AND affinity IS NOT NULL";

/** Migration 7: submits need the number of stored keys. */
export const dedupeCount: readonly string[] = [
  "INSERT INTO meta (key, value) SELECT 'dedupe_keys', count(*) FROM task_dedupe",
  `CREATE TRIGGER task_dedupe_counted_in AFTER INSERT ON task_dedupe BEGIN
     UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'dedupe_keys';
   END`,
  `CREATE TRIGGER task_dedupe_counted_out AFTER DELETE ON task_dedupe BEGIN
     UPDATE meta SET value = CAST(value AS INTEGER) - 1 WHERE key = 'dedupe_keys';
   END`,
];
