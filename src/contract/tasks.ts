import * as z from "zod";
import { Budget, RemainingBudget, Usage } from "./budgets.ts";
import { Json, jsonText, limitedJson, counter, durationMs, Id, Label, limit, Self } from "./values.ts";
import { Ran, Route } from "./model-routes.ts";
import { chatErrors, declare } from "./operation.ts";
import { attemptEnds, deathReasons } from "./task-words.ts";

const maxPayloadChars = 65_536;
const maxSubmitChars = 8_000_000;
const maxResultChars = 262_144;
const dayMs = 86_400_000;

/** Durations only: expiry is decided by the coordinator's clock. */
export const TaskType = z.string().regex(/^[\w.:-]{1,64}$/, "1 to 64 letters, digits and . : _ -");
const TaskNumber = counter;
/** Claim number: grows with each assignment of a task, and fences results of older ones. */
const Claim = counter;
const Reason = z.string().min(1).max(500);
const Tags = z.array(Label).max(16);

/** scheduled: delayed; assigned: claimed, not started. done, dead and cancelled are final. */
export const TaskState = z.enum(["blocked", "scheduled", "queued", "assigned", "running", "done", "dead", "cancelled"]);
export type TaskState = z.infer<typeof TaskState>;

export const DeathReason = z.enum(deathReasons);
export type DeathReason = z.infer<typeof DeathReason>;

export const AttemptEnd = z.enum(["done", ...attemptEnds]);
export type AttemptEnd = z.infer<typeof AttemptEnd>;

/** Delay after failure n: baseMs doubled n - 1 times, at most capMs; jitter: half to all of it. */
const Backoff = z.strictObject({
  baseMs: z.int().min(0).max(dayMs).default(2_000),
  capMs: z.int().min(0).max(dayMs).default(300_000),
  hasJitter: z.boolean().default(true),
});

/** collect: the results as they are. */
export const AggregateRule = z.enum(["collect"]);
export type AggregateRule = z.infer<typeof AggregateRule>;

const TaskReference = z.union([TaskNumber, Id]);

export const NewTask = z.strictObject({
  type: TaskType,
  payload: limitedJson(maxPayloadChars).default(null),
  /** 9 goes first; within one priority the lower task number. */
  priority: z.int().min(0).max(9).default(5),
  capabilities: z.array(Label).max(16).default([]),
  /** Preferred chat among equals. */
  affinity: Id.optional(),
  delayMs: z
    .int()
    .min(0)
    .max(30 * dayMs)
    .default(0),
  /** Maximum time in the queue; then the task is dead (expired). */
  scheduleToStartMs: z
    .int()
    .min(1_000)
    .max(30 * dayMs)
    .optional(),
  startToCloseMs: z
    .int()
    .min(1_000)
    .max(7 * dayMs)
    .default(3_600_000),
  /** Silence after which an attempt has stalled. */
  heartbeatMs: z.int().min(1_000).max(dayMs).default(60_000),
  maxAttempts: z.int().min(1).max(20).default(3),
  backoff: Backoff.prefault({}),
  /** Where a task has it already, that one is the answer. */
  dedupeKey: Id.optional(),
  ref: Id.optional(),
  dependsOn: z.array(TaskReference).max(100).default([]),
  onDependencyDeath: z.enum(["fail", "ignore"]).default("fail"),
  parent: TaskReference.optional(),
  tags: Tags.default([]),
  /** Limit over all attempts, instead of the workspace's for a task. */
  budget: Budget.optional(),
  /** No chat does it: the coordinator joins the results when all dependencies have ended. */
  joinRule: AggregateRule.optional(),
});
export type NewTask = z.infer<typeof NewTask>;

export const Progress = z.strictObject({
  percent: z.number().min(0).max(100).optional(),
  note: z.string().max(500).optional(),
  data: limitedJson(8_192).optional(),
});
export type Progress = z.infer<typeof Progress>;

export const ClaimedTask = z.object({
  task: TaskNumber,
  claim: Claim,
  /** Counts failures: after a lost chat or a stall the attempt continues under the same number. */
  attempt: z.int(),
  maxAttempts: z.int(),
  type: z.string(),
  priority: z.int(),
  payload: Json,
  isStarted: z.boolean(),
  progress: Progress.nullable(),
  checkpoint: Json.nullable(),
  /** Results of the dependencies. */
  inputs: z.array(
    z.object({
      task: TaskNumber,
      ref: Id.nullable(),
      state: TaskState,
      result: Json.nullable(),
      /** Too large to include; `tasks.get` returns it. */
      isLeftOut: z.boolean(),
    }),
  ),
  /** Time to start; then the task is requeued. */
  startInMs: durationMs.nullable(),
  remainingMs: durationMs,
  heartbeatMs: durationMs,
  /** Least of what remains to the task, the chat and the day. */
  budget: RemainingBudget,
});
export type ClaimedTask = z.infer<typeof ClaimedTask>;

const claimFields = {
  limit: limit(50, 1),
  types: z.array(TaskType).min(1).max(50).optional(),
  /** False: only assigned, until the first heartbeat. */
  isStarted: z.boolean().default(true),
};
export const ClaimOptions = z.strictObject(claimFields);
export type ClaimOptions = z.infer<typeof ClaimOptions>;

const claimedTaskFields = { self: Self, task: TaskNumber, claim: Claim };
const ClaimedTaskReference = z.strictObject(claimedTaskFields);
export type ClaimedTaskReference = z.infer<typeof ClaimedTaskReference>;
const holderErrors = [...chatErrors, "unknown_task", "stale_claim"] as const;

/** Use of this attempt since its start; never below an earlier report. */
const used = Usage.optional();

/**
 * The route of the attempt, and the model that did it; the last report counts. One that this
 * version cannot read is left out: a task's result is worth more.
 */
const models = { route: Route.optional().catch(undefined), ran: Ran.optional().catch(undefined) };

const EndedOutput = z.object({ state: TaskState, next: z.array(ClaimedTask) });

export const taskOperations = {
  "tasks.submit": declare("submit", "POST /tasks", {
    input: z.strictObject({
      tasks: z
        .array(NewTask)
        .min(1)
        .max(1_000)
        .refine(
          (tasks) => tasks.reduce((sum, { payload }) => sum + jsonText(payload).length, 0) <= maxSubmitChars,
          `at most ${maxSubmitChars} characters of payload in total`,
        ),
      by: Id.optional(),
      requestId: Id.optional(),
    }),
    output: z.object({
      tasks: z.array(
        z.object({
          task: TaskNumber,
          /** State; null for a duplicate of a task that is no longer kept. */
          state: TaskState.nullable(),
          isDuplicate: z.boolean(),
        }),
      ),
    }),
    errors: ["unknown_task", "quota_exceeded", "key_reused"],
    maxBodyBytes: 10_485_760,
    summary: "Submits one task, many, or a graph of them, all or nothing.",
    isPostponable: true,
    surfaces: ["remote"],
    example: { tasks: [{ type: "build", payload: { of: "web" } }] },
  }),
  "tasks.claim": declare("work", "POST /tasks/claim", {
    input: z.strictObject({
      self: Self,
      requestId: Id,
      ...claimFields,
    }),
    output: z.object({ claims: z.array(ClaimedTask) }),
    errors: [...chatErrors, "chat_draining", "budget_exceeded", "quota_exceeded"],
    summary: "Claims tasks that this chat can do, highest priority first, up to its capacity.",
  }),
  "tasks.heartbeat": declare("work", "POST /tasks/heartbeat", {
    input: z.strictObject({
      ...claimedTaskFields,
      progress: Progress.optional(),
      checkpoint: limitedJson(maxPayloadChars).optional(),
      usage: used,
      ...models,
    }),
    output: z.object({
      /** A cancel was requested: stop, then ack or release. */
      isCancelled: z.boolean(),
      /** Limit reached: the task is dead and the claim has ended. Stop at once. */
      isOverBudget: z.boolean(),
      reason: z.string().nullable(),
      remainingMs: durationMs,
    }),
    errors: [...holderErrors, "budget_exceeded"],
    summary: "Reports that work continues, and its progress; the answer says whether a cancel was requested.",
    effect: "keep",
    example: { progress: { percent: 50 } },
  }),
  "tasks.ack": declare("work", "POST /tasks/ack", {
    input: z.strictObject({
      ...claimedTaskFields,
      result: limitedJson(maxResultChars).default(null),
      usage: used,
      ...models,
      next: ClaimOptions.optional(),
    }),
    output: EndedOutput,
    errors: holderErrors,
    summary: "Ends a task as done; with `next`, the answer carries the next tasks.",
    effect: "keep",
    example: { result: "built" },
  }),
  "tasks.nack": declare("work", "POST /tasks/nack", {
    input: z.strictObject({
      ...claimedTaskFields,
      isRetryable: z.boolean().default(true),
      reason: Reason,
      delayMs: z
        .int()
        .min(0)
        .max(30 * dayMs)
        .optional(),
      usage: used,
      ...models,
      next: ClaimOptions.optional(),
    }),
    output: EndedOutput,
    errors: holderErrors,
    summary: "Ends an attempt as failed; the task is retried after a delay, or fails for good.",
    effect: "keep",
    example: { reason: "no disk" },
  }),
  "tasks.release": declare("work", "POST /tasks/release", {
    input: z.strictObject({
      ...claimedTaskFields,
      reason: Reason.optional(),
      /** Until it is queued again. */
      delayMs: z.int().min(0).max(dayMs).default(0),
      usage: used,
      ...models,
    }),
    output: z.object({ state: TaskState }),
    errors: holderErrors,
    summary: "Returns a task to the queue, at once or after a delay; costs no attempt.",
    effect: "keep",
  }),
  "tasks.cancel": declare("submit", "POST /tasks/cancel", {
    input: z.strictObject({ task: TaskNumber, reason: Reason, requestId: Id.optional() }),
    /** State running: its chat gets the request to stop. */
    output: z.object({ state: TaskState }),
    errors: ["unknown_task", "key_reused"],
    summary: "Cancels a task that has not started; asks the chat that runs it to stop otherwise.",
    effect: "free",
    isDestructive: true,
    surfaces: ["page", "remote"],
  }),
} as const;

const plain = z.string().regex(/^[^\p{Cc}]{1,300}$/u);
const hash = z.string().regex(/^[0-9a-f]{40,64}$/);

export const WorkResult = z.object({
  branch: plain.nullable(),
  commit: hash,
  base: hash.optional(),
  machine: plain.optional(),
  tests: z.object({ command: z.string() }).optional(),
});
export type WorkResult = z.infer<typeof WorkResult>;
