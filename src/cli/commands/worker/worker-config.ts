import * as z from "zod";
import { TaskType } from "../../../contract/tasks.ts";
import { Label } from "../../../contract/values.ts";
import { AnalyzeSettings } from "../../../tool-runner/analyze-executor.ts";
import { EvolveSettings } from "../../../evolution/evolve-settings.ts";
import { TransformSettings } from "../../../transform/transform-executor.ts";
import { ClaudeSettings } from "../../../worker-runner/claude/claude-settings.ts";

/** Exactly one of `command`, `claude`, `analyze`, `transform` and `evolve`. */
const TypeConfig = z
  .strictObject({
    command: z.tuple([z.string().min(1).max(4_096)], z.string().max(4_096)).optional(),
    claude: ClaudeSettings.optional(),
    analyze: AnalyzeSettings.optional(),
    transform: TransformSettings.optional(),
    evolve: EvolveSettings.optional(),
    finalCodes: z.array(z.int().min(1).max(255)).max(100).optional(),
    /** Shared by all tasks; relative to the settings file. */
    folder: z.string().min(1).max(4_096).optional(),
    /** Default: the repository where the worker was started. */
    repository: z.string().min(1).max(4_096).optional(),
    base: z
      .string()
      .regex(/^[^-\p{Cc}\s][^\p{Cc}\s]{0,199}$/u, "the name of a branch, a tag or a commit")
      .optional(),
    mergeInputs: z.boolean().optional(),
    /** Conflicting inputs: fail names the files; pass keeps the conflict markers. */
    onConflict: z.enum(["fail", "pass"]).optional(),
    /** Remote for finished branches and missing commits. */
    remote: z
      .string()
      .regex(/^[A-Za-z0-9_][\w./-]{0,99}$/, "the name of a remote")
      .optional(),
    /** Must succeed before a job is done. */
    jobTests: z.tuple([z.string().min(1).max(4_096)], z.string().max(4_096)).optional(),
  })
  .refine(
    ({ command, claude, analyze, transform, evolve }) =>
      [command, claude, analyze, transform, evolve].filter((way) => way !== undefined).length === 1,
    "say how it is done: by a command, or by claude, or by analyze, or by transform, or by evolve",
  )
  .refine(({ analyze, folder }) => analyze === undefined || folder !== undefined, {
    message: "analyze works where the tools are installed: name the folder",
    path: ["analyze"],
  })
  .refine(({ transform, folder }) => transform === undefined || folder === undefined, {
    message: "a transform works in worktrees of a repository, not in a folder as it is",
    path: ["folder"],
  })
  .refine(({ evolve, folder }) => evolve === undefined || folder === undefined, {
    message: "evolve works in worktrees of a repository, not in a folder as it is",
    path: ["folder"],
  })
  .refine(({ finalCodes, command }) => finalCodes === undefined || command !== undefined, {
    message: "finalCodes are only for a command",
    path: ["finalCodes"],
  })
  .refine(({ folder, repository, base }) => folder === undefined || (repository ?? base) === undefined, {
    message: "a folder takes neither repository nor base",
    path: ["folder"],
  })
  .refine(
    ({ folder, mergeInputs, onConflict, remote }) =>
      folder === undefined || (mergeInputs ?? onConflict ?? remote) === undefined,
    { message: "a folder takes no mergeInputs, onConflict or remote: nothing is merged there", path: ["folder"] },
  );
export type TypeConfig = z.infer<typeof TypeConfig>;

export const WorkerConfig = z.strictObject({
  concurrency: z.int().min(1).max(100).default(1),
  capabilities: z.array(Label).max(50).default([]),
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
