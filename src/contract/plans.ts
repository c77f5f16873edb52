import * as z from "zod";
import { declare } from "./operation.ts";
import { AggregateRule, NewTask, TaskState, TaskType } from "./tasks.ts";
import { limitedJson, counter, Id, Label, whole } from "./values.ts";

const WorkText = whole(z.string().max(20_000));

const FilePath = whole(
  z.string().regex(/^[^\p{Cc}]{1,400}$/u, "1 to 400 characters without control characters"),
).refine((path) => !/(^|\/)\.{0,2}(\/|$)/.test(path), "a path is relative and has no empty part, no . and no ..");

const PartName = z.string().regex(/^[\w.:-]{1,64}$/, "1 to 64 letters, digits and . : _ -");

export const WorkKind = z.enum(["refactor", "migrate", "test", "fix", "document"]);
export type WorkKind = z.infer<typeof WorkKind>;

const JobFile = z.strictObject({
  path: FilePath,
  weight: z.int().min(1).max(1_000_000).default(1),
});
export type JobFile = z.infer<typeof JobFile>;

export const Job = z.strictObject({
  title: Label,
  text: WorkText.default(""),
  /** The whole job goes into the payload of a task. */
  payload: limitedJson(65_536).default(null),
  files: z
    .array(JobFile)
    .max(2_000)
    .refine(
      (files) => new Set(files.map(({ path }) => path)).size === files.length,
      "each file may be listed only once",
    )
    .default([]),
  kinds: z.array(WorkKind).max(5).default([]),
});
export type Job = z.infer<typeof Job>;

const GivenPart = z.strictObject({
  name: PartName,
  text: WorkText.default(""),
  files: z.array(FilePath).max(2_000).default([]),
  dependsOn: z.array(PartName).max(100).default([]),
});
export type GivenPart = z.infer<typeof GivenPart>;

export const SplitStrategy = z.discriminatedUnion("by", [
  z.strictObject({ by: z.literal("file") }),
  z.strictObject({
    by: z.literal("module"),
    /** Folders of a path that name its module; all when absent. */
    depth: z.int().min(1).max(20).optional(),
  }),
  z.strictObject({
    by: z.literal("phase"),
    phases: z.array(PartName).max(100).default(["analyse", "change", "test", "document"]),
  }),
  z.strictObject({ by: z.literal("list"), parts: z.array(GivenPart).max(100) }),
]);
export type SplitStrategy = z.infer<typeof SplitStrategy>;

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

export const planOperations = {
  "plans.estimate": declare("submit", "POST /plans/estimate", {
    input: z.strictObject(jobFields),
    output: z.object({
      complexity: Complexity,
      parts: z.array(Part).nullable(),
      reason: z.string().nullable(),
    }),
    maxBodyBytes: 4_194_304,
    summary: "Estimates how complex a job is, and the parts it would be split into.",
    effect: "read",
  }),
  "plans.submit": declare("submit", "POST /plans", {
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
    errors: ["quota_exceeded", "key_reused"],
    maxBodyBytes: 4_194_304,
    summary: "Submits a job: as one task or, above the threshold, as parts and their join.",
    isPostponable: true,
    example: { job: { title: "rename the store", files: [{ path: "a.ts" }, { path: "b/c.ts" }] }, type: "build" },
  }),
} as const;
