import { expect, it } from "vitest";
import { afterCompaction, inBrief, stored } from "#src/contract/limits.ts";

type Stored = keyof typeof stored;

/** Each text that is shown, and what is stored of it. */
const sources: readonly (readonly [shown: number, Stored])[] = [
  [inBrief.newestPrompt, "prompt"],
  [inBrief.recentPrompt, "prompt"],
  [inBrief.olderPrompt, "olderPrompt"],
  [inBrief.answered, "answered"],
  [inBrief.lastWords, "assistant"],
  [inBrief.otherWords, "firstWords"],
  [inBrief.otherWords, "assistant"],
  [inBrief.call, "input"],
  [inBrief.effectCommand, "effect"],
  [inBrief.error, "callError"],
  [inBrief.plan, "plan"],
  [inBrief.planLine, "plan"],
  [inBrief.summary.fresh, "summary"],
  [inBrief.summary.fresh, "offeredSummary"],
  [inBrief.answer, "subagent"],
  [inBrief.path, "path"],
  [afterCompaction.lastPrompt, "prompt"],
  [afterCompaction.prompt, "olderPrompt"],
  [afterCompaction.words, "assistant"],
  [afterCompaction.answer, "input"],
];

function charsOf(name: Stored): number {
  const limit = stored[name];
  return typeof limit === "number" ? limit : limit.head + limit.tail;
}

it("of no text less is stored than is shown of it", () => {
  const tooLittle = sources.filter(([shown, name]) => charsOf(name) < shown);
  expect(tooLittle).toEqual([]);
});
