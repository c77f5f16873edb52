import * as z from "zod";
import type { Operation } from "./operation.ts";
import { AggregateRule, Job, SplitStrategy } from "./plans.ts";
import { NewTask, TaskState, TaskType } from "./tasks.ts";
import { counter, Id } from "./values.ts";

/** One complex job: how complex it is, and how it becomes tasks. */

const Complexity = z.object({
  /** 1 to 10. */
  score: z.int(),
  /** Split where the score is above it. */
  threshold: z.number(),
  isAboveThreshold: z.boolean(),
  /** What added points, most first. */
  reasons: z.array(
    z.object({
      signal: z.string(),
      /** What was counted: files, folders, steps, characters; of a kind of work 1. */
      value: z.number(),
      points: z.number(),
    }),
  ),
});

const Part = z.object({
  name: z.string(),
  text: z.string(),
  files: z.array(z.string()),
  dependsOn: z.array(z.string()),
});

const jobFields = {
  job: Job,
  /** Without one by module, by file or by phase, the first of them that fits. One that lists its parts is followed for any score. */
  strategy: SplitStrategy.optional(),
  maxParts: z.int().min(2).max(8).default(8),
  /** Split, whatever the score. */
  isForced: z.boolean().default(false),
};

/** What each task of a job has in common with a task that is submitted by itself. */
const Options = NewTask.pick({
  priority: true,
  capabilities: true,
  affinity: true,
  scheduleToStartMs: true,
  startToCloseMs: true,
  heartbeatMs: true,
  maxAttempts: true,
  backoff: true,
  tags: true,
  budget: true,
});

const EstimateJob = {
  input: z.strictObject(jobFields),
  output: z.object({
    complexity: Complexity,
    /** What a submit would make of it; null: one task. */
    parts: z.array(Part).nullable(),
    /** Why it is not split. */
    reason: z.string().nullable(),
  }),
};
export type EstimateJob = z.infer<typeof EstimateJob.input>;

const SubmitJob = {
  input: z.strictObject({
    ...jobFields,
    type: TaskType,
    options: Options.prefault({}),
    /** The join of the parts: by this rule, by the coordinator; without one it is a task of the type `joinType` for a chat. */
    joinRule: AggregateRule.optional(),
    joinType: TaskType.optional(),
    /** A part that has died: the join dies, or joins what there is. */
    onPartDeath: z.enum(["fail", "ignore"]).default("fail"),
    dedupeKey: Id.optional(),
    by: Id.optional(),
    /** The same request again submits nothing more. */
    requestId: Id.optional(),
  }),
  output: z.object({
    complexity: Complexity,
    /** The whole job: the one task, or the join, which is the parent of the parts. */
    task: counter,
    state: TaskState.nullable(),
    isDuplicate: z.boolean(),
    /** Empty: it was not split. */
    parts: z.array(z.object({ name: z.string(), task: counter })),
    reason: z.string().nullable(),
  }),
};
export type SubmitJob = z.infer<typeof SubmitJob.input>;

export const planOperations = {
  "plans.estimate": {
    method: "POST",
    path: "/plans/estimate",
    scope: "submit",
    ...EstimateJob,
    errors: [],
    maxBodyBytes: 4_194_304,
    summary: "How complex a job is, and the parts it would be split into.",
  },
  "plans.submit": {
    method: "POST",
    path: "/plans",
    scope: "submit",
    ...SubmitJob,
    errors: ["quota_exceeded", "key_reused"],
    maxBodyBytes: 4_194_304,
    summary: "Submits a job: as one task, or above the threshold as parts and their join.",
  },
} as const satisfies Record<string, Operation>;
