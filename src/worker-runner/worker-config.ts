import * as z from "zod";
import { TaskType } from "../contract/tasks.ts";
import { Label } from "../contract/values.ts";
import { ClaudeSettings } from "./claude/claude-settings.ts";

/** What a worker does with tasks of one type. Exactly one way to do them. */
const TypeConfig = z
  .strictObject({
    /** A program and its arguments, without a shell. */
    command: z.tuple([z.string().min(1).max(4_096)], z.string().max(4_096)).optional(),
    /** Claude Code, and what it may do. */
    claude: ClaudeSettings.optional(),
    /** Exit codes of the command after which the same again would fail again. */
    finalCodes: z.array(z.int().min(1).max(255)).max(100).optional(),
    /** Works in this folder itself. Relative to the file that says so. */
    folder: z.string().min(1).max(4_096).optional(),
    /** Works in a worktree of this repository; without folder and repository of the one where the worker was started. */
    repository: z.string().min(1).max(4_096).optional(),
    /** What new worktrees begin from: a branch, a tag, a commit. */
    base: z
      .string()
      .regex(/^[^-\p{Cc}\s][^\p{Cc}\s]{0,199}$/u, "the name of a branch, a tag or a commit")
      .optional(),
    /** false: a new worktree does not begin with the results of the tasks that its task depends on. */
    mergeInputs: z.boolean().optional(),
    /** Where those contradict each other: fail names the files; pass hands them on with the marks of the conflict. */
    onConflict: z.enum(["fail", "pass"]).optional(),
    /** The name of a remote in the repository: finished branches go there, missing ones come from there. */
    remote: z
      .string()
      .regex(/^[A-Za-z0-9_][\w./-]{0,99}$/, "the name of a remote")
      .optional(),
    /** Has to succeed on what a job has become before the job is done. A program and its arguments, without a shell. */
    jobTests: z.tuple([z.string().min(1).max(4_096)], z.string().max(4_096)).optional(),
  })
  .refine(
    ({ command, claude }) => (command === undefined) !== (claude === undefined),
    "say how it is done: by a command, or by claude",
  )
  .refine(({ finalCodes, command }) => finalCodes === undefined || command !== undefined, {
    message: "finalCodes are those of a command",
    path: ["finalCodes"],
  })
  .refine(({ folder, repository, base }) => folder === undefined || (repository ?? base) === undefined, {
    message: "a folder takes neither repository nor base",
    path: ["folder"],
  })
  .refine(
    ({ folder, mergeInputs, onConflict, remote }) =>
      folder === undefined || (mergeInputs ?? onConflict ?? remote) === undefined,
    { message: "a folder takes no mergeInputs, onConflict and remote: nothing is merged there", path: ["folder"] },
  );
export type TypeConfig = z.infer<typeof TypeConfig>;

/** The file that `shim worker --config` reads. */
export const WorkerConfig = z.strictObject({
  /** Tasks at a time. */
  concurrency: z.int().min(1).max(100).default(1),
  capabilities: z.array(Label).max(50).default([]),
  /** What runs has so long to end by itself when the worker is asked to end, in ms. */
  drainMs: z.int().min(0).max(86_400_000).default(60_000),
  types: z
    .record(z.string(), TypeConfig)
    .refine((types) => Object.keys(types).every((type) => TaskType.safeParse(type).success), {
      message: "a type of tasks has 1 to 64 letters, digits and . : _ -",
    })
    .refine((types) => Object.keys(types).length > 0, "name a type of tasks")
    .refine((types) => Object.keys(types).length <= 50, "at most 50 types of tasks"),
});
export type WorkerConfig = z.infer<typeof WorkerConfig>;
