import type { ChatStatus } from "../../contract/chats.ts";
import type { Change } from "../../contract/state.ts";
import { integer, real, serial, table, text } from "../../shared/table.ts";

/** Flags are 0 or 1: statements and cached rows compare them as they are stored. */

export const meta = table("meta", { key: text().primary(), value: text() });

export const chats = table("chats", {
  chat: text().primary(),
  session: text(),
  process: text(),
  incarnation: integer(),
  machine: text(),
  client: text(),
  role: text<"supervisor" | "worker">(),
  isInteractive: integer(),
  status: text<ChatStatus>(),
  reason: text().nullable(),
  statusAt: integer(),
  lastSeenAt: integer(),
  isConnected: integer(),
  graceUntil: integer().nullable(),
  capabilities: text(),
  capacity: integer(),
  taskCount: integer().default(0),
  progress: text().nullable(),
  health: text().default("{}"),
  metadata: text(),
  dueAt: integer().nullable(),
  /** JSON list of dispatched task types; null: the chat polls. */
  taskTypes: text().nullable(),
  lastAssignedAt: integer().nullable(),
});

/** Each row is a revision with the running totals that limits are checked against. */
export const changes = table("changes", {
  revision: serial(),
  grp: integer(),
  key: text(),
  op: text<Change["op"]>(),
  value: text().nullable(),
  byChat: text().nullable(),
  at: integer(),
  totalKeys: integer(),
  totalChars: integer(),
  /** Running sum, so that the first and last row give the total. */
  writtenChars: integer().default(0),
});

export const idempotency = table("idempotency", {
  key: text().primary(),
  request: text(),
  result: text(),
  expiresAt: integer(),
  machine: text(),
  nth: integer(),
  writtenChars: integer(),
});

/** Written by the repair of a damaged file on a machine. */
const notices = table("notices", {
  id: serial(),
  at: integer(),
  kind: text(),
  text: text(),
  acknowledgedAt: integer().nullable(),
});

export const audit = table("audit", {
  seq: serial(),
  at: integer(),
  kind: text(),
  subject: text(),
  actor: text().nullable(),
  detail: text(),
});

/**
 * Counters that outlive the rows they count. Each increase writes a row, which is billed, so they
 * count what is rare; the usual path is derived from numbers and rows.
 */
export const metricTotals = table("metric_totals", { name: text().primary(), label: text().primary(), value: real() });

/** How many ended chats of a machine are kept. Triggers count them. */
export const endedChats = table("ended_chats", { machine: text().primary(), chats: integer() });

export const kernelTables = [meta, chats, changes, idempotency, notices, audit, metricTotals];

const countChats = (event: string, condition: string, step: string): string =>
  `${event} ON chats WHEN ${condition} BEGIN
     UPDATE meta SET value = CAST(value AS INTEGER) ${step} WHERE key = 'live_chats';
   END`;

export const kernelIndexes: readonly string[] = [
  "CREATE INDEX chats_due ON chats (dueAt) WHERE dueAt IS NOT NULL",
  "CREATE INDEX chats_session ON chats (session)",
  // Excludes ended chats, whose kept rows would slow down dispatch.
  "CREATE INDEX chats_takers ON chats (chat) WHERE taskTypes IS NOT NULL AND status <> 'offline'",
  "INSERT INTO meta (key, value) VALUES ('live_chats', '0'), ('epoch', '0')",
  countChats("CREATE TRIGGER chats_counted_in AFTER INSERT", "new.status <> 'offline'", "+ 1"),
  countChats(
    "CREATE TRIGGER chats_counted_back AFTER UPDATE OF status",
    "old.status = 'offline' AND new.status <> 'offline'",
    "+ 1",
  ),
  countChats(
    "CREATE TRIGGER chats_counted_out AFTER UPDATE OF status",
    "old.status <> 'offline' AND new.status = 'offline'",
    "- 1",
  ),
  // Serves expiry too: a request writes as few rows as one index allows.
  "CREATE INDEX idempotency_machine ON idempotency (machine, nth)",
];

const countEnded = (event: string, when: string, machine: string, step: number): string =>
  `CREATE TRIGGER chats_ended_${event.toLowerCase().split(" ", 1)[0]}_${step > 0 ? "in" : "out"} AFTER ${event} ON chats WHEN ${when} BEGIN
     INSERT INTO ended_chats (machine, chats) VALUES (${machine}, ${step})
       ON CONFLICT (machine) DO UPDATE SET chats = chats + excluded.chats;
   END`;

/** A registration reads no ended chat, of which there may be thousands. */
export const endedChatsSteps: readonly string[] = [
  endedChats.ddl,
  "INSERT INTO ended_chats SELECT machine, count(*) FROM chats WHERE status = 'offline' GROUP BY machine",
  countEnded("INSERT", "new.status = 'offline'", "new.machine", 1),
  countEnded("UPDATE OF status", "new.status = 'offline' AND old.status <> 'offline'", "new.machine", 1),
  countEnded("UPDATE OF status", "old.status = 'offline' AND new.status <> 'offline'", "old.machine", -1),
  countEnded("DELETE", "old.status = 'offline'", "old.machine", -1),
  "CREATE INDEX chats_live ON chats (machine) WHERE status <> 'offline'",
];
