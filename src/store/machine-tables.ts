import { integer, real, serial, table, text, flag } from "../shared/table.ts";

export const meta = table("meta", { key: text().primary(), value: text() });

/** Shown in every answer and in the status line until acknowledged. */
export const notices = table("notices", {
  id: serial(),
  at: integer(),
  kind: text(),
  text: text(),
  acknowledgedAt: integer().nullable(),
});

/** The key is a digest: it names no session. */
export const sentNotifications = table("sent_notifications", { key: text().primary(), at: integer() });

/** Running totals of counters and histograms: they outlive the rows that they count. */
export const metricTotals = table("metric_totals", {
  name: text().primary(),
  /** JSON list of the values of the labels, in the order of their declaration. */
  labels: text().primary(),
  /** Upper bound of a histogram's bucket; "" for a counter; "+Inf" above the last bound. */
  bucket: text().primary(),
  value: real(),
  /** Sum of the observed values of a bucket. */
  sum: real(),
});

/** Times in which no content of the user's is stored. `project` null: every project. */
export const pauses = table("pauses", {
  seq: serial(),
  project: text().nullable(),
  startedAt: integer(),
  /** End, epoch ms; null: it lasts until it is ended. */
  until: integer().nullable(),
});

/** Decisions about sessions and experiments of this machine. */
export const audit = table("audit", {
  seq: serial(),
  at: integer(),
  kind: text(),
  /** An experiment, or the first characters of a session's id; "": neither. */
  subject: text(),
  actor: text(),
  result: text(),
  rows: integer().nullable(),
});

/** Events by their id: the sender of one without an answer has spooled it as well. */
export const seenEvents = table("seen_events", { id: text().primary(), at: integer() });

export const seenEventsIndex = "CREATE INDEX seen_events_by_time ON seen_events (at)";

export const machineTables = [meta, pauses, notices, sentNotifications, metricTotals, audit];

/** One row per model response, by its own id: a repeated line or copied transcript adds nothing. */
export const usageMessages = table("usage_messages", {
  key: text().primary(),
  session: text(),
  at: integer(),
  day: text(),
  project: text().nullable(),
  model: text(),
  task: integer().nullable(),
  claim: integer().nullable(),
  isSubagent: flag(),
  input: integer(),
  output: integer(),
  cacheRead: integer(),
  cacheWrite: integer(),
});

/** Cost of a session as reported by the client, split by time. */
export const usageCosts = table("usage_costs", {
  session: text().primary(),
  day: text().primary(),
  model: text().primary(),
  /** 0: none. */
  task: integer().primary(),
  claim: integer().primary(),
  project: text().nullable(),
  costMicros: integer(),
  at: integer(),
});

/** Client's last running total: only an increase is new. */
export const usageTotals = table("usage_totals", {
  session: text().primary(),
  costMicros: integer(),
  process: text(),
  at: integer(),
});

/** Read position in the transcript of each sub-agent. */
export const usageFiles = table("usage_files", {
  session: text().primary(),
  name: text().primary(),
  bytes: integer(),
});

/** Spending of the chat's current task, as sums: a hook reads one row before each tool call. */
export const taskSpending = table("task_spending", {
  session: text().primary(),
  task: integer(),
  claim: integer(),
  startedAt: integer(),
  tokens: integer(),
  costMicros: real(),
  limitWallMs: integer().nullable(),
  limitTokens: integer().nullable(),
  limitCostMicros: integer().nullable(),
  exceeded: text().nullable(),
  warnedAt: integer().nullable(),
});

export const usageTables = [usageMessages, usageCosts, usageTotals, usageFiles, taskSpending];

export const usageIndexes: readonly string[] = [
  "CREATE INDEX usage_messages_by_session ON usage_messages (session, at)",
  "CREATE INDEX usage_messages_by_time ON usage_messages (at)",
  "CREATE INDEX usage_costs_by_time ON usage_costs (at)",
];
