import { statSync } from "node:fs";
import type { ClaimedTask } from "../contract/tasks.ts";
import type { Json } from "../contract/json.ts";
import type { InputWork } from "./task-branches.ts";

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
      if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) throw new Error(`there is no folder ${folder}`);
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
