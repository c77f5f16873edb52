import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { mean, median } from "simple-statistics";
import { estimateTokenCount } from "tokenx";
import { claudeBinary } from "../../scripts/install-claude.ts";
import { CannotMeasureError, needed, range, scaled } from "../measure.ts";
import { kindNames, makeSession } from "./kinds.ts";
import { describe, weights, type Fact, type FactKind, type Standing, type SessionPlan } from "./plan.ts";
import { play } from "./play.ts";

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

interface Verdict {
  readonly findings: readonly Finding[];
  readonly falseStatements: readonly FalseStatement[];
  /** 0 to 1. */
  readonly recall: number;
}

/** What the files of one session weigh together at most: a session of many edits is not all about files. */
const mostForFiles = 6;

/** Holds a brief against what was planted. See README.md for what counts. */
function judge(brief: string, facts: readonly Fact[]): Verdict {
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

const asLeft = /: (?:unchanged since|as the chat left it|deleted, as|"same")/;
const differs = /: (?:CHANGED|MISSING)/;
const differsHere = /: (?:DIFFERENT here|NOT HERE)/;
const sameHere = /: (?:the same here|"same")/;
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

/** One session as it was measured. */
interface Measured extends Verdict {
  readonly tokens: number;
}

/** How much of generated sessions the next chat is given, with the real client. See README.md. */
export async function restore(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: "string", default: "7" },
      sessions: { type: "string", default: String(scaled(kindNames.length)) },
      only: { type: "string", multiple: true, default: [] },
      keep: { type: "string" },
      jobs: { type: "string", default: "2" },
    },
  });
  const [seed, count, jobs] = [values.seed, values.sessions, values.jobs].map(Number) as [number, number, number];
  if (![seed, count, jobs].every((value) => Number.isInteger(value) && value >= 0))
    throw new CannotMeasureError("--seed, --sessions and --jobs are numbers.");
  needed(claudeBinary);
  const plans = range(count, (index) => makeSession(seed, index)).filter(
    ({ name }) => values.only.length === 0 || values.only.some((part) => name.includes(part)),
  );
  if (plans.length === 0) throw new CannotMeasureError(`There is no such kind, only ${kindNames.join(", ")}.`);
  const measured: Measured[] = [];
  const work = async (): Promise<void> => {
    for (let plan = plans.shift(); plan; plan = plans.shift()) measured.push(await measure(plan, values.keep ?? null));
  };
  await Promise.all(range(Math.max(1, jobs), work));
  const recalls = measured.map(({ recall }) => recall);
  return {
    sessions: measured.length,
    recall: mean(recalls),
    leastRecall: Math.min(...recalls),
    falseStatements: measured.reduce((sum, { falseStatements }) => sum + falseStatements.length, 0),
    tokens: median(measured.map(({ tokens }) => tokens)),
  };
}

/** Runs a session and judges what the next chat was given. @param keep a folder for the brief, or null */
async function measure(plan: SessionPlan, keep: string | null): Promise<Measured> {
  const brief = await play(plan);
  const verdict = judge(brief, plan.facts);
  if (keep !== null) keepBrief(keep, plan, brief, verdict);
  const ended = `${plan.name} (${plan.endsBy}, ${plan.endsIn})`;
  console.error(`${ended}: recall ${Math.round(100 * verdict.recall)} %`);
  for (const { fact, isFound } of verdict.findings) if (!isFound) console.error(`  missing: ${fact}`);
  for (const { fact, why, line } of verdict.falseStatements) console.error(`  FALSE: ${why}: ${fact}\n    ${line}`);
  return { ...verdict, tokens: estimateTokenCount(brief) };
}

function keepBrief(folder: string, plan: SessionPlan, brief: string, verdict: Verdict): void {
  mkdirSync(folder, { recursive: true });
  const at = (ending: string): string => join(folder, `${plan.name.replaceAll(/\W+/g, "-")}${ending}`);
  writeFileSync(at(".brief.txt"), brief);
  const known = { facts: plan.facts.map(describe), main: plan.main, verdict };
  writeFileSync(at(".json"), `${JSON.stringify(known, null, 2)}\n`);
}
