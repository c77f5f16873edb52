import type { LostPart } from "../../contract/machine/native.ts";

/** A session without what the form of one client alone can hold. */

interface Timed {
  /** Epoch ms; null: not known. */
  readonly at: number | null;
}

/** Words of the user, or of the model. */
interface Said<Kind> extends Timed {
  readonly kind: Kind;
  readonly text: string;
}

export interface Call extends Timed {
  readonly kind: "call";
  readonly id: string;
  /** Claude Code's name of the tool; a tool that it does not have keeps its own. */
  readonly name: string;
  /** In Claude Code's words for a tool that has its name. */
  readonly input: unknown;
}

export interface CallResult extends Timed {
  readonly kind: "result";
  /** Id of the call. */
  readonly of: string;
  readonly text: string;
  readonly isError: boolean;
}

/** Words that stood for all that precedes them when the model was asked. */
interface Summary extends Timed {
  readonly kind: "summary";
  readonly text: string;
}

export type Item = Said<"prompt"> | Said<"answer"> | Call | CallResult | Summary;

export interface Conversation {
  /** Its id at the client that wrote it. */
  readonly session: string;
  /** Session whose sub-agent it is; null: none. */
  readonly parent: string | null;
  /** Model of the last answer; null: not known. */
  readonly model: string | null;
  /** Each call has a result, and those of calls at once follow the last of these. */
  readonly items: readonly Item[];
  readonly lost: ReadonlyMap<LostPart, number>;
  /** Parts of the file that could not be read, or are missing. */
  readonly damages: number;
}
