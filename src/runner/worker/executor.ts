import { isFolder } from "../../platform/paths.ts";
import type { RemainingBudget, Usage } from "../../contract/budgets.ts";
import type { ClaimedTask, Progress } from "../../contract/tasks.ts";
import type { Json } from "../../contract/values.ts";
import type { Ran, Route, TierCounts } from "../../contract/model-routes.ts";

/** Work of another task, as its result names it. */
export interface InputWork {
  readonly task: number;
  /** The branch may be in another repository. */
  readonly branch: string;
  readonly commit: string;
  readonly machine: string | null;
}

/** Part of the task's result. */
export interface CommittedWork {
  /** Null if nothing changed, or the work is on no branch. */
  readonly branch: string | null;
  readonly commit: string;
  /** Base of the task's own changes, including the merged inputs. */
  readonly base: string;
  readonly machine: string;
  readonly leftOut?: { readonly path: string; readonly reason: string }[];
}

export interface MergedInputs {
  readonly tasks: number[];
  readonly conflicts: { readonly task: number; readonly files: string[] }[];
}

export interface FinishedWork {
  /** Null in a given folder. */
  readonly work: CommittedWork | null;
  /** Why the work of a task that is done cannot be its result; null: it can. */
  readonly problem: string | null;
  /** Note for people. */
  readonly note: string | null;
}

/** Methods throw an Error with a text for people. */
export interface TaskFolder {
  /** Absolute. */
  readonly folder: string;
  readonly isContinued: boolean;
  readonly notes: readonly string[];
  readonly merged: MergedInputs;
  /** Made for this attempt: the coordinator has to know of it before work in it begins. */
  readonly isNew: boolean;
  /** Commit after which the changes of all attempts begin; null in a given folder. */
  readonly base: string | null;
  location(): Json;
  /** Saves the present work while the task runs. */
  save(): Promise<void>;
  /** Commits the work; done work also gets its final branch, and is pushed for other machines. */
  finish(isDone: boolean): Promise<FinishedWork>;
  /** @param isOpen whether another attempt may use the folder. @returns a note for people */
  release(isOpen: boolean): Promise<string | null>;
}

export interface TaskFolders {
  open(task: ClaimedTask, inputs: () => Promise<InputWork[]>): Promise<TaskFolder>;
}

export class TaskFolderError extends Error {
  readonly isRetryable: boolean;

  constructor(message: string, isRetryable: boolean) {
    super(message);
    this.name = "TaskFolderError";
    this.isRetryable = isRetryable;
  }
}

export const noMergedInputs: MergedInputs = { tasks: [], conflicts: [] };

/** Runs every task in one folder, which is left as it is. */
export function fixedFolder(folder: string, machine: string): { open: (task: ClaimedTask) => Promise<TaskFolder> } {
  return {
    open: async ({ checkpoint }) => {
      if (!isFolder(folder)) throw new Error(`there is no folder ${folder}`);
      return {
        folder,
        isContinued: checkpoint !== null,
        notes: [],
        merged: noMergedInputs,
        isNew: false,
        base: null,
        location: () => ({ machine, folder }),
        save: () => Promise.resolve(),
        finish: () => Promise.resolve({ work: null, problem: null, note: null }),
        release: () => Promise.resolve(null),
      };
    },
  };
}

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
  /** `isByUser`: a signal of the user has ended it. */
  | {
      readonly kind: "failed";
      readonly reason: string;
      readonly isRetryable: boolean;
      readonly delayMs?: number;
      readonly isByUser?: true;
    }
  /**
   * Another chat has a thing that it needs, or a limit has to reset: costs no attempt. `isOfType`:
   * every task of the type would have to wait as long. `isByRule`: the user's rule for usage limits
   * waits for it.
   */
  | {
      readonly kind: "waiting";
      readonly reason: string;
      readonly delayMs: number;
      readonly isOfType?: true;
      readonly isByRule?: true;
    }
  | { readonly kind: "stopped" }
  | { readonly kind: "over_budget"; readonly reason: string };

/** Variables of a program that does a task; no text of the task is among them. */
export function taskVariables({ task, claim }: ClaimedTask): Readonly<Record<string, string>> {
  return { SHIM_TASK: String(task), SHIM_CLAIM: String(claim) };
}

export type Failed = Extract<RunOutcome, { readonly kind: "failed" }>;

/** @param isRetryable whether the same task may succeed later */
export function failed(reason: string, isRetryable = false): Failed {
  return { kind: "failed", reason, isRetryable };
}

export interface Executor {
  /** Leaves no process when it settles. Throws only for bugs, or once it is stopped. */
  run(run: TaskRun): Promise<RunOutcome>;
  /** Started by it, so they have to be there. */
  readonly programs?: readonly string[];
}
