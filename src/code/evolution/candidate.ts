import { createHash } from "node:crypto";
import * as z from "zod";
import { Duration, File, Folder } from "../../contract/machine/operation.ts";
import { ClaudeSettings } from "../../runner/worker/client/claude-executor.ts";
import { compare } from "../../shared/compare.ts";
import { oneLine } from "../../shared/format.ts";
import { conceptOf, type Finding, type Level } from "../analysis/finding.ts";

/**
 * lint-fix: safe fixes of the first linter that the project uses. unused-fix: knip takes the word
 * `export` from what is used nowhere else.
 */
export type FixName = "lint-fix" | "unused-fix";

/** Subjects that a run may be limited to. */
const subjects = ["types", "lint", "complexity", "duplicates", "dead code", "tests", "rules"] as const;
type Subject = (typeof subjects)[number];

/** A defect that is planted in a file to see whether a test holds it. */
export interface Mutation {
  /** Relative to the project, with `/`. */
  readonly file: string;
  readonly line: number;
  /** Text that is replaced, and what replaces it. */
  readonly from: string;
  readonly to: string;
  /** The whole file with it. */
  readonly source: string;
}

/** One change that is worth trying. Paths are relative to the project, with `/`. */
export interface Candidate {
  /** Equal for the same findings and method in every run. */
  readonly id: string;
  readonly subject: Subject;
  /** fix: a mechanical change; worker: a model changes the code; person: neither can. */
  readonly method: "fix" | "worker" | "person";
  readonly fixer: FixName | "rules" | null;
  readonly files: readonly string[];
  readonly findings: readonly Finding[];
  /** A defect that a new test is to hold; absent: the change is about its findings. */
  readonly mutation?: Mutation;
  /** Names of rules that a person has given, with which the change is made; absent: no such. */
  readonly rules?: string;
  /** severity ÷ effort */
  readonly value: number;
}

export function methodText({ fixer, method }: Pick<Candidate, "fixer" | "method">): string {
  return fixer ?? (method === "worker" ? "a worker" : "a person");
}

const maxTextChars = 200;
const maxPartChars = 60;

export function describeDefect({ file, line, from, to }: Mutation): string {
  return `${file}:${line}, ${oneLine(from, maxPartChars)} -> ${oneLine(to, maxPartChars)}`;
}

/** One line: what, where, and how often. */
export function describe({ findings, mutation, rules: applied }: Candidate): string {
  if (mutation) return `a test of ${describeDefect(mutation)}`;
  if (applied !== undefined) return `rules of ast-grep: ${applied}`;
  const [first] = findings;
  if (!first) return "";
  const rules = [...new Set(findings.map(({ rule }) => rule))].join(", ");
  const at = findings.length === 1 && first.range ? `:${first.range.line}` : "";
  const count = findings.length === 1 ? "" : `${findings.length} × `;
  return `${count}${first.tool} ${rules} in ${first.file}${at}`.slice(0, maxTextChars);
}

/** Extensions of files that can be parsed. */
export const sourceExtension = /\.[cm]?[jt]sx?$/;

const toolSettings =
  /^(?:\..*(?:rc|ignore|attributes|config)(?:\.\w+)?|.+\.config\.\w+|[jt]sconfig.*\.json|package(?:-lock)?\.json|(?:biome|deno|turbo|nx|fallow|jscpd)\.(?:jsonc?|toml)|knip\.(?:jsonc?|[jt]s)|(?:vitest|jest)\.\w+\.\w+|.*(?:baseline|suppressions)\.json)$/;

/** Files that say what tools report: thresholds, exceptions, scripts. */
export function isToolSettings(path: string): boolean {
  return toolSettings.test(path.slice(path.lastIndexOf("/") + 1)) && !/\.test\.\w+$/.test(path);
}

/** Bounds of a run as a whole. */
export const RunLimits = z.object({
  timeMs: z.int().min(1_000).max(604_800_000).default(7_200_000),
  costMicros: z.int().min(1).nullable().default(null),
});
export type RunLimits = z.infer<typeof RunLimits>;

/** A run in one package, as a person asks for it. */
export const EvolveInput = z.strictObject({
  folder: Folder.optional(),
  dryRun: z.boolean().default(false).describe("print the plan, change nothing"),
  maxTasks: z.int().min(1).max(50).default(10).describe("changes to try"),
  budgetCost: z.number().min(0.000_001).max(100_000).optional().describe("for the whole run, in US dollars"),
  timeLimitMs: Duration.min(1_000).max(604_800_000).optional().describe("for the whole run: 30m, 4h (default: 2h)"),
  only: z
    .string()
    .transform((text) => text.split(",").flatMap((one) => one.trim() || []))
    .optional()
    .describe(`some of ${subjects.join(", ")}, or tools or rules`),
  tests: z.string().optional().describe("has to succeed (default: npm test)"),
  allowApi: z.boolean().default(false).describe("keep changes of the public API"),
  retry: z.boolean().default(false).describe("also what the judge has rejected in earlier runs"),
  trust: z.boolean().default(false).describe("run the project's tools and tests, this time"),
  config: File.optional().describe("settings, YAML or JSON: `claude` does what no tool can"),
});
export type EvolveInput = z.infer<typeof EvolveInput>;

/** A run that writes tests of one file. */
export const TestsInput = EvolveInput.omit({ folder: true, only: true, allowApi: true }).extend({ file: File });
export type TestsInput = z.infer<typeof TestsInput>;

/** A run that applies rules. */
export const RulesInput = EvolveInput.pick({
  folder: true,
  tests: true,
  allowApi: true,
  trust: true,
  timeLimitMs: true,
}).extend({
  rules: File,
  branch: z.boolean().default(false).describe("leave a branch, once the tests pass"),
});

/** A file of settings of runs. */
export const EvolveSettings = z.strictObject({
  /** Does what no tool can. */
  claude: ClaudeSettings.optional(),
});
export type EvolveSettings = z.infer<typeof EvolveSettings>;

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
  rules: 1,
} as const satisfies Readonly<Record<"fix" | Subject, number>>;

const maxFindings = 50;
const maxFiles = 100;

/**
 * Pure. A candidate is all that one change removes; the most valuable first.
 *
 * @param findings those that are open
 * @param fixable findings that a fixer removes, by fingerprint
 */
export function rank(findings: readonly Finding[], fixable: ReadonlyMap<string, FixName>): Candidate[] {
  const groups = Map.groupBy(findings, (one) => groupKey(one, fixable.get(one.fingerprint)));
  const candidates = [...groups.values()].flatMap((group) => toCandidate(group, fixable) ?? []);
  return candidates.toSorted(
    (a, b) => b.value - a.value || compare(a.files[0] ?? "", b.files[0] ?? "") || compare(a.id, b.id),
  );
}

/** Its file, and those of the code that it is about, too, such as the other part of a duplicate. */
export function filesOf({ file, related = [] }: Pick<Finding, "file" | "related">): string[] {
  return [file, ...related.map((one) => one.file)];
}

/** A fixer gets all it can remove in a file; a worker one rule in it, or one complex function. */
function groupKey(finding: Finding, fixer: FixName | undefined): string {
  const { file, fingerprint, tool, rule } = finding;
  if (fixer !== undefined) return JSON.stringify([fixer, file]);
  const isSingle = ["complexity", "duplicates"].includes(subjectOf(finding));
  return isSingle ? fingerprint : JSON.stringify([conceptOf(tool, rule), file]);
}

/** @param only tools, rules or subjects; empty: all */
export function isOpen(finding: Finding, only: readonly string[]): boolean {
  const names = new Set<string>([subjectOf(finding), finding.tool, finding.rule, ruleName(finding)]);
  return only.length === 0 || only.some((name) => names.has(name));
}

function ruleName({ tool, rule }: Pick<Finding, "tool" | "rule">): string {
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

/** Pure. A test of what none holds. */
export function candidateOf(mutation: Mutation): Candidate {
  const { file, line, from, to } = mutation;
  const id = digestOf(["tests", file, line, from, to]);
  return { id, subject: "tests", method: "worker", fixer: null, files: [], findings: [], mutation, value: 1 };
}

/** Pure. The change that rules of ast-grep make. */
export function ruleCandidate(text: string): Candidate {
  const ids = [...text.matchAll(/^id: *([\w-]{1,60})/gm)].map(([, id]) => id);
  const rules = ids.slice(0, maxNamedRules).join(", ") || "without a name";
  const id = digestOf(["rules", text]);
  return { id, subject: "rules", method: "fix", fixer: "rules", files: [], findings: [], rules, value: 1 };
}

const maxNamedRules = 3;

function digestOf(identity: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(identity)).digest("hex").slice(0, 12);
}

function toCandidate(group: readonly Finding[], fixable: ReadonlyMap<string, FixName>): Candidate | null {
  const findings = group.slice(0, maxFindings);
  const [first] = findings;
  if (!first) return null;
  const fixer = fixable.get(first.fingerprint) ?? null;
  const method = fixer === null ? methodOf(first) : "fix";
  const subject = subjectOf(first);
  const files = [...new Set(findings.flatMap(filesOf))];
  const severity = findings.reduce((sum, { level }) => sum + severities[level], 0);
  const effort = efforts[fixer === null ? subject : "fix"];
  const identity = [method, fixer ?? "", ...findings.map(({ fingerprint }) => fingerprint).toSorted()];
  return {
    id: digestOf(identity),
    subject,
    method,
    fixer,
    files: files.slice(0, maxFiles),
    findings,
    value: Math.round((severity / effort) * 100) / 100,
  };
}
