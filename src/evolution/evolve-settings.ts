import * as z from "zod";
import { ClaudeSettings } from "../worker-runner/client/settings.ts";
import { CommandWords } from "../worker-runner/tasks/task-type.ts";

/** [EV13] A worker's settings for tasks of runs: what code runs is never chosen by a task. */
export const EvolveSettings = z.strictObject({
  /** The project's tools and tests may run, which are its code. */
  trust: z.boolean().default(false),
  /** Has to succeed, too. Default: the test framework alone. */
  tests: CommandWords.optional(),
  /** Folder of the package in the repository. Default: its top. */
  project: z
    .string()
    .regex(/^(?!\/)[^\p{Cc}]{1,400}$/u, "a folder in the repository")
    .refine((path) => !path.split("/").includes(".."), "a folder in the repository")
    .optional(),
  /** Does what no tool can. */
  claude: ClaudeSettings.optional(),
  /** Limit of each run of the tests. */
  timeLimitMs: z.int().min(1_000).max(86_400_000).default(1_800_000),
});
export type EvolveSettings = z.infer<typeof EvolveSettings>;
