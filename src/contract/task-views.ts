import * as z from "zod";
import { Budget, Usage } from "./budgets.ts";
import { AggregateRule } from "./plans.ts";
import { AttemptEnd, DeathReason, Progress, TaskState } from "./tasks.ts";
import { counter, Cursor, durationMs, Id, Json, Label, limit } from "./values.ts";

/** What is told of tasks, and what is done with the dead ones. */

const taskLine = {
  task: counter,
  /** Its name within its submit. */
  ref: z.string().nullable(),
  type: z.string(),
  state: TaskState,
  /** Why it is dead. */
  reason: DeathReason.nullable(),
  /** The last error, or why it was cancelled or discarded. */
  detail: z.string().nullable(),
  priority: z.int(),
  parent: counter.nullable(),
  tags: z.array(z.string()),
  /** Who has it. */
  chat: Id.nullable(),
  failures: z.int(),
  maxAttempts: z.int(),
  isCancelAsked: z.boolean(),
  progress: Progress.nullable(),
  ageMs: durationMs,
  /** Until something happens by itself: it is queued, expires, times out, is looked at, or is no longer kept. */
  dueInMs: durationMs.nullable(),
};
export const TaskLine = z.object(taskLine);
export type TaskLine = z.infer<typeof TaskLine>;

const Running = z.object({
  startedAgeMs: durationMs,
  /** Since the last heartbeat that was kept: one without news is, after a third of the time that a silence may last. */
  heardAgeMs: durationMs,
  /** Until a timeout, and, if nothing is heard, until a stall. */
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
    /** The coordinator does it by this rule. */
    joinRule: AggregateRule.nullable(),
    budget: Budget.nullable(),
    /** Of all attempts since it was submitted or replayed, as far as it was told. */
    used: Usage,
    /** Of the attempt that runs. */
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
  /** A page may be short, or empty, and still not the last one. */
  output: z.object({ tasks: z.array(TaskLine), cursor: Cursor.nullable() }),
};
export type ListTasks = z.infer<typeof ListTasks.input>;

export const TaskTree = {
  input: z.strictObject({ task: counter, limit: limit(1_000, 200) }),
  /** The task and those below it, each behind its parent. */
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
  /** null: the coordinator. */
  chat: Id.nullable(),
  incarnation: z.int(),
  end: AttemptEnd,
  reason: z.string().nullable(),
  /** What the task became. */
  state: TaskState,
  waitedMs: durationMs,
  ranMs: durationMs.nullable(),
  endedAgeMs: durationMs,
  progress: Progress.nullable(),
  checkpoint: Json.nullable(),
  /** Calls that came after its end, and were refused. */
  lateCalls: z.int(),
});
export type Attempt = z.infer<typeof Attempt>;

/** The attempts that have ended, the newest first; a page may be short and still not the last one. */
export const TaskHistory = {
  input: z.strictObject({ task: counter, limit: limit(100, 20), cursor: Cursor.optional() }),
  output: z.object({ attempts: z.array(Attempt), cursor: Cursor.nullable().default(null) }),
};
export type TaskHistory = z.infer<typeof TaskHistory.input>;

export const TaskProgress = {
  /** Of those right below a task, then the newest 100,000 only; without one of all that are kept. */
  input: z.strictObject({ parent: counter.optional() }),
  output: z.object({
    totalTasks: counter,
    completedTasks: counter,
    inProgressTasks: counter,
    queuedTasks: counter,
    activeChats: counter,
    /** false: of the newest 100,000, and of the older ones those that are queued or under way. */
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

/** Of the newest 10,000 that are kept. */
export const TaskStats = {
  input: z.strictObject({ type: z.string().max(64).optional() }),
  output: z.object({ types: z.array(TypeStats), isAll: z.boolean() }),
};
export type TaskStats = z.infer<typeof TaskStats.input>;

/** Of the last hour, by the newest 10,000 attempts. */
export const TaskLoad = {
  input: z.strictObject({}),
  output: z.object({
    chats: z.array(
      z.object({
        chatId: Id,
        currentTasks: counter,
        /** currentTasks / capacity, at most 1. */
        utilizationRate: z.number(),
        /** Tasks done in an hour. */
        throughput: z.number(),
        /** Of the attempts that ended; null: none has. */
        successRate: z.number().nullable(),
        avgDurationMs: z.number().nullable(),
      }),
    ),
    /** Of fewer than all attempts of the hour. */
    isSample: z.boolean(),
  }),
};

export const ReplayTasks = {
  /** One dead task, or those that fit, the lowest numbers first. With the attempts and losses counted anew. */
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
    /** In place of the old one; for one task only. */
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
