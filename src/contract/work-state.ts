/** No schema: the hook loads this file, and only SHIM writes these rows. */

export interface TodoItem {
  readonly id?: string;
  readonly text: string;
  readonly status: "pending" | "in_progress" | "completed";
}

export interface FileNote {
  readonly path: string;
  /** SHA-256 at the checkpoint; null: absent, or not read (see `skipped`). */
  readonly hash: string | null;
  /** Reason not to hash: too large, looks secret, unreadable. */
  readonly skipped?: string;
  readonly action: "read" | "edited" | "created" | "deleted" | "noted";
  /** State right after the chat's last edit, until a checkpoint hashes it. */
  readonly stamp?: FileStamp;
}

export interface FileStamp {
  readonly bytes: number;
  readonly modifiedMs: number;
}

/** A text of someone at a time (epoch ms). */
export interface Remark {
  readonly text: string;
  readonly at: number;
}

/** A prompt of the user. Older ones are shortened. */
export interface UserPrompt extends Remark {
  /** Characters of the whole prompt; absent: the text is whole. */
  readonly chars?: number;
  /** End of the chat's words that a short prompt answers. */
  readonly answers?: string;
}

export interface DialogAnswer {
  readonly question: string;
  readonly answer: string;
  readonly at: number;
}

export interface ApprovedPlan extends Remark {
  readonly path?: string;
}

export interface ToolRun {
  readonly id: string;
  readonly name: string;
  readonly input: string;
  readonly startedAt: number;
}

export interface CutOffRun extends ToolRun {
  readonly cutOffAt: number;
}

/** A call that has ended. */
export interface EndedCall {
  readonly name: string;
  readonly input: string;
  readonly at: number;
  /** Output of a call that failed. */
  readonly error?: string;
  /** Its command ran on, and no end of that is known. */
  readonly runsOn?: true;
}

/** Fields whose time is kept, each with the time (epoch ms) when it last changed. */
export type StatedField =
  | "goal"
  | "done"
  | "inProgress"
  | "nextStep"
  | "decisions"
  | "openQuestions"
  | "state"
  | "todos"
  | "summary"
  /** A compaction whose summary is not known. */
  | "compaction";

/** Everything known of a session at one moment. Stored. */
export interface WorkState {
  /** Saved by the chat through a tool, in its words. */
  readonly goal: string | null;
  readonly done: readonly string[];
  readonly inProgress: readonly string[];
  readonly nextStep: string | null;
  readonly decisions: readonly string[];
  readonly openQuestions: readonly string[];
  readonly state: unknown;
  readonly todos: readonly TodoItem[];
  readonly statedAt: { readonly [Field in StatedField]?: number };
  /** In the order of their time; the first and the newest are never dropped. */
  readonly prompts: readonly UserPrompt[];
  /** Prompts that made room for newer ones. */
  readonly droppedPrompts: number;
  /** Newest texts of the chat, in the order of their time. */
  readonly words: readonly Remark[];
  /** The chat's last words before each of the newest prompts, shortened, oldest first. */
  readonly earlierWords: readonly Remark[];
  /** First longer texts of the chat since the newest prompt, shortened. */
  readonly firstWords: readonly Remark[];
  readonly answers: readonly DialogAnswer[];
  readonly files: readonly FileNote[];
  readonly runningTools: readonly ToolRun[];
  /** Newest calls that have ended, in the order of their ends. */
  readonly calls: readonly EndedCall[];
  /** Calls of this turn that were interrupted, oldest first. */
  readonly cutOff: readonly CutOffRun[];
  /** Last failure of the client itself. */
  readonly failure: Remark | null;
  /** Epoch ms of the last end and the last interruption of a turn. */
  readonly turnEndedAt: number | null;
  readonly interruptedAt: number | null;
  readonly compactSummary: string | null;
  readonly compactions: number;
  readonly plan: ApprovedPlan | null;
  readonly clientGoal: Remark | null;
  /** Absent: the project has no repository. */
  readonly git?: GitPosition;
  readonly firstGit?: GitPosition;
  /** Named by an imported transcript: at the start with a commit, at the end without one. */
  readonly writtenGit?: GitPosition;
  /** Session that died and that this one continues. */
  readonly continues?: Predecessor;
}

export interface GitPosition {
  readonly branch: string | null;
  readonly commit: string | null;
}

export interface Predecessor {
  readonly session: string;
  /** Prompts of it and of those before it, shortened, oldest first. */
  readonly prompts: readonly UserPrompt[];
}
