import { hasAll, isSpoken, labelOf, sentenceOf, type Line } from "./brief-lines.ts";
import type { Fact, FactKind, FactOf } from "./facts.ts";
import { mentionsOf, type Mention } from "./judge-files.ts";
import * as says from "./judge-words.ts";

/** A line that says something that is not so, and why. */
export interface Falsehood {
  readonly why: string;
  readonly line: string;
}

type Checks = { readonly [Kind in FactKind]?: (lines: readonly Line[], fact: FactOf<Kind>) => Falsehood[] };

const checks: Checks = {
  "finished-goal": (lines, { words }) =>
    where(lines, words, "a finished goal stated as current", (line) => isClaimedGoal(line, words)),
  "not-the-goal": (lines, { words }) =>
    where(lines, words, "a subagent's task stated as the goal", (line) => isClaimedGoal(line, words)),
  "done-step": (lines, { words }) =>
    where(lines, words, "a done step stated as the next one", (line) => isClaimedNext(line, words)),
  reversed: reversedFalsely,
  rejected: (lines, { value, chosen }) =>
    where(lines, [value], "an option that was not chosen stated as decided", (line) => {
      return says.decisionLabel.test(labelOf(line, [value])) && !line.text.includes(chosen);
    }),
  "solved-error": (lines, { words }) =>
    where(lines, words, "a solved error stated as open", (line) => isClaimedError(line, words)),
  error: (lines, { words }) =>
    where(lines, words, "an open error stated as solved", (line) => isClaimedSolved(labelOf(line, words))),
  foreign: (lines, { words, of }) =>
    where(lines, words, `of the ${of}`, ({ heading, text }) => !says.otherSession.test(`${heading} ${text}`)),
  "left-branch": (lines, { words }) =>
    where(lines, words, "the branch stated as unchanged", ({ text }) => says.saysSame.test(text)),
  "changed-file": filesFalsely,
  "unchanged-file": filesFalsely,
  "hand-edited": filesFalsely,
};

export function falseIn(lines: readonly Line[], fact: Fact): Falsehood[] {
  const check = checks[fact.kind] as ((lines: readonly Line[], fact: Fact) => Falsehood[]) | undefined;
  return check?.(lines, fact) ?? [];
}

function where(
  lines: readonly Line[],
  words: readonly string[],
  why: string,
  isFalse: (line: Line) => boolean,
): Falsehood[] {
  const found = lines.filter((line) => hasAll(line.text, words) && isFalse(line));
  return found.map((line) => ({ why, line: `${line.heading} > ${line.text}` }));
}

function isClaimedGoal(line: Line, words: readonly string[]): boolean {
  if (isSpoken(line, words)) return false;
  const label = labelOf(line, words);
  const isMarked = /[([][^)\]]*\b(finished|done|completed?|earlier|first|x)\b[^)\]]*[)\]]|✓/.test(line.text);
  return says.currentGoal.test(label) && !says.past.test(label) && !isMarked;
}

function isClaimedNext(line: Line, words: readonly string[]): boolean {
  if (isSpoken(line, words)) return false;
  const isMarked = says.isDone.test(sentenceOf(line.text, words)) || says.isDone.test(labelOf(line, words));
  return says.nextStep.test(labelOf(line, words)) && !isMarked;
}

function isClaimedError(line: Line, words: readonly string[]): boolean {
  if (isSpoken(line, words)) return false;
  return says.errorLabel.test(labelOf(line, words)) && !says.isSolved.test(`${line.heading} ${line.text}`);
}

function isClaimedSolved(label: string): boolean {
  return /\b(solved|fixed|resolved)\b/.test(label) && !/\b(un|not )(solved|fixed|resolved)/.test(label);
}

/**
 * A value that was given up may be named where its line says so. Among decisions it may also be named where another line of the
 * same list takes it back; elsewhere, such as in the conversation, wherever the brief names the value that came instead.
 */
function reversedFalsely(lines: readonly Line[], fact: FactOf<"reversed">): Falsehood[] {
  const { subject, oldValue, newValue } = fact;
  const hasReversal = lines.some(({ text }) => hasAll(text, [subject, newValue]));
  return where(lines, [oldValue], "a value that was given up, without what came instead", (line) => {
    if (line.text.includes(newValue) || says.isReversal.test(sentenceOf(line.text, [oldValue]))) return false;
    if (!says.decisionLabel.test(labelOf(line, [oldValue]))) return !hasReversal;
    return !lines.some(({ section, text }) => section === line.section && hasAll(text, [oldValue, newValue]));
  });
}

type FileFact = FactOf<"changed-file" | "unchanged-file" | "hand-edited">;

function filesFalsely(lines: readonly Line[], fact: FileFact): Falsehood[] {
  const { why, isFalse } = fileClaims[fact.kind];
  return mentionsOf(lines, fact.path)
    .filter(isFalse)
    .map(({ line }) => ({ why, line }));
}

const fileClaims: Record<FileFact["kind"], { readonly why: string; readonly isFalse: (mention: Mention) => boolean }> =
  {
    "changed-file": {
      why: "a changed file stated as unchanged",
      isFalse: ({ isSame, isChanged }) => isSame && !isChanged,
    },
    "unchanged-file": {
      why: "an unchanged file stated as changed",
      isFalse: ({ isSame, isChanged, isChangedSince }) => !isSame && (isChanged || isChangedSince),
    },
    "hand-edited": { why: "a file that was edited by hand stated as unchanged", isFalse: ({ isSame }) => isSame },
  };
