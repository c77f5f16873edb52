import type { FileNote, WorkState } from "../../contract/work-state.ts";
import type { FileComparison } from "../../snapshots/file-state.ts";

export interface ScorePart {
  readonly name: "prompts" | "end" | "files";
  /** 0 to 1. */
  readonly share: number;
  /** The figures, for a person. */
  readonly text: string;
}

/**
 * The part of a session that its brief has, as far as it can be counted: prompts quoted of prompts
 * made, whether the end of the conversation is there, files as the chat left them. `total` is the
 * mean of the parts that apply, 0 to 100. It says nothing of how good the work was.
 */
export interface RestoreScore {
  readonly total: number;
  readonly parts: readonly ScorePart[];
}

export interface ScoredFile {
  readonly now: FileComparison;
  readonly action: FileNote["action"];
  readonly isCommitted?: true;
}

/**
 * Pure. [RE76]
 * @param quoted positions in `state.prompts` of those that the brief quotes
 */
export function score(state: WorkState, files: readonly ScoredFile[], quoted: ReadonlySet<number>): RestoreScore {
  const parts = [...promptsPart(state, quoted), ...endPart(state), ...filesPart(files)];
  const sum = parts.reduce((all, { share }) => all + share, 0);
  return { total: parts.length === 0 ? 0 : Math.round((100 * sum) / parts.length), parts };
}

function promptsPart({ prompts, droppedPrompts }: WorkState, quoted: ReadonlySet<number>): ScorePart[] {
  const made = prompts.length + droppedPrompts;
  const text = `${quoted.size} of ${made} prompts quoted`;
  return made === 0 ? [] : [{ name: "prompts", share: quoted.size / made, text }];
}

function endPart({ prompts, words }: WorkState): ScorePart[] {
  if (prompts.length === 0) return [];
  const isThere = words.length > 0;
  const text = isThere ? "the end of the conversation is there" : "no words of the chat are known";
  return [{ name: "end", share: isThere ? 1 : 0, text }];
}

function filesPart(files: readonly ScoredFile[]): ScorePart[] {
  const own = files.filter(({ action, isCommitted }) => action !== "read" && !isCommitted);
  if (own.length === 0) return [];
  const asLeft = own.filter(({ now }) => now === "same" || now === "deleted").length;
  const unknown = own.filter(({ now }) => now === "unknown").length;
  const notes = unknown > 0 ? `, ${unknown} not verified` : "";
  // "0 of 7 as left" would say that they have changed.
  const isAllUnknown = unknown === own.length;
  const text = isAllUnknown
    ? `${unknown === 1 ? "1 file" : `${unknown} files`} not verified`
    : `${asLeft} of ${own.length} files as left${notes}`;
  return [{ name: "files", share: asLeft / own.length, text }];
}
