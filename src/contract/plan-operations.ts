import * as z from "zod";
import type { Operation } from "./operation.ts";
import { AggregateRule, Job, SplitStrategy } from "./plans.ts";
import { NewTask, TaskState, TaskType } from "./tasks.ts";
import { counter, Id } from "./values.ts";

const Complexity = z.object({
  score: z.int(),
  threshold: z.number(),
  isAboveThreshold: z.boolean(),
  reasons: z.array(
    z.object({
      signal: z.string(),
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
  /** Default: by module, file or phase, the first that fits. Listed parts apply at any score. */
  strategy: SplitStrategy.optional(),
  maxParts: z.int().min(2).max(8).default(8),
  isForced: z.boolean().default(false),
};

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
    parts: z.array(Part).nullable(),
    reason: z.string().nullable(),
  }),
};
export type EstimateJob = z.infer<typeof EstimateJob.input>;

const SubmitJob = {
  input: z.strictObject({
    ...jobFields,
    type: TaskType,
    options: Options.prefault({}),
    /** Rule by which the coordinator joins; absent, a chat does a task of type `joinType`. */
    joinRule: AggregateRule.optional(),
    joinType: TaskType.optional(),
    /** Effect of a dead part: the join dies, or joins the others. */
    onPartDeath: z.enum(["fail", "ignore"]).default("fail"),
    dedupeKey: Id.optional(),
    by: Id.optional(),
    requestId: Id.optional(),
  }),
  output: z.object({
    complexity: Complexity,
    /** The single task, or the join, which is the parent of the parts. */
    task: counter,
    state: TaskState.nullable(),
    isDuplicate: z.boolean(),
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
