import type { LikePrompts } from "../../contract/machine/learning.ts";

/** Pure: what came of earlier prompts that are written like one, in any language. */

export interface PastPrompt {
  readonly text: string;
  /** Calls of its turn, and files that these edited. */
  readonly calls: number;
  readonly edits: number;
}

/**
 * Little work. 144 of 3,243 recorded prompts have five like ones or more that all were; one of
 * them was more, of 736 that were (docs/decisions/0034).
 */
export const smallUntil = { calls: 25, edits: 4 } as const;
export const minLike = 5;
const likeFrom = 0.6;
const maxChars = 2_000;

/** Counts of the earlier prompts, of those that are like a text, and of little work among these. */
export function compareWithPast(text: string, past: readonly PastPrompt[]): LikePrompts {
  const own = trigrams(text);
  const like = past.filter((one) => likeness(own, trigrams(one.text)) >= likeFrom);
  const little = like.filter(({ calls, edits }) => calls < smallUntil.calls && edits < smallUntil.edits);
  return { prompts: past.length, like: like.length, little: little.length };
}

/** Whether at least five are like it, and all of them were little work. */
export function areLikeOnesSmall({ like, little }: LikePrompts): boolean {
  return like >= minLike && little === like;
}

interface Trigrams {
  readonly counts: ReadonlyMap<string, number>;
  readonly length: number;
}

function trigrams(text: string): Trigrams {
  const line = text.slice(0, maxChars).toLowerCase().replaceAll(/\s+/g, " ");
  const counts = new Map<string, number>();
  for (let at = 0; at + 3 <= line.length; at++) {
    const gram = line.slice(at, at + 3);
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  return { counts, length: Math.hypot(...counts.values()) };
}

/** Cosine of the angle between their counts, 0 to 1. */
function likeness(one: Trigrams, other: Trigrams): number {
  let product = 0;
  for (const [gram, count] of one.counts) product += count * (other.counts.get(gram) ?? 0);
  return other.length === 0 ? 0 : product / (one.length * other.length);
}
