import type { WorkState } from "../../contract/work-state.ts";

/** How the chat stood at the last event that is known of it. */
export type Standing = "running" | "interrupted" | "waiting" | "unanswered" | "working" | "unknown";

/** Pure. Decided by the order of events alone. */
export function standingOf(state: WorkState): Standing {
  const { prompts, words, calls, runningTools, turnEndedAt, interruptedAt } = state;
  if (runningTools.length > 0) return "running";
  const prompted = prompts.at(-1)?.at ?? -1;
  const worked = Math.max(words.at(-1)?.at ?? -1, calls.at(-1)?.at ?? -1);
  const ended = turnEndedAt ?? -1;
  const interrupted = interruptedAt ?? -1;
  if (interrupted >= 0 && interrupted >= prompted && interrupted >= ended) return "interrupted";
  if (ended >= 0 && ended >= prompted) return "waiting";
  if (prompted > worked) return "unanswered";
  return worked >= 0 ? "working" : "unknown";
}
