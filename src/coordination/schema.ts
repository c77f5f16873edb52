import type { Migration } from "../shared/migrate.ts";
import { metricTables } from "./kernel/metric-totals.ts";
import { scheduleTables } from "./schedules/schedule-schema.ts";
import { syncFilesTable, syncTables } from "./sync/sync-schema.ts";
import { attemptModelsTable, routeTables } from "./tasks/routes-schema.ts";
import { candidatesTable } from "./tasks/candidates-schema.ts";
import { dedupeCount, fewerTaskRows, planTables, taskTables, affinityIndex } from "./tasks/task-schema.ts";

/**
 * Append only. On the edge each written row and index entry is billed: few indexes, no rowid with
 * text keys. Newest rows of `audit`, `changes`, `messages` are never deleted: numbers never recur.
 */
export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: "chats_leases_state_messages",
    statements: [
      "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
      `CREATE TABLE chats (
         chat TEXT PRIMARY KEY,
         session TEXT NOT NULL,
         process TEXT NOT NULL,
         incarnation INTEGER NOT NULL,
         machine TEXT NOT NULL,
         client TEXT NOT NULL,
         role TEXT NOT NULL,
         is_interactive INTEGER NOT NULL,
         status TEXT NOT NULL,
         reason TEXT,
         status_at INTEGER NOT NULL,
         last_seen_at INTEGER NOT NULL,
         is_connected INTEGER NOT NULL,
         grace_until INTEGER,
         capabilities TEXT NOT NULL,
         capacity INTEGER NOT NULL,
         task_count INTEGER NOT NULL DEFAULT 0,
         progress TEXT,
         health TEXT NOT NULL DEFAULT '{}',
         metadata TEXT NOT NULL,
         due_at INTEGER
       ) STRICT, WITHOUT ROWID`,
      "CREATE INDEX chats_due ON chats (due_at) WHERE due_at IS NOT NULL",
      "CREATE INDEX chats_session ON chats (session)",
      "INSERT INTO meta (key, value) VALUES ('live_chats', '0')",
      "INSERT INTO meta (key, value) VALUES ('epoch', '0')",
      `CREATE TRIGGER chats_counted_in AFTER INSERT ON chats WHEN new.status <> 'offline' BEGIN
         UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'live_chats';
       END`,
      `CREATE TRIGGER chats_counted_back AFTER UPDATE OF status ON chats WHEN old.status = 'offline' AND new.status <> 'offline' BEGIN
         UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'live_chats';
       END`,
      `CREATE TRIGGER chats_counted_out AFTER UPDATE OF status ON chats WHEN old.status <> 'offline' AND new.status = 'offline' BEGIN
         UPDATE meta SET value = CAST(value AS INTEGER) - 1 WHERE key = 'live_chats';
       END`,
      `CREATE TABLE leases (
         resource TEXT PRIMARY KEY,
         holder TEXT NOT NULL,
         incarnation INTEGER NOT NULL,
         token INTEGER NOT NULL,
         ttl_ms INTEGER NOT NULL,
         is_bound INTEGER NOT NULL,
         expires_at INTEGER NOT NULL,
         lock_delay_ms INTEGER NOT NULL,
         request_id TEXT NOT NULL,
         granted_at INTEGER NOT NULL
       ) STRICT, WITHOUT ROWID`,
      "CREATE INDEX leases_holder ON leases (holder)",
      "CREATE TABLE lock_delays (resource TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID",
      `CREATE TABLE waiters (
         seq INTEGER PRIMARY KEY,
         resource TEXT NOT NULL,
         chat TEXT NOT NULL,
         incarnation INTEGER NOT NULL,
         request_id TEXT NOT NULL,
         ttl_ms INTEGER NOT NULL,
         is_bound INTEGER NOT NULL,
         lock_delay_ms INTEGER NOT NULL,
         until INTEGER NOT NULL,
         UNIQUE (resource, chat, request_id)
       ) STRICT`,
      "CREATE INDEX waiters_chat ON waiters (chat)",
      `CREATE TABLE state (
         key TEXT PRIMARY KEY,
         value TEXT NOT NULL,
         chars INTEGER NOT NULL,
         version INTEGER NOT NULL,
         at INTEGER NOT NULL,
         expires_at INTEGER
       ) STRICT, WITHOUT ROWID`,
      "CREATE INDEX state_expiry ON state (expires_at) WHERE expires_at IS NOT NULL",
      `CREATE TABLE changes (
         revision INTEGER PRIMARY KEY,
         grp INTEGER NOT NULL,
         key TEXT NOT NULL,
         op TEXT NOT NULL,
         value TEXT,
         by_chat TEXT,
         at INTEGER NOT NULL,
         total_keys INTEGER NOT NULL,
         total_chars INTEGER NOT NULL
       ) STRICT`,
      `CREATE TABLE messages (
         id INTEGER PRIMARY KEY,
         target TEXT NOT NULL,
         from_chat TEXT NOT NULL,
         body TEXT NOT NULL,
         priority INTEGER NOT NULL,
         at INTEGER NOT NULL,
         expires_at INTEGER NOT NULL
       ) STRICT`,
      "CREATE INDEX messages_target ON messages (target, id)",
      `CREATE TABLE subscriptions (
         chat TEXT NOT NULL,
         pattern TEXT NOT NULL,
         since INTEGER NOT NULL,
         PRIMARY KEY (chat, pattern)
       ) STRICT, WITHOUT ROWID`,
      "CREATE TABLE inboxes (chat TEXT PRIMARY KEY, cursor INTEGER NOT NULL, ahead TEXT NOT NULL) STRICT, WITHOUT ROWID",
      "CREATE TABLE topics (topic TEXT PRIMARY KEY, json_schema TEXT NOT NULL) STRICT, WITHOUT ROWID",
      `CREATE TABLE idempotency (
         key TEXT PRIMARY KEY,
         request TEXT NOT NULL,
         result TEXT NOT NULL,
         expires_at INTEGER NOT NULL
       ) STRICT, WITHOUT ROWID`,
      "CREATE INDEX idempotency_expiry ON idempotency (expires_at)",
      `CREATE TABLE tokens (
         id TEXT PRIMARY KEY,
         machine TEXT NOT NULL,
         scope TEXT NOT NULL,
         hash TEXT NOT NULL,
         at INTEGER NOT NULL,
         expires_at INTEGER,
         revoked_at INTEGER
       ) STRICT, WITHOUT ROWID`,
      `CREATE TABLE notices (
         id INTEGER PRIMARY KEY,
         at INTEGER NOT NULL,
         kind TEXT NOT NULL,
         text TEXT NOT NULL,
         acknowledged_at INTEGER
       ) STRICT`,
      `CREATE TABLE audit (
         seq INTEGER PRIMARY KEY,
         at INTEGER NOT NULL,
         kind TEXT NOT NULL,
         subject TEXT NOT NULL,
         actor TEXT,
         detail TEXT NOT NULL
       ) STRICT`,
    ],
  },
  {
    id: 2,
    name: "tasks",
    statements: [
      ...taskTables,
      // JSON list of dispatched task types; NULL: the chat polls.
      "ALTER TABLE chats ADD COLUMN task_types TEXT",
      "CREATE INDEX chats_takers ON chats (chat) WHERE task_types IS NOT NULL",
      "CREATE TABLE outbox (seq INTEGER PRIMARY KEY, due_at INTEGER NOT NULL, tries INTEGER NOT NULL) STRICT",
    ],
  },
  { id: 3, name: "plans_budgets_performance", statements: planTables },
  { id: 4, name: "wishes", statements: [affinityIndex] },
  { id: 5, name: "sync", statements: syncTables },
  {
    id: 6,
    name: "limits",
    statements: [
      // Running sums, so that the first and last row give the total.
      "ALTER TABLE changes ADD COLUMN written_chars INTEGER NOT NULL DEFAULT 0",
      "ALTER TABLE messages ADD COLUMN written_chars INTEGER NOT NULL DEFAULT 0",
      "ALTER TABLE idempotency ADD COLUMN machine TEXT NOT NULL DEFAULT ''",
      "ALTER TABLE idempotency ADD COLUMN nth INTEGER NOT NULL DEFAULT 0",
      "ALTER TABLE idempotency ADD COLUMN written_chars INTEGER NOT NULL DEFAULT 0",
      `UPDATE idempotency SET nth = numbered.nth
       FROM (SELECT key, row_number() OVER (ORDER BY expires_at) AS nth FROM idempotency) AS numbered WHERE numbered.key = idempotency.key`,
      // Replaces the index by expiry: a request writes as many rows as before.
      "CREATE INDEX idempotency_machine ON idempotency (machine, nth)",
      "DROP INDEX idempotency_expiry",
      "CREATE INDEX waiters_resource ON waiters (resource)",
      "CREATE INDEX subscriptions_pattern ON subscriptions (pattern)",
      // Excludes ended chats, whose kept rows would slow down dispatch.
      "DROP INDEX chats_takers",
      "CREATE INDEX chats_takers ON chats (chat) WHERE task_types IS NOT NULL AND status <> 'offline'",
    ],
  },
  {
    id: 7,
    name: "bounds",
    statements: ["CREATE INDEX messages_urgent ON messages (target, id) WHERE priority = 2", ...dedupeCount],
  },
  { id: 8, name: "files of sessions", statements: [syncFilesTable] },
  { id: 9, name: "fewer rows for a task", statements: fewerTaskRows, minReader: 9 },
  { id: 10, name: "candidates", statements: candidatesTable },
  { id: 11, name: "totals of metrics", statements: metricTables },
  { id: 12, name: "schedules", statements: scheduleTables },
  { id: 13, name: "routes of attempts", statements: routeTables },
  { id: 14, name: "models of attempts", statements: attemptModelsTable },
];
