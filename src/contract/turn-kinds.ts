import type { JournalKind } from "./journal.ts";

/** Kinds of journal entries by their meaning for a chat's turn: the only lists of them. */

export const turnEnds = ["turn_end", "interrupted", "failure"] as const satisfies readonly JournalKind[];

/** A prompt begins a turn. */
export const turnBounds = ["prompt", ...turnEnds] as const satisfies readonly JournalKind[];
export type TurnBound = (typeof turnBounds)[number];

export const callKinds = ["tool_start", "tool_end", "tool_error"] as const satisfies readonly JournalKind[];

export function isTurnEnd(kind: JournalKind): kind is (typeof turnEnds)[number] {
  return turnEnds.some((end) => end === kind);
}

export function isTurnBound(kind: JournalKind): kind is TurnBound {
  return turnBounds.some((bound) => bound === kind);
}

/** SQL: whether a row of the journal begins or ends a turn. */
export const turnBoundSql = `kind IN (${turnBounds.map((kind) => `'${kind}'`).join(", ")})`;
