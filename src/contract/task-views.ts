import * as z from "zod";
import { Budget, Usage } from "./budgets.ts";
import { AggregateRule } from "./plans.ts";
import { AttemptEnd, DeathReason, Progress, TaskState } from "./tasks.ts";
import { counter, Cursor, durationMs, Id, Json, Label, limit } from "./values.ts";

const taskLine = {
  task: counter,
  ref: z.string().nullable(),
  type: z.string(),
  state: TaskState,
  reason: DeathReason.nullable(),
  detail: z.string().nullable(),
  priority: z.int(),
  parent: counter.nullable(),
  tags: z.array(z.string()),
  chat: Id.nullable(),
  failures: z.int(),
  maxAttempts: z.int(),
  isCancelAsked: z.boolean(),
  progress: Progress.nullable(),
  ageMs: durationMs,
  /** Time until its next automatic change: queued, expired, timed out, checked or deleted. */
  dueInMs: durationMs.nullable(),
};
export const TaskLine = z.object(taskLine);
export type TaskLine = z.infer<typeof TaskLine>;

const Running = z.object({
  startedAgeMs: durationMs,
  /** Age of the last stored heartbeat, at most a third of the silence limit behind. */
  heardAgeMs: durationMs,
  /** Time until a timeout, and until a stall without a heartbeat. */
  remainingMs: durationMs,
  silenceLeftMs: durationMs,
});

export const GetTask = {
  input: z.strictObject({ task: counter }),
  output: z.object({
    ...taskLine,
    payload: Json,
    result: Json.nullable(),
    checkpoint: Json.nullable(),
    capabilities: z.array(z.string()),
    affinity: Id.nullable(),
    dependsOn: z.array(counter),
    stalls: z.int(),
    lostChats: z.int(),
    joinRule: AggregateRule.nullable(),
    budget: Budget.nullable(),
    used: Usage,
    running: Running.nullable().default(null),
  }),
};
export type GetTask = z.infer<typeof GetTask.input>;

export const ListTasks = {
  input: z.strictObject({
    state: TaskState.optional(),
    type: z.string().max(64).optional(),
    chat: Id.optional(),
    tag: Label.optional(),
    parent: counter.optional(),
    limit: limit(200, 50),
    cursor: Cursor.optional(),
  }),
  /** A page may be short or empty without being the last. */
  output: z.object({ tasks: z.array(TaskLine), cursor: Cursor.nullable() }),
};
export type ListTasks = z.infer<typeof ListTasks.input>;

export const TaskTree = {
  input: z.strictObject({ task: counter, limit: limit(1_000, 200) }),
  output: z.object({
    tasks: z.array(
      z.object({
        task: counter,
        parent: counter.nullable(),
        ref: z.string().nullable(),
        type: z.string(),
        state: TaskState,
        dependsOn: z.array(counter),
      }),
    ),
    isMore: z.boolean(),
  }),
};
export type TaskTree = z.infer<typeof TaskTree.input>;

export const Attempt = z.object({
  claim: counter,
  attempt: z.int(),
  /** Chat of the attempt; null: the coordinator. */
  chat: Id.nullable(),
  incarnation: z.int(),
  end: AttemptEnd,
  reason: z.string().nullable(),
  state: TaskState,
  waitedMs: durationMs,
  ranMs: durationMs.nullable(),
  endedAgeMs: durationMs,
  progress: Progress.nullable(),
  checkpoint: Json.nullable(),
  lateCalls: z.int(),
});
export type Attempt = z.infer<typeof Attempt>;

export const TaskHistory = {
  input: z.strictObject({ task: counter, limit: limit(100, 20), cursor: Cursor.optional() }),
  output: z.object({ attempts: z.array(Attempt), cursor: Cursor.nullable().default(null) }),
};
export type TaskHistory = z.infer<typeof TaskHistory.input>;

export const TaskProgress = {
  /** Covers the newest 100,000 direct children of a task; without one all kept tasks. */
  input: z.strictObject({ parent: counter.optional() }),
  output: z.object({
    totalTasks: counter,
    completedTasks: counter,
    inProgressTasks: counter,
    queuedTasks: counter,
    activeChats: counter,
    /** False: covers the newest 100,000, and of the older ones those queued or under way. */
    isAll: z.boolean().default(true),
  }),
};
export type TaskProgress = z.infer<typeof TaskProgress.input>;

const Percentiles = z.object({ p50Ms: durationMs, p95Ms: durationMs }).nullable();

export const TypeStats = z.object({
  type: z.string(),
  queued: counter,
  running: counter,
  done: counter,
  dead: counter,
  oldestQueuedMs: durationMs.nullable(),
  doneLastHour: counter,
  wait: Percentiles,
  run: Percentiles,
});
export type TypeStats = z.infer<typeof TypeStats>;

/** Covers the newest 10,000 kept tasks. */
export const TaskStats = {
  input: z.strictObject({ type: z.string().max(64).optional() }),
  output: z.object({ types: z.array(TypeStats), isAll: z.boolean() }),
};
export type TaskStats = z.infer<typeof TaskStats.input>;

/** Covers the last hour, by the newest 10,000 attempts. */
export const TaskLoad = {
  input: z.strictObject({}),
  output: z.object({
    chats: z.array(
      z.object({
        chatId: Id,
        currentTasks: counter,
        utilizationRate: z.number(),
        throughput: z.number(),
        successRate: z.number().nullable(),
        avgDurationMs: z.number().nullable(),
      }),
    ),
    isSample: z.boolean(),
  }),
};

export const ReplayTasks = {
  /** One dead task, or the matching ones, lowest numbers first. Attempts and losses restart. */
  input: z.strictObject({
    task: counter.optional(),
    filter: z
      .strictObject({
        type: z.string().max(64).optional(),
        reason: DeathReason.exclude(["discarded"]).optional(),
        tag: Label.optional(),
        limit: limit(500, 100),
      })
      .optional(),
    payload: Json.refine(
      (value) => JSON.stringify(value).length <= 65_536,
      "at most 65536 characters as JSON",
    ).optional(),
  }),
  output: z.object({ tasks: z.array(z.object({ task: counter, state: TaskState })) }),
};
export type ReplayTasks = z.infer<typeof ReplayTasks.input>;

export const DiscardTask = {
  input: z.strictObject({ task: counter, reason: z.string().min(1).max(500) }),
  output: z.object({ state: TaskState }),
};
export type DiscardTask = z.infer<typeof DiscardTask.input>;
