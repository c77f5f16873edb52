import { createHash } from "node:crypto";
import { conceptOf, type Finding, type Level } from "../analysis/finding.ts";
import type { Hotspot } from "../analysis/report.ts";
import { compare } from "../../shared/compare.ts";
import {
  CandidateFinding,
  isToolSettings,
  sourceExtension,
  type Candidate,
  type Fixer,
  type Subject,
} from "./candidate.ts";

const severities: Readonly<Record<Level, number>> = { error: 8, warning: 3, note: 1 };

/** Work of one change, a mechanical one being 1. */
const efforts = {
  fix: 1,
  types: 2,
  lint: 2,
  "dead code": 2,
  complexity: 5,
  duplicates: 5,
} as const satisfies Readonly<Record<"fix" | Subject, number>>;

/** A file that is no hotspot counts 1, the hottest one this much. */
const hottest = 4;
const maxFindings = 50;
const maxFiles = 100;
const maxMessageChars = 300;

/**
 * Pure. A candidate is all that one change removes; the most valuable first.
 *
 * @param findings those that are open
 * @param fixable findings that a fixer removes, by fingerprint
 */
export function rank(
  findings: readonly Finding[],
  hotspots: readonly Hotspot[],
  fixable: ReadonlyMap<string, Fixer>,
): Candidate[] {
  const groups = Map.groupBy(findings, (one) => groupKey(one, fixable.get(one.fingerprint)));
  const highest = Math.max(1, ...hotspots.map(({ score }) => score));
  const factors = new Map(hotspots.map(({ file, score }) => [file, 1 + ((hottest - 1) * score) / highest]));
  const candidates = [...groups.values()].flatMap((group) => toCandidate(group, factors, fixable) ?? []);
  return candidates.toSorted(
    (a, b) => b.value - a.value || compare(a.files[0] ?? "", b.files[0] ?? "") || compare(a.id, b.id),
  );
}

/** A fixer gets all it can remove in a file; a worker one rule in it, or one complex function. */
function groupKey(finding: Finding, fixer: Fixer | undefined): string {
  const { file, fingerprint, tool, rule } = finding;
  if (fixer !== undefined) return JSON.stringify([fixer, file]);
  const isSingle = ["complexity", "duplicates"].includes(subjectOf(finding));
  return isSingle ? fingerprint : JSON.stringify([conceptOf(tool, rule), file]);
}

/** Neither decided before nor left out by `only`: tools, rules or subjects; empty: all. */
export function isOpen(finding: Finding, only: readonly string[], decided: ReadonlySet<string>): boolean {
  if (decided.has(finding.fingerprint)) return false;
  const names = new Set<string>([subjectOf(finding), finding.tool, finding.rule, ruleName(finding)]);
  return only.length === 0 || only.some((name) => names.has(name));
}

export function ruleName({ tool, rule }: Pick<Finding, "tool" | "rule">): string {
  return `${tool} ${rule}`;
}

function subjectOf({ tool, rule }: Pick<Finding, "tool" | "rule">): Subject {
  const concept = conceptOf(tool, rule);
  if (concept === "complexity") return "complexity";
  if (concept === "duplicate") return "duplicates";
  if (tool === "tsc") return "types";
  return tool === "knip" || tool === "fallow" ? "dead code" : "lint";
}

/** Findings about packages and whole files, which a model may not decide. */
const personConcepts = new Set(["unused-file", "unused-dependency", "unlisted-dependency", "unresolved-import"]);

function methodOf({ tool, rule, file }: Finding): Candidate["method"] {
  return sourceExtension.test(file) && !isToolSettings(file) && !personConcepts.has(conceptOf(tool, rule))
    ? "worker"
    : "person";
}

function toCandidate(
  group: readonly Finding[],
  factors: ReadonlyMap<string, number>,
  fixable: ReadonlyMap<string, Fixer>,
): Candidate | null {
  const findings = group.slice(0, maxFindings);
  const [first] = findings;
  if (!first) return null;
  const fixer = fixable.get(first.fingerprint) ?? null;
  const method = fixer === null ? methodOf(first) : "fix";
  const subject = subjectOf(first);
  const files = [...new Set(findings.flatMap((one) => [one, ...(one.related ?? [])].map(({ file }) => file)))];
  const severity = findings.reduce((sum, { level }) => sum + severities[level], 0);
  const hotspot = Math.max(...files.map((file) => factors.get(file) ?? 1));
  const effort = efforts[fixer === null ? subject : "fix"];
  const identity = [method, fixer ?? "", ...findings.map(({ fingerprint }) => fingerprint).toSorted()];
  return {
    id: createHash("sha256").update(JSON.stringify(identity)).digest("hex").slice(0, 12),
    subject,
    method,
    fixer,
    files: files.slice(0, maxFiles),
    findings: findings.map(({ message, ...rest }) =>
      CandidateFinding.parse({ ...rest, message: message.slice(0, maxMessageChars) }),
    ),
    value: Math.round(((severity * hotspot) / effort) * 100) / 100,
  };
}
