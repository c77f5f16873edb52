import type { RemainingBudget, Usage } from "../contract/budgets.ts";
import type { ClaimedTask, Progress } from "../contract/tasks.ts";
import type { Json } from "../contract/values.ts";
import type { MergedInputs } from "./task-folder.ts";

/** What runs a task: a command, or Claude Code. */

export interface TaskRun {
  readonly task: ClaimedTask;
  /** Absolute. The task's own worktree, or the folder that its worker was given. */
  readonly folder: string;
  /** Results of the tasks before that are in the folder. */
  readonly merged: MergedInputs;
  /** Aborted: stop, with all processes, and settle. Its reason says why. */
  readonly signal: AbortSignal;
  /** What the attempt may still use; the executor stops itself where it can measure that more was used. */
  readonly budgetLeft: RemainingBudget;
  /** Never less than it said before. Told to the coordinator with the next heartbeat. */
  readonly onUsage: (usage: Usage) => void;
  readonly onProgress: (progress: Progress) => void;
  /** What the next attempt needs to go on; handed to it as `task.checkpoint`. Merged with what the worker keeps itself (folder, branch). */
  readonly onCheckpoint: (checkpoint: Readonly<Record<string, Json>>) => void;
  /** Lines that people may read; kept bounded by the worker. */
  readonly onOutput: (text: string) => void;
}

export type RunOutcome =
  /** tests: the command that has passed on it. */
  | { readonly kind: "done"; readonly result: Json; readonly tests?: { readonly command: string } }
  | { readonly kind: "failed"; readonly reason: string; readonly isRetryable: boolean; readonly delayMs?: number }
  /** By the signal. */
  | { readonly kind: "stopped" }
  | { readonly kind: "over_budget"; readonly reason: string };

export interface Executor {
  /** Never throws for what the task or its program does wrong: that is an outcome. No process of it is left when it settles. */
  run(run: TaskRun): Promise<RunOutcome>;
}
