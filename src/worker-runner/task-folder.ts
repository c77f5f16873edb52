import { statSync } from "node:fs";
import type { ClaimedTask } from "../contract/tasks.ts";
import type { Json } from "../contract/json.ts";
import type { InputWork } from "./input-work.ts";

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
  /** Why the work cannot be a result yet; null if it can. */
  problem(): Promise<string | null>;
  finish(): Promise<CommittedWork | null>;
  /** Gives finished work its final branch, and pushes it for other machines. */
  publish(work: CommittedWork): Promise<{ readonly work: CommittedWork; readonly note: string | null }>;
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
        problem: () => Promise.resolve(null),
        finish: () => Promise.resolve(null),
        publish: (work) => Promise.resolve({ work, note: null }),
        release: () => Promise.resolve(null),
      };
    },
  };
}
