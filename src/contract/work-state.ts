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
  /** As it was right after the chat's last edit, while no checkpoint has hashed it since. */
  readonly stamp?: FileStamp;
}

export interface FileStamp {
  readonly bytes: number;
  readonly modifiedMs: number;
}

/** What the user asked for, reduced to its gist. */
export interface UserRequest {
  readonly text: string;
  /** Null: before times were kept. */
  readonly at: number | null;
  /** Why it is not what the work is about now: it adds to the request before, asks, answers, or only sets a rule. */
  readonly kind?: "follow_up" | "question" | "answer" | "rule";
  /** It carries a rule, a limit, a name, a number or a change of mind: thinning passes it over. */
  readonly isKept?: true;
}

export interface Remark {
  readonly text: string;
  readonly at: number;
}

/** A rule or a decision, and who said so. */
export interface Statement {
  readonly text: string;
  /** Null: before times were kept. */
  readonly at: number | null;
  readonly source: "user" | "chat" | "dialog" | "plan" | "tool" | "summary";
  /** What took it back. */
  readonly takenBack?: Remark;
  /** Said later, and perhaps of the same thing. */
  readonly followedBy?: Remark;
}

/** Words that took something back, and the words that name what is no longer so. */
export interface TakenBack extends Remark {
  readonly terms: readonly string[];
}

export interface ApprovedPlan extends Remark {
  readonly path?: string;
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
  /** The first and the newest request of the user; never a slash command or an acknowledgement. */
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
  /** Every substantial request, oldest first; how many were thinned out, and how many of those that should have stayed. */
  readonly requests?: readonly UserRequest[];
  readonly thinned?: { readonly plain: number; readonly kept: number };
  /** The user's standing orders, oldest first. */
  readonly orders?: readonly Statement[];
  /** With source and time, oldest first; `decisions` has the texts of those that a tool gave. */
  readonly decided?: readonly Statement[];
  readonly takenBack?: readonly TakenBack[];
  /** How many orders and decisions there was no room for. */
  readonly missing?: number;
  readonly plan?: ApprovedPlan;
  /** The condition of the client's own `/goal`. */
  readonly clientGoal?: Remark;
  /** When the chat said what the fields of these names hold, and how the next step was given. */
  readonly said?: {
    readonly goal?: number;
    readonly inProgress?: number;
    readonly nextStep?: number;
    readonly nextBy?: "tool" | "chat";
    /** A file that the step names has been edited since. */
    readonly isBegun?: true;
    readonly todos?: number;
    readonly summary?: number;
    /** When the last turn ended. */
    readonly turnEnd?: number;
  };
  /** Where git stood when the session began. */
  readonly firstGit?: { readonly branch: string | null; readonly commit: string | null };
  /** Free-form JSON given by the chat. */
  readonly state: unknown;
}

/** What is left of an earlier session in the one that got its brief: enough to find the rest. */
export interface Predecessor {
  readonly session: string;
  readonly goal: string | null;
  readonly nextStep: string | null;
  /** Standing orders that held in it. */
  readonly orders?: readonly string[];
}
