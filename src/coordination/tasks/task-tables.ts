import type { Band, Ran, Route } from "../../contract/model-routes.ts";
import type { AggregateRule, AttemptEnd, DeathReason, TaskState } from "../../contract/tasks.ts";
import { integer, real, serial, table, text } from "../../shared/table.ts";

/** A small payload and the result are last in the task's row: one row is written for all. */
export const tasks = table("tasks", {
  task: serial(),
  type: text(),
  /** Partition key: the type and all capabilities, sorted. */
  lane: text(),
  priority: integer(),
  state: text<TaskState>(),
  reason: text<DeathReason>().nullable(),
  detail: text().nullable(),
  parent: integer().nullable(),
  depth: integer(),
  affinity: text().nullable(),
  tags: text(),
  onDeath: text<"fail" | "ignore">(),
  maxAttempts: integer(),
  baseMs: integer(),
  capMs: integer(),
  hasJitter: integer(),
  queueMs: integer().nullable(),
  closeMs: integer(),
  heartbeatMs: integer(),
  failures: integer().default(0),
  stalls: integer().default(0),
  lostChats: integer().default(0),
  /** Number of the present or last claim; 0: none. */
  claim: integer().default(0),
  chat: text().nullable(),
  incarnation: integer().nullable(),
  requestId: text().nullable(),
  at: integer(),
  notBefore: integer(),
  queuedAt: integer().nullable(),
  assignedAt: integer().nullable(),
  startedAt: integer().nullable(),
  seenAt: integer().nullable(),
  closeAt: integer().nullable(),
  endedAt: integer().nullable(),
  cancelReason: text().nullable(),
  progress: text().nullable(),
  checkpoint: text().nullable(),
  dueAt: integer().nullable(),
  ref: text().nullable(),
  joinRule: text<AggregateRule>().nullable(),
  budget: text().nullable(),
  /** JSON: what model does the attempt of a claim, and why. */
  route: text().nullable(),
  /** The successful attempt is in the row too. */
  doneBy: text().nullable(),
  doneIncarnation: integer().nullable(),
  lateCalls: integer().default(0),
  dependsOn: text().default("[]"),
  /** Where it is null, it is in task_texts. */
  payload: text().nullable(),
  result: text().nullable(),
});

/** Long payloads: each change of a row writes all of it. */
export const taskTexts = table("task_texts", { task: serial(), payload: text() });

/** Ended attempts, with the result, so that an ack writes one row for both. */
export const attempts = table("attempts", {
  task: integer().primary(),
  claim: integer().primary(),
  attempt: integer(),
  chat: text(),
  incarnation: integer(),
  queuedAt: integer(),
  assignedAt: integer(),
  startedAt: integer().nullable(),
  endedAt: integer(),
  ended: text<AttemptEnd>(),
  reason: text().nullable(),
  became: text<TaskState>(),
  lateCalls: integer().default(0),
  progress: text().nullable(),
  checkpoint: text().nullable(),
  result: text().nullable(),
});

export const taskDependents = table("task_dependents", { needs: integer().primary(), task: integer().primary() });

export const taskDedupe = table("task_dedupe", { key: text().primary(), task: integer(), until: integer() });

/** Hours at which ended tasks are due to be deleted. */
export const taskPrunes = table("task_prunes", {
  at: serial(),
  /** How far the walk has come. */
  afterTask: integer().default(0),
});

export const chatPerformance = table("chat_performance", {
  chat: text().primary(),
  type: text().primary(),
  successRate: real(),
  durationMs: real().nullable(),
});

/** `claim` reported the own figures last; earlier ones are those of all claims before. */
export const taskUsage = table("task_usage", { task: serial(), claim: integer(), earlier: text(), own: text() });

/** Key: the name of a chat, or the number of a day since 1970 (UTC). */
export const usage = table("usage", {
  kind: text().primary(),
  key: text().primary(),
  wallMs: integer(),
  tokens: integer(),
  costMicros: integer(),
});

export const outbox = table("outbox", { seq: serial(), dueAt: integer(), tries: integer() });

/**
 * One row for each ended attempt whose worker reported which model did it; other attempts cost no
 * row. The present attempt's route is in the row of its task.
 */
export const routes = table("routes", {
  type: text().primary(),
  task: integer().primary(),
  claim: integer().primary(),
  tier: text(),
  model: text(),
  effort: text().nullable(),
  band: text<Band>(),
  reason: text<Route["reason"]>(),
  isCounted: integer(),
  ended: text<AttemptEnd>(),
  became: text<TaskState>(),
  at: integer(),
  tokens: integer(),
  costMicros: integer(),
});

/** One row for each ended attempt whose client has named its model, routed or not. */
export const attemptModels = table("attempt_models", {
  type: text().primary(),
  task: integer().primary(),
  claim: integer().primary(),
  model: text(),
  effort: text<NonNullable<Ran["effort"]>>().nullable(),
  source: text<Ran["source"]>(),
  ended: text<AttemptEnd>(),
  at: integer(),
  tokens: integer(),
  costMicros: integer(),
});

export const taskTables = [
  tasks,
  taskTexts,
  attempts,
  taskDependents,
  taskDedupe,
  taskPrunes,
  chatPerformance,
  taskUsage,
  usage,
  outbox,
  routes,
  attemptModels,
];

const countKeys = (event: string, step: string): string =>
  `${event} ON task_dedupe BEGIN
     UPDATE meta SET value = CAST(value AS INTEGER) ${step} WHERE key = 'dedupe_keys';
   END`;

/** Indexes are partial: deleting an entry costs no row on the edge. */
export const taskIndexes: readonly string[] = [
  "CREATE INDEX tasks_queued ON tasks (lane, priority DESC, task) WHERE state = 'queued'",
  // Only tasks with affinity have an entry.
  "CREATE INDEX tasks_wished ON tasks (affinity, lane, priority DESC, task) WHERE state = 'queued' AND affinity IS NOT NULL",
  "CREATE INDEX tasks_chat ON tasks (chat) WHERE chat IS NOT NULL",
  // A held task is due with its chat: chats.dueAt is never later.
  "CREATE INDEX tasks_due ON tasks (dueAt) WHERE state IN ('scheduled', 'queued') AND dueAt IS NOT NULL",
  "CREATE INDEX tasks_parent ON tasks (parent) WHERE parent IS NOT NULL",
  "CREATE INDEX tasks_dead ON tasks (task) WHERE state = 'dead'",
  `CREATE VIEW all_attempts AS
     SELECT task, claim, attempt, chat, incarnation, queuedAt, assignedAt, startedAt, endedAt, ended, reason, became,
       lateCalls, progress, checkpoint, result FROM attempts
     UNION ALL
     SELECT task, claim, failures + 1, doneBy, doneIncarnation, queuedAt, assignedAt, startedAt, endedAt, 'done', NULL, 'done',
       lateCalls, progress, checkpoint, result FROM tasks WHERE doneBy IS NOT NULL`,
  "CREATE INDEX task_dedupe_until ON task_dedupe (until)",
  // Submits need the number of stored keys.
  "INSERT INTO meta (key, value) VALUES ('dedupe_keys', '0')",
  countKeys("CREATE TRIGGER task_dedupe_counted_in AFTER INSERT", "+ 1"),
  countKeys("CREATE TRIGGER task_dedupe_counted_out AFTER DELETE", "- 1"),
];
