import type { WorkState } from "../../contract/work-state.ts";
import type { Session } from "./sessions.ts";

/** Sessions closed in order by their client (a closed terminal, a logout, a shutdown). */

const closedReasons = { withNothingOpen: "closed", withOpenWork: "closed_open" } as const;

type DetachedSession = Pick<Session, "detachReason">;

export function closedReason(hasOpenWork: boolean): string {
  return hasOpenWork ? closedReasons.withOpenWork : closedReasons.withNothingOpen;
}

export function isClosed({ detachReason }: DetachedSession): boolean {
  return isClosedWithNothingOpen({ detachReason }) || detachReason === closedReasons.withOpenWork;
}

export function isClosedWithNothingOpen({ detachReason }: DetachedSession): boolean {
  return detachReason === closedReasons.withNothingOpen;
}

export function hasDied(session: DetachedSession): boolean {
  return !isClosedWithNothingOpen(session);
}

/** Returns whether the last turn ended with work left or a question to the user. */
export function hasOpenWork({ todos, inProgress, openQuestions, words, prompts }: WorkState): boolean {
  if (inProgress.length > 0 || openQuestions.length > 0) return true;
  if (todos.some(({ status }) => status !== "completed")) return true;
  const last = words.at(-1);
  return last !== undefined && last.at >= (prompts.at(-1)?.at ?? 0) && endsInQuestion(last.text);
}

/** Markdown marks and quotes may follow the question mark. */
function endsInQuestion(text: string): boolean {
  return /[?\uff1f\u061f][\s*_`"')\]\u201d\u00bb]*$/.test(text);
}
