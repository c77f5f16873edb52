import type { RemainingBudget, Usage } from "../contract/budgets.ts";
import type { ClaimedTask, Progress } from "../contract/tasks.ts";
import type { Json } from "../contract/json.ts";
import type { Ran, Route, TierCounts } from "../contract/routes.ts";
import type { MergedInputs } from "./task-folder.ts";

/** lost: the claim has ended or cannot be trusted; leaving: the worker ends. */
export interface Stop {
  readonly kind: "cancelled" | "lost" | "time" | "budget" | "leaving";
  readonly message: string;
}

export interface TaskRun {
  readonly task: ClaimedTask;
  /** Absolute. */
  readonly folder: string;
  readonly merged: MergedInputs;
  /** Commit after which the changes of all attempts begin; null in a given folder. */
  readonly base: string | null;
  /** Aborted: stop all processes and settle. The reason is a `Stop`. */
  readonly signal: AbortSignal;
  readonly budgetLeft: RemainingBudget;
  /** Never decreases. */
  readonly onUsage: (usage: Usage) => void;
  readonly onProgress: (progress: Progress) => void;
  /** Merged with the worker's own; the next attempt gets it as `task.checkpoint`. */
  readonly onCheckpoint: (checkpoint: Readonly<Record<string, Json>>) => void;
  readonly onOutput: (text: string) => void;
  /** How the tiers of this type have done; null: the coordinator did not answer. */
  readonly findRouteCounts: () => Promise<readonly TierCounts[] | null>;
  /** The model that a route has chosen; the last call counts. */
  readonly onRoute: (route: Route) => void;
  /** The model as the client names it; the last call counts. */
  readonly onModel: (ran: Ran) => void;
}

export type RunOutcome =
  | { readonly kind: "done"; readonly result: Json; readonly tests?: { readonly command: string } }
  | { readonly kind: "failed"; readonly reason: string; readonly isRetryable: boolean; readonly delayMs?: number }
  /**
   * Another chat has a thing that it needs, or a limit has to reset: costs no attempt. `isOfType`:
   * every task of the type would have to wait as long.
   */
  | { readonly kind: "waiting"; readonly reason: string; readonly delayMs: number; readonly isOfType?: true }
  | { readonly kind: "stopped" }
  | { readonly kind: "over_budget"; readonly reason: string };

export interface Executor {
  /** Leaves no process when it settles. Throws only for bugs, never for a failed task. */
  run(run: TaskRun): Promise<RunOutcome>;
  /** Started by it, so they have to be there. */
  readonly programs?: readonly string[];
  /** False: the task is done beside the user's own work tree. Absent: each needs one. */
  readonly needsWorktree?: (task: ClaimedTask) => boolean;
}
