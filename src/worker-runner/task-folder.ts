import type { ClaimedTask } from "../contract/tasks.ts";
import type { Json } from "../contract/values.ts";
import type { InputWork } from "./input-work.ts";

/** What a task's work has become: stands in its result. */
export interface CommittedWork {
  /** null: nothing was changed, or the work is on no branch. */
  readonly branch: string | null;
  readonly commit: string;
  /** Where the task's own changes begin: the base, with the results of its inputs. */
  readonly base: string;
  /** Where the commit was made. */
  readonly machine: string;
  /** Files that are not in the commit, and why; absent: all are. */
  readonly leftOut?: { readonly path: string; readonly reason: string }[];
}

/** Results of other tasks that a place begins with. */
export interface MergedInputs {
  /** The tasks whose commits are in it. */
  readonly tasks: readonly number[];
  /** Files in which they differ, with the marks of a conflict. */
  readonly conflicts: readonly { readonly task: number; readonly files: readonly string[] }[];
}

/** Where one attempt works. What goes wrong in it is thrown as an Error with words for people. */
export interface TaskFolder {
  /** Absolute. */
  readonly folder: string;
  /** Goes on with what an attempt before has left. */
  readonly isContinued: boolean;
  /** What happened on the way there that people should know. */
  readonly notes: readonly string[];
  readonly merged: MergedInputs;
  /** Where it is and up to which commit, for the chat that continues it. */
  location(): Json;
  /** Keeps what is there now, while somebody works there. */
  save(): Promise<void>;
  /** Why what is there cannot be a result yet; null: it can. */
  problem(): Promise<string | null>;
  /** Nobody works there any more: all of it is kept. @returns null: nobody asks what became of the folder */
  finish(): Promise<CommittedWork | null>;
  /** Gives the work of a task that is done its last name, and brings it to where other machines find it. */
  publish(work: CommittedWork): Promise<{ readonly work: CommittedWork; readonly note: string | null }>;
  /** @param isOpen the task goes on, so that its folder may be of use; @returns what people should know */
  release(isOpen: boolean): Promise<string | null>;
}

export interface TaskFolders {
  /** @param inputs the commits of the tasks that this one depends on; throws as `readInputWork` does */
  open(task: ClaimedTask, inputs: () => Promise<InputWork[]>): Promise<TaskFolder>;
}

/** The task cannot begin in the place that it needs. `message` is for people. */
export class TaskFolderError extends Error {
  /** false: the same again would go the same way. */
  readonly isRetryable: boolean;

  constructor(message: string, isRetryable: boolean) {
    super(message);
    this.name = "PlaceError";
    this.isRetryable = isRetryable;
  }
}

export const noMergedInputs: MergedInputs = { tasks: [], conflicts: [] };
