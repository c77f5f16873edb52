import { hasAll, isSpoken, labelOf, type Line } from "./brief-lines.ts";
import type { Fact, FactKind, FactOf } from "./facts.ts";
import { mentionsOf } from "./judge-files.ts";
import * as says from "./judge-words.ts";

type Shares = { readonly [Kind in FactKind]?: (lines: readonly Line[], fact: FactOf<Kind>) => number };

const shares: Shares = {
  goal: (lines, { words }) => best(lines, words, (line) => isAboutNow(line, words)),
  next: (lines, { words }) => best(lines, words, (line) => says.nextStep.test(labelOf(line, words))),
  order: (lines, { words, isBan, isEnglish }) =>
    best(lines, words, ({ text }) => !isBan || !isEnglish || says.isNegative.test(text)),
  decision: (lines, { words }) => decisionShare(lines, words),
  error: (lines, { words }) => best(lines, words, (line) => says.isError.test(`${line.heading} ${line.text}`)),
  name: (lines, { words }) => best(lines, words, () => true),
  "left-branch": (lines, { words }) => best(lines, words, () => true),
  "changed-file": fileShare,
  "hand-edited": fileShare,
};

/** 1: the fact is there, where it belongs. 0.5: it is there, but a reader has to guess what it is. 0: it is not there. */
export function shareOf(lines: readonly Line[], fact: Fact): number {
  const share = shares[fact.kind] as ((lines: readonly Line[], fact: Fact) => number) | undefined;
  return share?.(lines, fact) ?? 0;
}

/** 1 where a line with all words is the right one, 0.5 where there is only another line with them. */
function best(lines: readonly Line[], words: readonly string[], isRight: (line: Line) => boolean): number {
  const found = lines.filter(({ text }) => hasAll(text, words));
  if (found.some(isRight)) return 1;
  return found.length > 0 ? 0.5 : 0;
}

/** A goal, a last request, or one in a list of what the user asked for. A turn of the conversation alone is not enough. */
function isAboutNow(line: Line, words: readonly string[]): boolean {
  const label = labelOf(line, words);
  if (says.past.test(label)) return false;
  return says.currentGoal.test(label) || (says.asked.test(label) && !isSpoken(line, words));
}

/** A line with subject and value; with the value alone a reader does not know what it is for. */
function decisionShare(lines: readonly Line[], words: readonly string[]): number {
  const whole = best(lines, words, () => true);
  return whole > 0 ? whole : best(lines, words.slice(1), () => false);
}

function fileShare(lines: readonly Line[], fact: FactOf<"changed-file" | "hand-edited">): number {
  const mentions = mentionsOf(lines, fact.path);
  const isRight =
    fact.kind === "hand-edited" && fact.wasChangedBefore
      ? mentions.some(({ isChangedSince }) => isChangedSince)
      : mentions.some(({ isChanged, isChangedSince }) => isChanged || isChangedSince);
  if (isRight) return 1;
  return mentions.length > 0 ? 0.5 : 0;
}
