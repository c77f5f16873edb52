import type { ClaimedTask } from "../../contract/tasks.ts";
import type { Json } from "../../contract/values.ts";

/** What a task's work has become: stands in its result. */
export interface Work {
  /** null: nothing was changed, or the work is on no branch. */
  readonly branch: string | null;
  readonly commit: string;
}

/** Where one attempt works. What goes wrong in it is thrown as an Error with words for people. */
export interface WorkPlace {
  /** Absolute. */
  readonly folder: string;
  /** Goes on with what an attempt before has left. */
  readonly isContinued: boolean;
  /** What happened on the way there that people should know. */
  readonly notes: readonly string[];
  /** Where it is and up to which commit, for the chat that continues it. */
  where(): Json;
  /** Keeps what is there now, while somebody works there. */
  save(): Promise<void>;
  /** Nobody works there any more: all of it is kept. @returns null: nobody asks what became of the folder */
  finish(): Promise<Work | null>;
  /** @param isOpen the task goes on, so that its folder may be of use; @returns what people should know */
  leave(isOpen: boolean): Promise<string | null>;
}

export interface WorkPlaces {
  open(task: ClaimedTask): Promise<WorkPlace>;
}
