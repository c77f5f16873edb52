import * as z from "zod";
import { File, flag } from "../../contract/machine/operation.ts";

export const WorkerInput = z.strictObject({
  config: File.optional().describe("task types and how to do them, YAML or JSON"),
  type: z.string().optional().describe("the task type that the command after -- does"),
  folder: z.string().optional().describe("work in this folder itself"),
  repository: z.string().optional().describe("work in worktrees of this repository (default: the current one)"),
  base: z.string().optional().describe("what new worktrees start from (default: HEAD)"),
  remote: z.string().optional().describe("push finished branches to this remote, and fetch missing ones from it"),
  concurrency: z.int().min(1).max(100).optional().describe("tasks at a time (default: 1)"),
  capabilities: z.array(z.string()).optional().describe("also take tasks that need this; may be repeated"),
  once: flag("exit when no task is available"),
  maxTasks: z.int().min(1).max(1_000_000).optional().describe("exit after this many"),
  drainMs: z
    .int()
    .min(0)
    .max(86_400_000)
    .optional()
    .describe("how long running tasks may continue after Ctrl-C; 0: release them at once (default: 60000)"),
  command: z.array(z.string()).default([]),
});
export type WorkerInput = z.infer<typeof WorkerInput>;
