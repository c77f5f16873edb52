/** Types of what a checkpoint holds. No schema here: the hook loads this file, and only SHIM writes these rows. */

export interface TodoItem {
  /** The client's own number of the task, where it has one. */
  readonly id?: string;
  readonly text: string;
  readonly status: "pending" | "in_progress" | "completed";
}

export interface FileNote {
  /** Absolute path. */
  readonly path: string;
  /** SHA-256 of the content when the checkpoint was taken; null: it was not there, or was not read (see `skipped`). */
  readonly hash: string | null;
  /** Why the content was not hashed: too large, looks secret, unreadable. */
  readonly skipped?: string;
  /** Last thing done to it by the chat. */
  readonly action: "read" | "edited" | "created" | "noted";
}

export interface ConversationTurn {
  readonly role: "user" | "assistant";
  readonly text: string;
  readonly at: number;
}

export interface ToolRun {
  readonly id: string;
  readonly name: string;
  /** One line: the command, the path, the query. */
  readonly input: string;
  readonly startedAt: number;
}

export interface ErrorNote {
  readonly at: number;
  readonly text: string;
}

/** Everything known of a session at one moment. Stored. Add fields as optional. */
export interface WorkState {
  /** As the chat itself has put it; null until it has. */
  readonly goal: string | null;
  /** The first and the newest request of the user; never a slash command. */
  readonly firstPrompt: string | null;
  readonly lastPrompt: string | null;
  readonly done: readonly string[];
  readonly inProgress: readonly string[];
  readonly nextStep: string | null;
  readonly decisions: readonly string[];
  readonly openQuestions: readonly string[];
  readonly todos: readonly TodoItem[];
  readonly files: readonly FileNote[];
  /** Newest last, bounded. */
  readonly conversation: readonly ConversationTurn[];
  /** Tool calls begun and not ended: the session was in the middle of them. */
  readonly runningTools: readonly ToolRun[];
  readonly lastError: ErrorNote | null;
  /** The client's own summary of what a compaction dropped. */
  readonly compactSummary: string | null;
  /** Where git stood; absent outside of git. */
  readonly git?: { readonly branch: string | null; readonly commit: string | null };
  /** The session that had died before and was handed to this one; absent where there was none. */
  readonly continues?: Predecessor;
  /** Free-form JSON given by the chat. */
  readonly state: unknown;
}

/** What is left of an earlier session in the one that got its brief: enough to find the rest. */
export interface Predecessor {
  readonly session: string;
  readonly goal: string | null;
  readonly nextStep: string | null;
}
