import { conceptOf, type Finding } from "../analysis/finding.ts";
import { isToolSettings, type Candidate, type JudgeRules } from "./candidate.ts";
import { isUnusedName, namesOf } from "./fix.ts";
import type { Measured } from "./measure.ts";
import { findAssertions, findSilencers, plainCast, suppressions, typeSilencers, type Silencer } from "./silencers.ts";
import { needsParser, sourceExtension, type AstGrep } from "./syntax.ts";
import type { Coverage, TestCounts } from "./tests.ts";

export interface FileDelta {
  /** Relative to the project, with `/`; begins with `../` for a file beside it. */
  readonly path: string;
  /** retyped: it has become a link, a module, or a file instead of one. */
  readonly kind: "added" | "deleted" | "changed" | "retyped";
  /** Texts; null: there is none, or it is no text. */
  readonly before: string | null;
  readonly after: string | null;
}

export interface JudgeInput {
  readonly before: Measured;
  readonly after: Measured;
  readonly candidate: Candidate;
  readonly rules: JudgeRules;
  readonly changes: readonly FileDelta[];
  /** The parser; null where it is not installed. */
  readonly astGrep: AstGrep | null;
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
    ...judgeSilencers(input),
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

/** [EV21] A covered line that was deleted lowers the share alone, one that is not covered both. */
function judgeCoverage(before: Coverage | null, after: Coverage | null): string[] {
  if (!before) return [];
  if (!after) return ["the coverage cannot be measured any more"];
  const isShareLower = after.covered / after.lines < before.covered / before.lines;
  const [old, now] = [before.lines - before.covered, after.lines - after.covered];
  return isShareLower && now > old ? [`the tests miss ${now} lines, ${old} before`] : [];
}

/** [EV6] Unused exports may go, and what no entry passes on as a whole may get more. */
function judgeApi({ before, after, candidate, rules }: JudgeInput): string[] {
  if (rules.allowsApi || before.api === null) return [];
  if (after.api === null) return ["the declarations of the package cannot be made any more"];
  const [old, now] = [new Set(before.api), new Set(after.api)];
  const unused = new Set([...candidate.findings, ...candidate.cascade].filter(isUnusedName).flatMap(namesOf));
  const isUnused = (text: string): boolean => text.split(/\W+/, maxNameWords).some((word) => unused.has(word));
  const gone = before.api.filter((one) => !now.has(one) && !isUnused(one));
  const fresh = after.api.filter((one) => !old.has(one) && one.startsWith("public "));
  const [first] = [...gone, ...fresh];
  if (first === undefined) return [];
  const text = first.replace("public ", "").slice(0, maxOutputChars);
  return [`the public API changes: ${gone.length > 0 ? "-" : "+"} ${text}`];
}

/** Those before a name and the name: `export declare abstract class Name`. */
const maxNameWords = 5;

function judgeFiles({ before, after, candidate, changes }: JudgeInput): string[] {
  const tests = new Set([...before.testFiles, ...after.testFiles]);
  const mayChangeTests = candidate.method === "worker";
  const mayDelete = candidate.subject === "duplicates" || candidate.subject === "dead code";
  const isAllowed = ({ path, kind }: FileDelta): boolean => {
    if (kind === "retyped" || isToolSettings(path)) return false;
    if (kind === "deleted") return mayDelete && !tests.has(path) && candidate.files.includes(path);
    // Tests are added beside the code that they test, which stays as it is.
    return (candidate.subject !== "tests" && candidate.files.includes(path)) || (mayChangeTests && tests.has(path));
  };
  const stray = changes.filter((one) => !isAllowed(one));
  const reasons = Map.groupBy(stray, ({ path, kind }) => {
    if (isToolSettings(path)) return "settings of tools were changed";
    if (kind === "deleted") return tests.has(path) ? "tests were deleted" : "files were deleted";
    return "files of no concern were changed";
  });
  return [...reasons].map(([reason, files]) => `${reason}: ${files.map(({ path }) => path).join(", ")}`);
}

/** [EV101] A way to silence a checker that is there more often than before; code may move. */
function judgeSilencers({ before, after, candidate, changes, astGrep }: JudgeInput): string[] {
  const tests = new Set([...before.testFiles, ...after.testFiles]);
  const parsed = changes.filter(({ path }) => sourceExtension.test(path));
  if (astGrep === null && parsed.length > 0 && candidate.method === "worker") return [needsParser];
  const find = (side: "before" | "after"): FoundSilencer[] =>
    changes.flatMap(({ path, [side]: text }) => {
      if (text === null) return [];
      const isParsed = astGrep !== null && sourceExtension.test(path);
      const found = isParsed ? findSilencers(astGrep, path, text, tests.has(path)) : suppressions(text);
      return found.map(({ kind, text: words }) => ({ kind, text: words, path }));
    });
  const added = addedSilencers(find("before"), find("after"));
  const own = astGrep ? parsed.filter(({ path }) => tests.has(path)) : [];
  return [
    ...added.map(({ kind, path, text }) => `${silencedBy(kind)} in ${path}: ${text}`),
    ...(astGrep ? judgeAssertions(astGrep, own, new Set(candidate.files)) : []),
  ];
}

type FoundSilencer = Silencer & Pick<FileDelta, "path">;

function silencedBy(kind: string): string {
  if (kind === "skipped test") return "a test is skipped";
  return kind.startsWith("suppression ") ? "a finding is suppressed" : `a checker is silenced (${kind})`;
}

/** [EV102] A plain cast may replace what checks less than it. */
function addedSilencers(before: readonly FoundSilencer[], after: readonly FoundSilencer[]): FoundSilencer[] {
  const byKind = (all: readonly FoundSilencer[]) => Map.groupBy(all, ({ kind }) => kind);
  const [old, now] = [byKind(before), byKind(after)];
  const growth = (kind: string): number => (now.get(kind)?.length ?? 0) - (old.get(kind)?.length ?? 0);
  const replaced = typeSilencers.reduce((sum, kind) => sum + Math.max(0, -growth(kind)), 0);
  const known = new Set(before.map(({ text }) => text));
  return [...now].flatMap(([kind, all]) => {
    if (growth(kind) <= (kind === plainCast ? replaced : 0)) return [];
    return all.find(({ text }) => !known.has(text)) ?? all.at(-1) ?? [];
  });
}

/** [EV103] Assertions stay, word by word where their test has no finding of its own. */
function judgeAssertions(astGrep: AstGrep, tests: readonly FileDelta[], own: ReadonlySet<string>): string[] {
  const find = (side: "before" | "after", files = tests): string[] =>
    files.flatMap(({ path, [side]: text }) => (text === null ? [] : findAssertions(astGrep, path, text)));
  const left = find("after");
  const count = find("before").length;
  if (left.length < count) return [`the tests assert ${left.length} times, ${count} times before`];
  const others = tests.filter(({ path }) => !own.has(path));
  const lost = find("before", others).find((text) => {
    const at = left.indexOf(text);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
  return lost === undefined ? [] : [`an assertion of a test was changed: ${lost.slice(0, maxOutputChars)}`];
}
