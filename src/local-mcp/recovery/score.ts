import type { WorkState } from "../../contract/work-state.ts";
import type { Checkpoint } from "../checkpoints/checkpoints.ts";
import type { GitHead } from "../sessions/git-head.ts";
import type { FileComparison } from "../snapshots/file-state.ts";

export interface ScorePart {
  readonly name: string;
  /** Share of this part that is there or verified, 0 to 1. */
  readonly share: number;
  readonly weight: number;
}

/** How much of the session can be handed on, 0 to 100, with its parts: a measure of what is verified, never a promise. */
export interface RestoreScore {
  readonly total: number;
  readonly parts: readonly ScorePart[];
}

export interface Restorable {
  readonly state: WorkState;
  readonly files: readonly { readonly now: FileComparison }[];
  readonly head: GitHead | null;
  readonly checkpoint: Checkpoint | null;
}

/**
 * [RE6] The weighted share of what is known and verified: the request 25, what comes next 20, the conversation's tail 15, the files as they
 * were 25, the same branch 15. A part that does not apply (no files touched, no git) is left out and the rest weighs more.
 */
export function score(known: Restorable): RestoreScore {
  const parts = [request(known.state), next(known.state), conversation(known.state), files(known), branch(known)];
  const counted = parts.filter((part) => part !== null);
  const weight = counted.reduce((sum, part) => sum + part.weight, 0);
  const reached = counted.reduce((sum, part) => sum + part.weight * part.share, 0);
  return { total: Math.round((100 * reached) / weight), parts: counted };
}

function request(state: WorkState): ScorePart {
  return { name: "request", weight: 25, share: state.goal || state.lastPrompt ? 1 : 0 };
}

function next(state: WorkState): ScorePart {
  const isStated = state.nextStep !== null || state.todos.some((todo) => todo.status !== "completed");
  const isVisible = state.runningTools.length > 0 || state.conversation.at(-1)?.role === "assistant";
  return { name: "next step", weight: 20, share: isStated ? 1 : isVisible ? 0.5 : 0 };
}

function conversation(state: WorkState): ScorePart {
  return { name: "conversation", weight: 15, share: Math.min(1, state.conversation.length / 2) };
}

function files(known: Restorable): ScorePart | null {
  const comparable = known.files.filter((file) => file.now !== "unknown");
  if (comparable.length === 0) return null;
  const same = comparable.filter((file) => file.now === "same");
  return { name: "files unchanged", weight: 25, share: same.length / comparable.length };
}

function branch(known: Restorable): ScorePart | null {
  const then = known.state.git;
  if (!then) return null;
  const isSame = then.branch === known.head?.branch;
  return { name: "branch", weight: 15, share: isSame ? (then.commit === known.head?.commit ? 1 : 0.5) : 0 };
}
