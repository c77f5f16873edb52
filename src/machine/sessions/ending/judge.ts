import type { EndSeen, Ending } from "../../../contract/ending.ts";
import type { Life } from "../../../contract/work-state.ts";

/**
 * Pure: no storage, no clock.
 * How a session is over follows from what was seen of its end, and from where its chat stood:
 * {@link judge} alone decides it. A later fact has it judged again, whatever came first.
 */

export type Signs = Ending["signs"];

export interface Ground {
  /** Its turns; null: nothing of them was seen. */
  readonly life: Life | null;
  /** Its process is gone, or cannot be seen and says nothing any more. */
  readonly isGone: boolean;
  readonly lastSeenAt: number;
  /** Its client reports no end of it. */
  readonly isSilent: boolean;
  /** The end of its front says how such a client has ended. */
  readonly isSeenByFront: boolean;
  /** @returns null: it cannot be known */
  readonly hasOpenWork: () => boolean | null;
  /** Whether a call failed in the moment before. */
  readonly wasCutOff: (at: number) => boolean;
  /** Whether a call was open at a time. */
  readonly wasInCall: (at: number) => boolean;
  /** Whether a person has had a part of it. */
  readonly isPersons: boolean;
}

export type Verdict = Pick<Ending, "how" | "at" | "isOpen" | "reason">;

/** Pure. @returns null: no end was seen */
export function judge(signs: Signs, ground: Ground): Verdict | null {
  const { left, exit, asked, signal, front, gone } = signs;
  if (left) return endedBy(left);
  if (exit) return turnOf(ground, exit.at, true) ?? endedBy(exit);
  if (asked) return turnOf(ground, asked.at, false) ?? closedBy(asked, ground);
  const detached = signal ?? front;
  if (ground.isGone) return judgeGone(detached, gone?.at ?? ground.lastSeenAt, ground);
  return detached ? { how: "detached", at: detached.at, reason: detached.reason, isOpen: true } : null;
}

function endedBy({ at, reason }: EndSeen): Verdict {
  return { how: "ended", at, reason, isOpen: false };
}

/** Reason of a death in the middle of a turn that the client itself has reported. */
export const interruptedReason = "interrupted";

/** A user cannot read an answer and close the terminal within this time. */
export const hangUpMs = 3_000;

/**
 * A client that is asked to end in mid-turn may write that its user has interrupted it.
 *
 * @returns the death in mid-turn; null: the turn was over
 */
function turnOf({ life: stood }: Ground, at: number, isAnyEnd: boolean): Verdict | null {
  if (isUnused(stood)) return null;
  const over = stood?.turn?.over;
  const isOver = over?.how === "done" || (over?.how === "interrupted" && (isAnyEnd || at - over.at > hangUpMs));
  return isOver ? null : { how: "died", at, reason: interruptedReason, isOpen: true };
}

function isUnused(stood: Life | null): boolean {
  return stood === null || (stood.turn === null && stood.calls.length === 0);
}

/**
 * The ordinary end of a script has the same reason as a closed terminal. A script that
 * continues a person's chat does not finish the person's work.
 */
function closedBy(asked: EndSeen, ground: Ground): Verdict {
  if (isUnused(ground.life) || (asked.isScripts && !ground.isPersons)) return endedBy(asked);
  if (asked.isScripts) return { how: "closed", at: asked.at, reason: asked.reason, isOpen: true };
  const isOpen = ground.hasOpenWork() === true || ground.wasCutOff(asked.at);
  return { how: "closed", at: asked.at, reason: asked.reason, isOpen };
}

/** Reasons of a front that was ended by a client which was alive. */
const orderlyReasons: ReadonlySet<string> = new Set(["stdin_end", "sigterm"]);

/** Where no event says that a chat was closed, the end of its last turn does. */
function judgeGone(front: EndSeen | undefined, goneAt: number, ground: Ground): Verdict {
  const seen = front ?? { at: goneAt, reason: "gone" };
  const died = { how: "died", at: seen.at, reason: seen.reason, isOpen: true } as const;
  if (!ground.isSilent || !isAfterTurn(ground.life)) return died;
  if (isCutShort(ground, seen.at)) return { ...died, reason: interruptedReason };
  if (ground.isSeenByFront && orderlyReasons.has(seen.reason)) return endedBy({ at: goneAt, reason: "quit" });
  const isOpen = ground.hasOpenWork();
  return isOpen === null ? died : { how: "closed", at: goneAt, reason: seen.reason, isOpen };
}

/** A client that is closed in mid-turn may end the turn first, and its calls after that. */
function isCutShort({ life: stood, wasInCall }: Ground, at: number): boolean {
  const over = stood?.turn?.over?.at;
  return over !== undefined && at - over <= hangUpMs && wasInCall(over);
}

/** By its own end, or by the user's. */
function isAfterTurn(stood: Life | null): boolean {
  const how = stood?.turn?.over?.how;
  return how === "done" || how === "interrupted";
}
