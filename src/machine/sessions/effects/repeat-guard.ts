import type { Config } from "../../../contract/config.ts";
import type { EffectNote, EffectRun, WorkState } from "../../../contract/work-state.ts";
import { formatAgo } from "../../../shared/format.ts";
import { checkOf, effectKey, effectText, outcomeOf } from "../effects.ts";

/** Pure: asks before what cannot be undone is done again after a recovery. */

/**
 * Reason to ask the user before these commands; null: no repetition is known.
 *
 * @param isAsking the client asks its user itself; else the user's next prompt is the answer
 */
export function reasonToAsk(
  state: Pick<WorkState, "effects" | "continues" | "prompts">,
  notes: readonly EffectNote[],
  { guard }: Config["effects"],
  isAsking: boolean,
  now: number,
): string | null {
  if (guard === "off") return null;
  const own = state.effects ?? [];
  const before = [...(state.continues?.effects ?? []), ...own.filter(({ isEarlier }) => isEarlier)];
  const here = own.filter(({ isEarlier }) => !isEarlier);
  const answeredAt = isAsking ? 0 : (state.prompts.at(-1)?.at ?? 0);
  for (const note of notes) {
    const key = effectKey(note);
    // The commit or version of a run without a known outcome may not be known, either.
    const keyWithoutSubject = effectKey({ ...note, subject: "" });
    const known = before.findLast((run) => {
      const ofRun = effectKey(run);
      return ofRun === key || (ofRun === keyWithoutSubject && outcomeOf(run) === "unknown");
    });
    if (!known || !isGuarded(known, note)) continue;
    const last = here.findLast((run) => effectKey(run) === key);
    if (last && isAnswered(last, isAsking, answeredAt)) continue;
    return reasonFor(known, isAsking, now);
  }
  return null;
}

/** Where its target does it only once, a repetition of what is perhaps done already is harmless. */
function isGuarded(run: EffectRun, { isOnce }: EffectNote): boolean {
  const outcome = outcomeOf(run);
  return outcome === "done" || (outcome === "unknown" && !isOnce);
}

/** Whether it ran in this chat with consent, or the user has spoken since it was refused. */
function isAnswered({ outcome, at }: EffectRun, isAsking: boolean, answeredAt: number): boolean {
  if (outcome === "refused") return !isAsking && answeredAt > at;
  return outcome !== undefined;
}

function reasonFor(run: EffectRun, isAsking: boolean, now: number): string {
  const isDone = outcomeOf(run) === "done";
  const way = checkOf(run);
  return [
    `SHIM: ${isDone ? "done already" : "perhaps done already"}, ${formatAgo(now, run.at)}, before this chat was recovered: ${effectText(run)}.`,
    isDone ? "It cannot be undone." : "How it ended is not known, and it cannot be undone.",
    ...(way === null ? [] : [`To find out: \`${way}\`.`]),
    ...(isAsking ? [] : ["Ask the user whether to run it again; after the user's next prompt it is let through."]),
  ].join(" ");
}
