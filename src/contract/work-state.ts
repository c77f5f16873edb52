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
  readonly action: "read" | "edited" | "created" | "noted";
  /** State right after the chat's last edit, until a checkpoint hashes it. */
  readonly stamp?: FileStamp;
}

export interface FileStamp {
  readonly bytes: number;
  readonly modifiedMs: number;
}

export interface UserRequest {
  readonly text: string;
  /** Time; null in rows from before times were stored. */
  readonly at: number | null;
  /** Reason why it is not the current subject. */
  readonly kind?: "follow_up" | "question" | "answer" | "rule";
  /** Carries a rule, a limit, a name, a number or a change of mind; thinning skips it. */
  readonly isKept?: true;
}

export interface Remark {
  readonly text: string;
  readonly at: number;
}

export interface Statement {
  readonly text: string;
  readonly at: number | null;
  readonly source: "user" | "chat" | "dialog" | "plan" | "tool" | "summary";
  readonly takenBack?: Remark;
  readonly followedBy?: Remark;
}

export interface TakenBack extends Remark {
  readonly terms: readonly string[];
}

export interface ApprovedPlan extends Remark {
  readonly path?: string;
  /** The chat's words that all of it is done. */
  readonly done?: Remark;
  readonly doneSteps?: readonly string[];
}

export interface ConversationTurn {
  readonly role: "user" | "assistant";
  readonly text: string;
  readonly at: number;
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

export interface ErrorNote {
  readonly at: number;
  readonly text: string;
  /** Absent in rows from before it was stored, and for errors of the client. */
  readonly call?: Pick<ToolRun, "name" | "input">;
  /** The command ran again since, in a way that hides whether it failed. */
  readonly isRunAgain?: true;
}

/** Everything known of a session at one moment. Stored. Add fields as optional. */
export interface WorkState {
  /** Goal in the chat's own words; null until stated. */
  readonly goal: string | null;
  /** First and newest request of the user; never a slash command or an acknowledgement. */
  readonly firstPrompt: string | null;
  readonly lastPrompt: string | null;
  readonly done: readonly string[];
  readonly inProgress: readonly string[];
  readonly nextStep: string | null;
  readonly decisions: readonly string[];
  readonly openQuestions: readonly string[];
  readonly todos: readonly TodoItem[];
  readonly files: readonly FileNote[];
  readonly conversation: readonly ConversationTurn[];
  readonly runningTools: readonly ToolRun[];
  readonly lastError: ErrorNote | null;
  /** Calls of this turn that were interrupted, oldest first. */
  readonly cutOff?: readonly CutOffRun[];
  readonly compactSummary: string | null;
  readonly git?: { readonly branch: string | null; readonly commit: string | null };
  /** Session that died and that this one continues; absent where there was none. */
  readonly continues?: Predecessor;
  /** Substantial requests, oldest first; `thinned` counts removed ones, `kept` despite `isKept`. */
  readonly requests?: readonly UserRequest[];
  readonly thinned?: { readonly plain: number; readonly kept: number };
  readonly orders?: readonly Statement[];
  /** Oldest first; `decisions` has the texts of those from a tool. */
  readonly decided?: readonly Statement[];
  readonly takenBack?: readonly TakenBack[];
  readonly missing?: number;
  readonly plan?: ApprovedPlan;
  readonly clientGoal?: Remark;
  /** Times when the chat stated these fields, and how the next step was given. */
  readonly said?: {
    readonly goal?: number;
    readonly inProgress?: number;
    readonly nextStep?: number;
    readonly nextBy?: "tool" | "chat";
    readonly isBegun?: true;
    readonly todos?: number;
    readonly summary?: number;
    readonly turnEnd?: number;
  };
  readonly firstGit?: { readonly branch: string | null; readonly commit: string | null };
  readonly state: unknown;
}

export interface Predecessor {
  readonly session: string;
  readonly goal: string | null;
  readonly nextStep: string | null;
  readonly orders?: readonly string[];
}
