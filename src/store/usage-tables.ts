import { flag, integer, real, table, text } from "../shared/table.ts";

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
