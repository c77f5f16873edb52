import { createHash } from "node:crypto";
import { conceptOf, type Finding, type Level } from "../analysis/finding.ts";
import type { Hotspot } from "../analysis/report.ts";
import { compare } from "../shared/compare.ts";
import { CandidateFinding, isToolSettings, type Candidate, type Fixer, type Subject } from "./candidate.ts";

const severities: Readonly<Record<Level, number>> = { error: 8, warning: 3, note: 1 };

/** Work of one change, a mechanical one being 1. */
const efforts = {
  fix: 1,
  types: 2,
  lint: 2,
  "dead code": 2,
  complexity: 5,
  duplicates: 5,
  tests: 5,
} as const satisfies Readonly<Record<"fix" | Subject, number>>;

/** A file that is no hotspot counts 1, the hottest one this much. */
const hottest = 4;

/** One run of a fixer, which all findings of a group share. */
export interface Fix {
  readonly fixer: Fixer;
  readonly group: string;
  readonly cascade: readonly Finding[];
}

export interface RankOptions {
  /** Findings that a fixer has removed in a trial, by fingerprint. */
  readonly fixable: ReadonlyMap<string, Fix>;
  /** Tools and rules, or subjects; empty: all. */
  readonly only: readonly string[];
  /** Fingerprints of findings that are not proposed again. */
  readonly rejected: ReadonlySet<string>;
  /** Rules that are rejected more often than usual, as `tool rule`. */
  readonly stopped: ReadonlySet<string>;
  /** [EV211] Fingerprints of findings that are tried alone: a change of several was rejected. */
  readonly alone: ReadonlySet<string>;
}

/** [EV1] [EV2] Pure. A candidate is all that one change removes; the most valuable first. */
export function rank(findings: readonly Finding[], hotspots: readonly Hotspot[], options: RankOptions): Candidate[] {
  const open = findings.filter((one) => isOpen(one, options));
  const groups = Map.groupBy(open, (one) => groupKey(one, options));
  const factors = hotspotFactors(hotspots);
  const candidates = [...groups.values()].flatMap((group) =>
    chunks(group, maxFindings).map((part) => toCandidate(part, factors, options.fixable)),
  );
  return candidates.toSorted(byValue);
}

const maxFindings = 50;

export function byValue(a: Candidate, b: Candidate): number {
  return b.value - a.value || compare(a.files[0] ?? "", b.files[0] ?? "") || compare(a.id, b.id);
}

/** [EV14] Neither rejected by a person nor of a rule that is rejected too often. */
export function isOpen(
  finding: Finding,
  { only, rejected, stopped }: Pick<RankOptions, "only" | "rejected" | "stopped">,
): boolean {
  if (rejected.has(finding.fingerprint) || stopped.has(ruleName(finding))) return false;
  const names = new Set<string>([subjectOf(finding), finding.tool, finding.rule, ruleName(finding)]);
  return only.length === 0 || only.some((name) => names.has(name));
}

export function ruleName({ tool, rule }: Pick<Finding, "tool" | "rule">): string {
  return `${tool} ${rule}`;
}

/** A fixer gets all it can remove in a file; a worker one rule in it, or one complex function. */
function groupKey(finding: Finding, { fixable, alone }: Pick<RankOptions, "fixable" | "alone">): string {
  const { file, fingerprint, tool, rule } = finding;
  const fix = fixable.get(fingerprint);
  const isSingle = fix ? fix.fixer === "unused" && alone.has(fingerprint) : single.has(subjectOf(finding));
  const part = [isSingle ? fingerprint : "", isUnconfirmed(finding, fix)];
  return JSON.stringify(fix ? [fix.fixer, fix.group, ...part] : [conceptOf(tool, rule), file, ...part]);
}

/**
 * [EV106] That code is unused may be wrong where one tool alone reports it, and would spoil a
 * change. Names that become unused in turn are those of the whole group. Other rules see all that
 * they report in the file itself, so a second tool confirms nothing.
 */
function isUnconfirmed(finding: Finding, fix: Fix | undefined): boolean {
  const { others = [] } = finding;
  const { tool, rule } = finding;
  const isUnused = conceptOf(tool, rule).startsWith("unused-");
  return isUnused && fix?.fixer !== "lint-fix" && !fix?.cascade.length && others.length === 0;
}

const single: ReadonlySet<Subject> = new Set(["complexity", "duplicates"]);

function subjectOf({ tool, rule }: Pick<Finding, "tool" | "rule">): Exclude<Subject, "tests"> {
  const concept = conceptOf(tool, rule);
  if (concept === "complexity" || tool === "complexity") return "complexity";
  if (concept === "duplicate" || tool === "jscpd") return "duplicates";
  if (tool === "tsc") return "types";
  return tool === "knip" || tool === "fallow" ? "dead code" : "lint";
}

/** Findings about packages and whole files, which a model may not decide. */
const personConcepts = new Set(["unused-file", "unused-dependency", "unlisted-dependency", "unresolved-import"]);
const sourceFile = /\.[cm]?[jt]sx?$/;

function methodOf({ tool, rule, file }: Finding): Candidate["method"] {
  return sourceFile.test(file) && !isToolSettings(file) && !personConcepts.has(conceptOf(tool, rule))
    ? "worker"
    : "person";
}

function toCandidate(
  group: readonly Finding[],
  factors: ReadonlyMap<string, number>,
  fixable: RankOptions["fixable"],
): Candidate {
  const [first] = group;
  if (!first) throw new Error("a group has findings");
  const { fixer = null, cascade = [] } = fixable.get(first.fingerprint) ?? {};
  const method = fixer === null ? methodOf(first) : "fix";
  const subject = subjectOf(first);
  const files = [
    ...new Set([...group, ...cascade].flatMap((one) => [one, ...(one.related ?? [])].map(({ file }) => file))),
  ];
  const severity = group.reduce((sum, { level }) => sum + severities[level], 0);
  const hotspot = Math.max(...files.map((file) => factors.get(file) ?? 1));
  const effort = efforts[fixer === null ? subject : "fix"];
  return {
    id: candidateId([method, fixer ?? "", ...group.map(({ fingerprint }) => fingerprint).toSorted()]),
    subject,
    method,
    fixer,
    files: files.slice(0, maxFiles),
    findings: group.map(toStored),
    cascade: cascade.slice(0, maxCascade).map(toStored),
    value: round((severity * hotspot) / effort),
    severity,
    hotspot,
    effort,
  };
}

/** [EV16] Tests for the hottest files, which stand beside the findings. */
export function testCandidates(hotspots: readonly Hotspot[]): Candidate[] {
  const factors = hotspotFactors(hotspots);
  return hotspots.slice(0, maxTestFiles).map(({ file }): Candidate => {
    const hotspot = factors.get(file) ?? 1;
    const severity = severities.warning;
    const effort = efforts.tests;
    return {
      id: candidateId(["tests", file]),
      subject: "tests",
      method: "worker",
      fixer: null,
      files: [file],
      findings: [],
      cascade: [],
      value: round((severity * hotspot) / effort),
      severity,
      hotspot,
      effort,
    };
  });
}

const maxTestFiles = 5;
const maxFiles = 100;
const maxCascade = 200;
const maxMessageChars = 300;

function toStored({ message, ...finding }: CandidateFinding): CandidateFinding {
  return CandidateFinding.parse({ ...finding, message: message.slice(0, maxMessageChars) });
}

function candidateId(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 12);
}

/** Rises with the score of a file, from 1 to `hottest`. */
function hotspotFactors(hotspots: readonly Hotspot[]): Map<string, number> {
  const highest = Math.max(1, ...hotspots.map(({ score }) => score));
  return new Map(hotspots.map(({ file, score }) => [file, round(1 + ((hottest - 1) * score) / highest)]));
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, at) => items.slice(at * size, (at + 1) * size));
}
