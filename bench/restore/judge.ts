import { describe, weights, type Fact, type FactKind, type Standing } from "./plan.ts";

export interface Finding {
  readonly fact: string;
  readonly kind: Fact["kind"];
  readonly weight: number;
  readonly isFound: boolean;
}

/** A line that states something that is not so, and why. */
export interface FalseStatement {
  readonly fact: string;
  readonly why: string;
  readonly line: string;
}

export interface Verdict {
  readonly findings: readonly Finding[];
  readonly falseStatements: readonly FalseStatement[];
  /** 0 to 1. */
  readonly recall: number;
}

/** What the files of one session weigh together at most: a session of many edits is not all about files. */
const mostForFiles = 6;

/** Holds a brief against what was planted. See README.md for what counts. */
export function judge(brief: string, facts: readonly Fact[]): Verdict {
  const lines = brief.split("\n");
  const counted = facts.filter((fact) => weights[fact.kind] !== undefined && !isDoneToDo(fact));
  const files = counted.filter((fact) => "path" in fact);
  const findings = counted.map((fact) => {
    const own = weights[fact.kind] ?? 0;
    const weight = "path" in fact ? Math.min(own, mostForFiles / files.length) : own;
    return { fact: describe(fact), kind: fact.kind, weight, isFound: isFound(lines, fact) };
  });
  const falseStatements = facts.flatMap((fact) =>
    falseLines(lines, fact).map(({ why, line }) => ({ fact: describe(fact), why, line: line.slice(0, 240) })),
  );
  const weight = findings.reduce((sum, finding) => sum + finding.weight, 0);
  const found = findings.reduce((sum, finding) => sum + (finding.isFound ? finding.weight : 0), 0);
  return { findings, falseStatements, recall: weight === 0 ? 1 : found / weight };
}

function isDoneToDo(fact: Fact): boolean {
  return fact.kind === "to-do" && fact.isDone;
}

function isFound(lines: readonly string[], fact: Fact): boolean {
  if (fact.kind === "standing") return standingLines(lines).some((line) => line.includes(standingTexts[fact.is]));
  if (fact.kind === "running") return standingLines(lines).some((line) => hasAll(line, fact.words));
  if (!("path" in fact)) return lines.some((line) => hasAll(line, fact.words));
  const isRight = rightState(fact);
  return fileLines(lines, fact.path).some((line) => isRight.test(line));
}

function hasAll(line: string, words: readonly string[]): boolean {
  return words.every((word) => line.includes(word));
}

/** How each standing is stated. */
const standingTexts: Readonly<Record<Standing, string>> = {
  waiting: "waited for the user",
  running: "in mid-turn, running",
  unanswered: "had no answer yet",
};

function standingLines(lines: readonly string[]): string[] {
  return lines.filter((line) => line.startsWith("how it stood"));
}

const asLeft = /: (?:unchanged since|as the chat left it|deleted, as)/;
const differs = /: (?:CHANGED|MISSING)/;
const differsHere = /: (?:DIFFERENT here|NOT HERE)/;
const sameHere = /: the same here/;
const saysChanged = /\((?:edited|created|changed|by)|: (?:CHANGED|MISSING|DIFFERENT here|NOT HERE)/;
const anyState = /\): \S/;

type FileFact = Extract<Fact, { readonly path: string }>;

/** Of a file that only a command or a hand has changed SHIM may know no more than that. */
function rightState(fact: FileFact): RegExp {
  if (fact.kind === "edited by hand") return fact.wasChangedBefore ? differs : anyState;
  return fact.kind === "changed file" && fact.isElsewhere ? differsHere : anyState;
}

interface Claim {
  readonly why: string;
  readonly line: string;
}

type FactOf<Kind extends FactKind> = Extract<Fact, { readonly kind: Kind }>;
type Checks = { readonly [Kind in FactKind]?: (lines: readonly string[], fact: FactOf<Kind>) => Claim[] };

const checks: Checks = {
  standing: (lines, { is }) =>
    claims(standingLines(lines), "it did not stand so", (line) => !line.includes(standingTexts[is])),
  answer: (lines, { rejected }) =>
    claims(lines, "an option that was not chosen", (line) => (line.split(" -> ")[1] ?? "").includes(rejected)),
  "to-do": (lines, { isDone, words }) =>
    claims(isDone ? openToDos(lines) : [], "a to-do that is done", (line) => hasAll(line, words)),
  "left branch": (lines) => claims(lines, "the branch stated as unchanged", (line) => /^git: .*unchanged/.test(line)),
  foreign: (lines, { of, words }) => claims(lines, `of the ${of}`, (line) => hasAll(line, words)),
  "changed file": (lines, { path, isElsewhere }) =>
    claims(fileLines(lines, path), "the state of a file that the chat changed", (line) =>
      (isElsewhere ? sameHere : differs).test(line),
    ),
  "unchanged file": (lines, { path }) =>
    claims(fileLines(lines, path), "an unchanged file stated as changed", (line) => saysChanged.test(line)),
  "edited by hand": (lines, { path }) =>
    claims(fileLines(lines, path), "a file that was edited by hand stated as left", (line) => asLeft.test(line)),
};

/** SHIM's own statements that the fact contradicts. A quotation is no claim. */
function falseLines(lines: readonly string[], fact: Fact): Claim[] {
  const check = checks[fact.kind] as ((lines: readonly string[], fact: Fact) => Claim[]) | undefined;
  return check?.(lines, fact) ?? [];
}

function claims(lines: readonly string[], why: string, isFalse: (line: string) => boolean): Claim[] {
  return lines.filter(isFalse).map((line) => ({ why, line }));
}

/** Lines of the brief's list of files. */
function fileLines(lines: readonly string[], path: string): string[] {
  return lines.filter((line) => line.startsWith(`- ${path} (`));
}

function openToDos(lines: readonly string[]): string[] {
  const from = lines.findIndex((line) => line.startsWith("open to-dos"));
  if (from === -1) return [];
  const rest = lines.slice(from + 1);
  const end = rest.findIndex((line) => !line.startsWith("- "));
  return rest.slice(0, end === -1 ? undefined : end);
}
