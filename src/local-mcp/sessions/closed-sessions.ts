import type { WorkState } from "../../contract/work-state.ts";
import type { Session } from "./sessions.ts";

/**
 * Sessions that their client closed in good order between two turns, without the user having ended them: a closed terminal, a logout, a shutdown.
 * Stored as the reason why the session was detached.
 */

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

/** Of sessions without an end mark: whether something may be lost. */
export function hasDied(session: DetachedSession): boolean {
  return !isClosedWithNothingOpen(session);
}

/** [RE51] Whether the chat had something left to do, or had asked the user something, when its last turn ended. */
export function hasOpenWork({ todos, inProgress, openQuestions, conversation }: WorkState): boolean {
  if (inProgress.length > 0 || openQuestions.length > 0) return true;
  if (todos.some(({ status }) => status !== "completed")) return true;
  const last = conversation.at(-1);
  return last?.role === "assistant" && endsInQuestion(last.text);
}

/** Marks of Markdown and quotes may follow the question mark. */
function endsInQuestion(text: string): boolean {
  return /[?\uff1f\u061f][\s*_`"')\]\u201d\u00bb]*$/.test(text);
}
