import * as z from "zod";
import { Budget, RemainingBudget, Usage } from "./budgets.ts";
import { AggregateRule } from "./plans.ts";
import { counter, durationMs, Id, Json, Label, limit, Self } from "./values.ts";

const maxPayloadChars = 65_536;
const maxSubmitChars = 8_000_000;
const maxResultChars = 262_144;
const dayMs = 86_400_000;

function limitedJson(maxChars: number) {
  return Json.refine((value) => JSON.stringify(value).length <= maxChars, `at most ${maxChars} characters as JSON`);
}

/** Durations only: when something is over is the coordinator's to say. */
export const TaskType = z.string().regex(/^[\w.:-]{1,64}$/, "1 to 64 letters, digits and . : _ -");
const TaskNumber = counter;
/** The one assignment: grows with each of a task, and fences what comes of an older one. */
const Claim = counter;
const Reason = z.string().min(1).max(500);
const Tags = z.array(Label).max(16);

/** scheduled: not before a time; assigned: somebody's, but not begun. done, dead and cancelled are ends. */
export const TaskState = z.enum(["blocked", "scheduled", "queued", "assigned", "running", "done", "dead", "cancelled"]);
export type TaskState = z.infer<typeof TaskState>;

/** Why a task is dead. poison: it has cost too many chats, or stalled too often; expired: nobody took it in time. */
export const DeathReason = z.enum(["failed", "poison", "expired", "dependency", "budget_exceeded", "discarded"]);
export type DeathReason = z.infer<typeof DeathReason>;

/** How an attempt ended. Only failed and timeout count against maxAttempts. */
export const AttemptEnd = z.enum([
  "done",
  "failed",
  "timeout",
  "stalled",
  "chat_offline",
  "chat_left",
  "not_started",
  "released",
  "cancelled",
  "moved",
  "budget_exceeded",
]);
export type AttemptEnd = z.infer<typeof AttemptEnd>;

/** After the nth failure baseMs doubled n - 1 times, at most capMs; with jitter half to all of it. */
const Backoff = z.strictObject({
  baseMs: z.int().min(0).max(dayMs).default(2_000),
  capMs: z.int().min(0).max(dayMs).default(300_000),
  hasJitter: z.boolean().default(true),
});

/** Another task: by number, or by a `ref` of the same submit. */
const TaskReference = z.union([TaskNumber, Id]);

export const NewTask = z.strictObject({
  type: TaskType,
  payload: limitedJson(maxPayloadChars).default(null),
  /** 9 goes first; within one priority the lower number. */
  priority: z.int().min(0).max(9).default(5),
  /** Only a chat that has all of them takes it. */
  capabilities: z.array(Label).max(16).default([]),
  /** The chat that gets it rather than others among equals. */
  affinity: Id.optional(),
  delayMs: z
    .int()
    .min(0)
    .max(30 * dayMs)
    .default(0),
  /** Queued for so long it is dead: expired. */
  scheduleToStartMs: z
    .int()
    .min(1_000)
    .max(30 * dayMs)
    .optional(),
  /** Of each attempt; `tasks.extend` prolongs it. */
  startToCloseMs: z
    .int()
    .min(1_000)
    .max(7 * dayMs)
    .default(3_600_000),
  /** An attempt that is silent for so long has stalled. */
  heartbeatMs: z.int().min(1_000).max(dayMs).default(60_000),
  maxAttempts: z.int().min(1).max(20).default(3),
  backoff: Backoff.prefault({}),
  dedupeKey: Id.optional(),
  /** When the key is known: the whole submit is refused, or the known task stands for this one. */
  onDuplicate: z.enum(["reject", "existing"]).default("existing"),
  /** Its name within this submit. */
  ref: Id.optional(),
  dependsOn: z.array(TaskReference).max(100).default([]),
  onDependencyDeath: z.enum(["fail", "ignore"]).default("fail"),
  parent: TaskReference.optional(),
  tags: Tags.default([]),
  /** Over all attempts, in place of the workspace's for a task. */
  budget: Budget.optional(),
  /** No chat does it: when all that it depends on has ended, the coordinator joins their results. */
  joinRule: AggregateRule.optional(),
});
export type NewTask = z.infer<typeof NewTask>;

export const SubmitTasks = {
  input: z.strictObject({
    tasks: z
      .array(NewTask)
      .min(1)
      .max(1_000)
      .refine(
        (tasks) => tasks.reduce((sum, { payload }) => sum + JSON.stringify(payload).length, 0) <= maxSubmitChars,
        `at most ${maxSubmitChars} characters of payload together`,
      ),
    by: Id.optional(),
    /** The same request again submits nothing more. */
    requestId: Id.optional(),
  }),
  output: z.object({
    tasks: z.array(
      z.object({
        task: TaskNumber,
        /** null: a duplicate of one that is no longer kept. */
        state: TaskState.nullable(),
        isDuplicate: z.boolean(),
      }),
    ),
  }),
};
export type SubmitTasks = z.infer<typeof SubmitTasks.input>;

export const Progress = z.strictObject({
  percent: z.number().min(0).max(100).optional(),
  note: z.string().max(500).optional(),
  data: limitedJson(8_192).optional(),
});
export type Progress = z.infer<typeof Progress>;

export const ClaimedTask = z.object({
  task: TaskNumber,
  claim: Claim,
  /** Counts what has failed: an attempt that a chat's end or a stall has cut goes on under the same number. */
  attempt: z.int(),
  maxAttempts: z.int(),
  type: z.string(),
  priority: z.int(),
  payload: Json,
  isStarted: z.boolean(),
  /** What the attempt before has told last: where to go on. */
  progress: Progress.nullable(),
  checkpoint: Json.nullable(),
  /** What it depended on. */
  inputs: z.array(
    z.object({
      task: TaskNumber,
      ref: Id.nullable(),
      state: TaskState,
      result: Json.nullable(),
      /** Too large to come along: `tasks.get` tells it. */
      isLeftOut: z.boolean(),
    }),
  ),
  /** Not started by then, it is given back. */
  startInMs: durationMs.nullable(),
  /** Of this attempt; from its start on. */
  remainingMs: durationMs,
  heartbeatMs: durationMs,
  /** What this attempt may use at most: the least that is left to the task, the chat and the day. */
  budget: RemainingBudget,
});
export type ClaimedTask = z.infer<typeof ClaimedTask>;

const claimFields = {
  limit: limit(50, 1),
  types: z.array(TaskType).min(1).max(50).optional(),
  /** false: it is only assigned, and `tasks.start` begins it. */
  isStarted: z.boolean().default(true),
};
export const ClaimOptions = z.strictObject(claimFields);
export type ClaimOptions = z.infer<typeof ClaimOptions>;

export const ClaimTasks = {
  input: z.strictObject({
    self: Self,
    /** The same request again is answered with the same claims, as far as they are still held. */
    requestId: Id,
    ...claimFields,
  }),
  output: z.object({ claims: z.array(ClaimedTask) }),
};
export type ClaimTasks = z.infer<typeof ClaimTasks.input>;

const claimedTaskFields = { self: Self, task: TaskNumber, claim: Claim };
/** Of this attempt, from its start on: never less than was told before. */
const used = Usage.optional();

export const HoldTask = { input: z.strictObject(claimedTaskFields), output: z.object({ remainingMs: durationMs }) };
export type HoldTask = z.infer<typeof HoldTask.input>;

export const HeartbeatTask = {
  input: z.strictObject({
    ...claimedTaskFields,
    progress: Progress.optional(),
    checkpoint: limitedJson(maxPayloadChars).optional(),
    usage: used,
  }),
  output: z.object({
    /** Somebody has cancelled it: stop, and acknowledge or give it back. */
    isCancelled: z.boolean(),
    /** A limit is reached: the task is dead, the claim is over. Stop at once. */
    isOverBudget: z.boolean(),
    /** Why to stop. */
    reason: z.string().nullable(),
    remainingMs: durationMs,
  }),
};
export type HeartbeatTask = z.infer<typeof HeartbeatTask.input>;

const EndedOutput = z.object({ state: TaskState, next: z.array(ClaimedTask) });

export const AckTask = {
  input: z.strictObject({
    ...claimedTaskFields,
    result: limitedJson(maxResultChars).default(null),
    usage: used,
    next: ClaimOptions.optional(),
  }),
  output: EndedOutput,
};
export type AckTask = z.infer<typeof AckTask.input>;

export const NackTask = {
  input: z.strictObject({
    ...claimedTaskFields,
    isRetryable: z.boolean().default(true),
    reason: Reason,
    /** In place of the backoff. */
    delayMs: z
      .int()
      .min(0)
      .max(30 * dayMs)
      .optional(),
    usage: used,
    next: ClaimOptions.optional(),
  }),
  output: EndedOutput,
};
export type NackTask = z.infer<typeof NackTask.input>;

export const ExtendTask = {
  /** At least so long from now on. */
  input: z.strictObject({
    ...claimedTaskFields,
    ms: z
      .int()
      .min(1_000)
      .max(7 * dayMs),
  }),
  output: z.object({ remainingMs: durationMs }),
};
export type ExtendTask = z.infer<typeof ExtendTask.input>;

export const ReleaseTask = {
  input: z.strictObject({ ...claimedTaskFields, usage: used }),
  output: z.object({ state: TaskState }),
};
export type ReleaseTask = z.infer<typeof ReleaseTask.input>;

export const CancelTask = {
  input: z.strictObject({ task: TaskNumber, reason: Reason }),
  /** running: its chat is told. */
  output: z.object({ state: TaskState }),
};
export type CancelTask = z.infer<typeof CancelTask.input>;
