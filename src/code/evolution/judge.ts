import { conceptOf, type Finding } from "../analysis/finding.ts";
import { firstOf } from "../../shared/format.ts";
import { isToolSettings, sourceExtension, type Candidate } from "./candidate.ts";
import { isUnusedName, namesOf } from "./fixers.ts";
import type { Measured } from "./measure.ts";
import { findSilencers, needsParser, type AstGrep } from "./silencers.ts";

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
  readonly allowsApi: boolean;
  readonly changes: readonly FileDelta[];
  /** The parser; null where it is not installed. */
  readonly astGrep: AstGrep | null;
}

/** Pure. Lists why a change is not kept; none: it is. */
export function judge(input: JudgeInput): string[] {
  if (input.changes.length === 0) return ["nothing was changed"];
  const { failure } = input.after.tests;
  return [
    ...judgeFindings(input),
    ...(failure === null ? [] : [`the tests fail: ${failure.trim()}`]),
    ...judgeApi(input),
    // Rules are a person's own, and so is what they change.
    ...(input.candidate.rules === undefined ? [...judgeFiles(input), ...judgeTexts(input)] : []),
  ];
}

function judgeFindings({ before, after, candidate }: JudgeInput): string[] {
  const own = new Set(candidate.findings.map(({ fingerprint }) => fingerprint));
  const left = after.findings.filter(({ fingerprint }) => own.has(fingerprint));
  const tests = new Set(after.testFiles);
  const isRemoval = candidate.findings.some(isUnusedName);
  // Code that becomes unused in turn is the next run's; a test framework uses its files.
  const isExpected = ({ tool, rule, file }: Finding): boolean => {
    const concept = conceptOf(tool, rule);
    return (isRemoval && concept.startsWith("unused-")) || (tests.has(file) && concept === "unused-file");
  };
  const fresh = newFindings(before.findings, after.findings, own).filter((one) => !isExpected(one));
  const ran = new Set(before.tools.filter(({ status }) => status === "ran").map(({ name }) => name));
  const failed = after.tools.filter(({ name, status }) => status !== "ran" && ran.has(name));
  return [
    ...failed.map(({ name, why }) => `${name} does not run any more: ${why ?? "no reason"}`),
    ...(left.length > 0 ? [`${left.length} of ${own.size} findings are still there: ${named(left)}`] : []),
    ...(fresh.length > 0 ? [`new findings: ${named(fresh)}`] : []),
  ];
}

/**
 * A line that was changed gives its other findings new fingerprints: each may replace one
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
const maxTextChars = 200;

function named(findings: readonly Finding[]): string {
  const texts = findings.map(
    ({ tool, rule, file, range }) => `${tool} ${rule} in ${file}${range ? `:${range.line}` : ""}`,
  );
  return firstOf(texts, maxNamed);
}

/** Nothing that was declared changes or goes; unused exports may, and more may come. */
function judgeApi({ before, after, candidate, allowsApi }: JudgeInput): string[] {
  if (allowsApi || before.api === null) return [];
  if (after.api === null) return ["the declarations of the package cannot be made any more"];
  const now = new Set(after.api);
  const names = new Set(after.api.map(nameOf));
  const unused = new Set(candidate.findings.filter(isUnusedName).flatMap(namesOf));
  const gone = before.api.find((text) => {
    if (now.has(text) || text.split(/\W+/, maxNameWords).some((word) => unused.has(word))) return false;
    // A name that is not exported went with what used it.
    return text.startsWith("export ") || names.has(nameOf(text));
  });
  return gone === undefined ? [] : [`the public API changes: ${gone.slice(0, maxTextChars)}`];
}

/** Those before a name and the name: `export declare abstract class Name`. */
const maxNameWords = 5;

function nameOf(declaration: string): string {
  const named = /\b(?:const|let|var|function|class|interface|type|enum|namespace|module) ([\w$]+)/;
  return named.exec(declaration)?.[1] ?? declaration;
}

function judgeFiles({ before, after, candidate, changes }: JudgeInput): string[] {
  const tests = new Set([...before.testFiles, ...after.testFiles]);
  const mayChangeTests = candidate.method === "worker";
  const mayDelete = candidate.subject === "duplicates" || candidate.subject === "dead code";
  const isAllowed = ({ path, kind }: FileDelta): boolean => {
    if (kind === "retyped" || isToolSettings(path)) return false;
    if (kind === "deleted") return mayDelete && !tests.has(path) && candidate.files.includes(path);
    return candidate.files.includes(path) || (mayChangeTests && tests.has(path));
  };
  const stray = changes.filter((one) => !isAllowed(one));
  const reasons = Map.groupBy(stray, ({ path, kind }) => {
    if (isToolSettings(path)) return "settings of tools were changed";
    if (kind === "deleted") return tests.has(path) ? "tests were deleted" : "files were deleted";
    return "files of no concern were changed";
  });
  return [...reasons].map(([reason, files]) => `${reason}: ${files.map(({ path }) => path).join(", ")}`);
}

function isSource({ path }: FileDelta): boolean {
  return sourceExtension.test(path);
}

/** A way to silence a checker that is there more often than before; code may move. */
function judgeTexts({ before, after, candidate, changes, astGrep }: JudgeInput): string[] {
  const tests = new Set([...before.testFiles, ...after.testFiles]);
  if (astGrep === null && candidate.method === "worker" && changes.some(isSource)) return [needsParser];
  const find = (side: "before" | "after") => {
    const found = changes.flatMap((one) => {
      const { path, [side]: text } = one;
      return findSilencers(isSource(one) ? astGrep : null, path, text ?? "", tests.has(path));
    });
    return Map.groupBy(found, ({ kind }) => kind);
  };
  const [old, now] = [find("before"), find("after")];
  const added = [...now].flatMap(([kind, all]) => {
    const known = old.get(kind) ?? [];
    if (all.length <= known.length) return [];
    const one = all.find(({ text }) => known.every((other) => other.text !== text)) ?? all[0];
    return one ? [`${kind} in ${one.file}: ${one.text}`] : [];
  });
  return [...added, ...changes.filter(({ path }) => tests.has(path)).flatMap(judgeTest)];
}

/** A test only gains lines. */
function judgeTest({ path, before, after }: FileDelta): string[] {
  if (before === null || after === null) return [];
  const left = new Map<string, number>();
  for (const line of linesOf(after)) left.set(line, (left.get(line) ?? 0) + 1);
  const lost = linesOf(before).find((line) => {
    const count = left.get(line) ?? 0;
    left.set(line, count - 1);
    return count <= 0;
  });
  return lost === undefined ? [] : [`a line of a test was changed in ${path}: ${lost.slice(0, maxTextChars)}`];
}

/** Without imports, which follow what they name. */
function linesOf(text: string): string[] {
  let isImport = false;
  return text.split("\n").flatMap((line) => {
    isImport ||= line.startsWith("import ");
    const isLeftOut = isImport;
    // An import ends with the quoted name of its module.
    if (/["']/.test(line)) isImport = false;
    return isLeftOut ? [] : line.trim() || [];
  });
}
