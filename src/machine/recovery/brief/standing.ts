import type { WorkState } from "../../../contract/work-state.ts";

/** How the chat stood at the last event that is known of it. */
export type Standing = "running" | "interrupted" | "waiting" | "unanswered" | "working" | "unknown";

/** Pure. Decided by the order of events alone. */
export function standingOf(state: WorkState): Standing {
  if (state.runningTools.length > 0) return "running";
  const prompted = newest(state.prompts);
  const worked = Math.max(newest(state.words), newest(state.calls));
  const interrupted = state.interruptedAt ?? never;
  const over = Math.max(state.turnEndedAt ?? never, interrupted);
  // A chat may work on without a prompt: for a background task, or because a hook says so.
  if (over > never && over >= Math.max(prompted, worked - slackMs))
    return interrupted === over ? "interrupted" : "waiting";
  if (prompted > worked) return "unanswered";
  return worked > never ? "working" : "unknown";
}

const never = -1;
/** The last words of a turn may be recorded after its end. */
const slackMs = 2_000;

function newest(all: readonly { readonly at: number }[]): number {
  return all.at(-1)?.at ?? never;
}
