import { conceptOf } from "../analysis/equivalences.ts";
import type { Finding } from "../analysis/finding.ts";
import type { Candidate, JudgeRules } from "./candidate.ts";
import type { Coverage, Measured, TestCounts } from "./measured.ts";

export interface FileDelta {
  /** Relative to the project, with `/`; begins with `../` for a file beside it. */
  readonly path: string;
  readonly kind: "added" | "deleted" | "changed";
  /** Lines of the diff without their sign. */
  readonly addedLines: readonly string[];
}

export interface JudgeInput {
  readonly before: Measured;
  readonly after: Measured;
  readonly candidate: Candidate;
  readonly rules: JudgeRules;
  readonly changes: readonly FileDelta[];
}

/** [EV4] Pure. Lists why a change is not kept; none: it is. */
export function judge(input: JudgeInput): string[] {
  if (input.changes.length === 0) return ["nothing was changed"];
  return [
    ...judgeFindings(input),
    ...judgeTests(input),
    ...judgeCoverage(input.before.coverage, input.after.coverage),
    ...judgeApi(input),
    ...judgeFiles(input),
    ...judgeLines(input),
  ];
}

function judgeFindings({ before, after, candidate }: JudgeInput): string[] {
  const own = new Set(candidate.findings.map(({ fingerprint }) => fingerprint));
  const left = after.findings.filter(({ fingerprint }) => own.has(fingerprint));
  const tests = new Set(after.testFiles);
  // A test framework uses its files, which tools of dead code may not know.
  const isTest = ({ tool, rule, file }: Finding): boolean => tests.has(file) && conceptOf(tool, rule) === "unused-file";
  const fresh = newFindings(before.findings, after.findings, own).filter((one) => !isTest(one));
  const ran = new Set(before.tools.filter(({ status }) => status === "ran").map(({ name }) => name));
  const failed = after.tools.filter(({ name, status }) => status !== "ran" && ran.has(name));
  return [
    ...failed.map(({ name, why }) => `${name} does not run any more: ${why ?? "no reason"}`),
    ...(left.length > 0 ? [`${left.length} of ${own.size} findings are still there: ${named(left)}`] : []),
    ...(fresh.length > 0 ? [`new findings: ${named(fresh)}`] : []),
  ];
}

/**
 * [EV5] A line that was changed gives its other findings new fingerprints: each may replace one
 * of the same rule in the same file that has gone, except those of the task.
 */
export function newFindings(
  before: readonly Finding[],
  after: readonly Finding[],
  own: ReadonlySet<string>,
): Finding[] {
  const known = new Set(before.map(({ fingerprint }) => fingerprint));
  const present = new Set(after.map(({ fingerprint }) => fingerprint));
  const gone = new Map<string, number>();
  for (const one of before) {
    if (present.has(one.fingerprint) || own.has(one.fingerprint)) continue;
    gone.set(keyOf(one), (gone.get(keyOf(one)) ?? 0) + 1);
  }
  return after.filter((one) => {
    if (known.has(one.fingerprint)) return false;
    const count = gone.get(keyOf(one)) ?? 0;
    gone.set(keyOf(one), count - 1);
    return count <= 0;
  });
}

function keyOf({ tool, rule, file }: Finding): string {
  return `${conceptOf(tool, rule)}\n${file}`;
}

const maxNamed = 3;

function named(findings: readonly Finding[]): string {
  const texts = findings
    .slice(0, maxNamed)
    .map(({ tool, rule, file, range }) => `${tool} ${rule} in ${file}${range ? `:${range.line}` : ""}`);
  const more = findings.length - maxNamed;
  return `${texts.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function judgeTests({ before, after }: JudgeInput): string[] {
  const failed = after.tests.passed ? [] : [`the tests fail: ${after.tests.output.slice(0, maxOutputChars).trim()}`];
  return [...failed, ...compareCounts(before.tests.counts, after.tests.counts)];
}

function compareCounts(before: TestCounts | null, after: TestCounts | null): string[] {
  if (!before) return [];
  if (!after) return ["the tests are not counted any more"];
  return [
    ...(after.ran < before.ran ? [`${after.ran} tests ran, ${before.ran} before`] : []),
    ...(after.skipped > before.skipped ? [`${after.skipped} tests are skipped, ${before.skipped} before`] : []),
  ];
}

const maxOutputChars = 200;

/** A covered line that was deleted lowers the share alone, one that is not covered both. */
function judgeCoverage(before: Coverage | null, after: Coverage | null): string[] {
  if (!before) return [];
  if (!after) return ["the coverage cannot be measured any more"];
  const isShareLower = after.covered / after.lines < before.covered / before.lines;
  const [old, now] = [before.lines - before.covered, after.lines - after.covered];
  return isShareLower && now > old ? [`the tests miss ${now} lines, ${old} before`] : [];
}

function judgeApi({ before, after, rules }: JudgeInput): string[] {
  if (rules.allowsApi || before.api === null) return [];
  if (after.api === null) return ["the declarations of the package cannot be made any more"];
  const gone = before.api.filter((one) => !after.api?.includes(one));
  const fresh = after.api.filter((one) => !before.api?.includes(one));
  const [first] = [...gone, ...fresh];
  if (first === undefined) return [];
  return [`the public API changes: ${gone.length > 0 ? "-" : "+"} ${first.slice(0, maxOutputChars)}`];
}

function judgeFiles({ before, after, candidate, changes }: JudgeInput): string[] {
  const tests = new Set([...before.testFiles, ...after.testFiles]);
  const mayChangeTests = candidate.method === "worker" || candidate.subject === "tests";
  const isAllowed = ({ path, kind }: FileDelta): boolean =>
    candidate.files.includes(path) || (mayChangeTests && tests.has(path) && kind !== "deleted");
  const stray = changes.filter((one) => !isAllowed(one));
  const deleted = stray.filter(({ path, kind }) => kind === "deleted" && before.testFiles.includes(path));
  const others = stray.filter((one) => !deleted.includes(one));
  return [
    ...(deleted.length > 0 ? [`tests were deleted: ${deleted.map(({ path }) => path).join(", ")}`] : []),
    ...(others.length > 0 ? [`files of no concern were changed: ${others.map(({ path }) => path).join(", ")}`] : []),
  ];
}

const skips =
  /(?:\b(?:it|test|describe|suite|context|t)\s*(?:\.\w+)*\.(?:skip|only|todo|fails|failing|skipIf|runIf)\b|\b(?:xit|xtest|xdescribe|fit|fdescribe)\s*\(|\b(?:skip|only|todo)\s*:\s*(?!false))/;
const suppressions =
  /(?:(?:eslint|oxlint|biome|tslint|prettier|fallow|knip|jscpd|Stryker)[-:](?:disable|ignore)|biome-ignore|@ts-(?:ignore|expect-error|nocheck)|\b(?:c8|v8|istanbul|node:coverage)\s+(?:ignore|disable))/;

/** [EV7] Lines that hide a finding or a test instead of removing the cause. */
function judgeLines({ before, after, changes }: JudgeInput): string[] {
  const tests = new Set([...before.testFiles, ...after.testFiles]);
  return changes.flatMap(({ path, addedLines }) => {
    const hidden = addedLines.find((line) => suppressions.test(line));
    const skipped = tests.has(path) ? addedLines.find((line) => skips.test(line)) : undefined;
    return [
      ...(hidden === undefined ? [] : [`a finding is suppressed in ${path}: ${hidden.trim().slice(0, 100)}`]),
      ...(skipped === undefined ? [] : [`a test is skipped in ${path}: ${skipped.trim().slice(0, 100)}`]),
    ];
  });
}

/** Parses a patch: what was added to each file. Paths are as git has them. */
export function parsePatch(patch: string): FileDelta[] {
  return patch
    .split(/^(?=diff --git )/m)
    .filter((part) => part.startsWith("diff --git "))
    .map(parseFile);
}

function parseFile(part: string): FileDelta {
  const names = [/^\+\+\+ "?b\/(.+?)"?$/m, /^--- "?a\/(.+?)"?$/m, /^diff --git "?a\/(.+?)"? "?b\//];
  const path = names.map((name) => name.exec(part)?.[1]).find((name) => name !== undefined) ?? "";
  const kind = /^deleted file/m.test(part) ? "deleted" : /^new file/m.test(part) ? "added" : "changed";
  const body = part.slice(Math.max(0, part.search(/^@@/m)));
  return { path, kind, addedLines: body.match(/^\+(?!\+\+ ).*$/gm)?.map((line) => line.slice(1)) ?? [] };
}
