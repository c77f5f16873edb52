import * as z from "zod";
import { Ran } from "./model-routes.ts";
import { Budget, Usage } from "./budgets.ts";
import { declare } from "./operation.ts";
import { AggregateRule, AttemptEnd, DeathReason, Progress, TaskState } from "./tasks.ts";
import { Json, limitedJson, counter, NumberCursor, durationMs, Id, Label, limit } from "./values.ts";

const taskLine = {
  task: counter,
  ref: z.string().nullable(),
  type: z.string(),
  /** Beginning of its payload, on one line; null: it has none. */
  about: z.string().nullable().default(null),
  state: TaskState,
  reason: DeathReason.nullable(),
  detail: z.string().nullable(),
  priority: z.int(),
  parent: counter.nullable(),
  tags: z.array(z.string()),
  capabilities: z.array(z.string()),
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
  /** Absent: its worker named no model. */
  model: z.object({ ...Ran.shape, tokens: counter, costMicros: counter }).optional(),
});
export type Attempt = z.infer<typeof Attempt>;

const taskFields = {
  ...taskLine,
  payload: Json,
  result: Json.nullable(),
  checkpoint: Json.nullable(),
  affinity: Id.nullable(),
  dependsOn: z.array(counter),
  stalls: z.int(),
  lostChats: z.int(),
  joinRule: AggregateRule.nullable(),
  budget: Budget.nullable(),
  used: Usage,
  running: Running.nullable().default(null),
};

/** A task that another one depends on; known is null where it has ended and is no longer kept. */
const NeededTask = z.object({
  task: counter,
  known: TaskLine.pick({ type: true, state: true, reason: true, chat: true, progress: true }).nullable(),
});
export type NeededTask = z.infer<typeof NeededTask>;

/** Why a chat cannot take a task; the first four do not pass by waiting. */
const Obstacle = z.enum(["draining", "takes_none", "lacks_capability", "other_types", "full", "stuck", "budget_spent"]);
export type Obstacle = z.infer<typeof Obstacle>;

const Claimant = z.object({
  chat: Id,
  obstacle: Obstacle.nullable(),
  lacks: z.array(z.string()),
});
export type Claimant = z.infer<typeof Claimant>;

const taskFacts = {
  ...taskFields,
  /** The newest 100 that have ended, newest first. */
  attempts: z.array(Attempt),
  needs: z.array(NeededTask),
  /** The first 100 tasks directly below it, with the branch of their work. */
  parts: z.array(
    z.object({
      task: counter,
      ref: z.string().nullable(),
      type: z.string(),
      state: TaskState,
      branch: z.string().nullable(),
    }),
  ),
  /** First 500 chats that live; empty for a task that is not queued. */
  claimants: z.array(Claimant),
};
const TaskFacts = z.object(taskFacts);
export type TaskFacts = z.infer<typeof TaskFacts>;

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

export const taskViewOperations = {
  "tasks.get": declare("observe", "GET /tasks/get", {
    input: z.strictObject({ task: counter }),
    output: z.object(taskFields),
    errors: ["unknown_task"],
    summary: "Returns one task, with its payload and result.",
    surfaces: ["page", "remote"],
  }),
  "tasks.explain": declare("observe", "GET /tasks/explain", {
    input: z.strictObject({ task: counter }),
    /** why: in words, why it is in its state. */
    output: z.object({ ...taskFacts, why: z.array(z.string()) }),
    errors: ["unknown_task"],
    summary: "Shows a task: why it is in its state, its fields, its parts and its attempts.",
    surfaces: ["remote"],
  }),
  "tasks.list": declare("observe", "GET /tasks", {
    input: z.strictObject({
      state: TaskState.optional(),
      type: z.string().max(64).optional(),
      chat: Id.optional(),
      tag: Label.optional(),
      parent: counter.optional(),
      limit: limit(200, 50),
      cursor: NumberCursor.optional(),
    }),
    /** A page may be short or empty without being the last. */
    output: z.object({ tasks: z.array(TaskLine), cursor: NumberCursor.nullable() }),
    summary: "Lists tasks by number, page by page.",
    surfaces: ["page", "remote"],
  }),
  "tasks.tree": declare("observe", "GET /tasks/tree", {
    input: z.strictObject({ task: counter.optional(), limit: limit(1_000, 200) }),
    output: z.object({
      /** The task; without one the open tasks that are below no other task of the answer. */
      roots: z.array(counter),
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
    errors: ["unknown_task"],
    summary: "Returns a task, or every open one, with all that it depends on and is made of.",
    surfaces: ["page", "remote"],
    example: { task: 1 },
  }),
  "tasks.history": declare("observe", "GET /tasks/history", {
    input: z.strictObject({ task: counter, limit: limit(100, 20), cursor: NumberCursor.optional() }),
    output: z.object({ attempts: z.array(Attempt), cursor: NumberCursor.nullable().default(null) }),
    errors: ["unknown_task"],
    summary: "Lists the ended attempts of a task.",
    surfaces: ["page", "remote"],
  }),
  "tasks.progress": declare("observe", "GET /tasks/progress", {
    /** Covers the newest 100,000 direct children of a task; without one all kept tasks. */
    input: z.strictObject({ parent: counter.optional() }),
    output: z.object({
      totalTasks: counter,
      completedTasks: counter,
      inProgressTasks: counter,
      queuedTasks: counter,
      activeChats: counter,
      /** False: covers the newest 100,000. */
      isAll: z.boolean().default(true),
    }),
    summary: "Returns the progress of all tasks, or of those directly below one.",
    surfaces: ["page", "remote"],
  }),
  /** Covers the newest 10,000 kept tasks. */
  "tasks.stats": declare("observe", "GET /tasks/stats", {
    input: z.strictObject({ type: z.string().max(64).optional() }),
    output: z.object({ types: z.array(TypeStats), isAll: z.boolean() }),
    summary: "Returns counts, ages, throughput, and waiting and running times by type.",
    surfaces: ["page", "remote"],
  }),
  /** Throughput covers the newest 10,000 tasks. */
  "tasks.load": declare("observe", "GET /tasks/load", {
    output: z.object({
      chats: z.array(
        z.object({
          chatId: Id,
          currentTasks: counter,
          utilizationRate: z.number(),
          throughput: counter,
        }),
      ),
    }),
    summary: "Returns the load of each live chat, and the tasks that it has done in the last hour.",
  }),
  "tasks.replay": declare("submit", "POST /tasks/replay", {
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
      payload: limitedJson(65_536).optional(),
      requestId: Id.optional(),
    }),
    output: z.object({ tasks: z.array(z.object({ task: counter, state: TaskState })) }),
    errors: ["unknown_task", "quota_exceeded", "key_reused"],
    summary: "Starts dead tasks again.",
    isPostponable: true,
    surfaces: ["page", "remote"],
    example: { task: 1 },
  }),
  "tasks.discard": declare("submit", "POST /tasks/discard", {
    input: z.strictObject({ task: counter, reason: z.string().min(1).max(500), requestId: Id.optional() }),
    output: z.object({ state: TaskState }),
    errors: ["unknown_task", "key_reused"],
    summary: "Discards a dead task for good.",
    effect: "free",
    isDestructive: true,
    surfaces: ["page", "remote"],
  }),
} as const;
