import { lstatSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, posix } from "node:path";
import { codeOf } from "../../shared/error.ts";
import { oneLine } from "../../shared/format.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { commitAll } from "../../snapshots/commit-work.ts";
import { run, type Git } from "../../snapshots/git.ts";
import { resolveCommit } from "../../snapshots/user-repository.ts";
import { conceptOf, type Finding } from "../analysis/finding.ts";
import { runTransform } from "../transform/run-transform.ts";
import type { RepositoryProject } from "../transform/worktree.ts";
import type { Fixer } from "./candidate.ts";
import type { MeasureDeps } from "./measure.ts";

export type AstGrep = typeof import("@ast-grep/napi");
type SgNode = import("@ast-grep/napi").SgNode;

const packageName = "@ast-grep/napi";

export const needsParser = `code is changed and judged by its syntax, which needs a package: npm install --save-dev ${packageName}`;

/**
 * Loads the copy beside SHIM, else that of a trusted project.
 *
 * @returns null where neither has it
 */
export async function loadAstGrep(root: string): Promise<AstGrep | null> {
  try {
    // A name that is no literal stays an import at run time in every bundler.
    return (await import(packageName)) as AstGrep;
  } catch (error) {
    if (codeOf(error) !== "ERR_MODULE_NOT_FOUND") throw error;
  }
  try {
    return createRequire(join(root, "package.json"))(packageName) as AstGrep;
  } catch (error) {
    if (codeOf(error) === "MODULE_NOT_FOUND") return null;
    throw error;
  }
}

function isTypeScript(file: string): boolean {
  return /\.[cm]?ts$/.test(file);
}

/** The grammar of TSX also reads JavaScript. */
function parseSource({ parse, Lang }: AstGrep, file: string, source: string): SgNode {
  return parse(isTypeScript(file) ? Lang.TypeScript : Lang.Tsx, source).root();
}

/** Code or a comment that keeps a checker or a test from reporting what is wrong. */
export interface Silencer {
  /** Two of one kind are as good as each other: one may replace the other. */
  readonly kind: string;
  readonly file: string;
  readonly text: string;
}

type Rule = NonNullable<import("@ast-grep/napi").NapiConfig["rule"]>;

const uncheckedType = "a checker is silenced (unchecked type)";
const emptyCatch = "a checker is silenced (empty catch)";
const idleCode = "a checker is silenced (code without an effect)";

/** By the syntax of JavaScript and TypeScript. */
const codeRules: readonly (readonly [kind: string, rule: Rule])[] = [
  [uncheckedType, { kind: "as_expression", not: { regex: "\\bas\\s+const$" } }],
  [uncheckedType, { kind: "predefined_type", regex: "^any$" }],
  [uncheckedType, { kind: "non_null_expression" }],
  // Definite: `let a!: string`.
  [
    uncheckedType,
    { any: [{ kind: "variable_declarator" }, { kind: "public_field_definition" }], has: { regex: "^!$" } },
  ],
  [emptyCatch, { kind: "catch_clause", regex: "\\{\\s*(?:(?://[^\\n]*|/\\*(?s:.*?)\\*/)\\s*)*\\}$" }],
  [
    emptyCatch,
    {
      kind: "call_expression",
      regex:
        "\\.\\s*catch\\(\\s*(?:\\(\\w*\\)|\\w+)\\s*=>\\s*(?:\\{\\s*\\}|undefined|null|void 0|\\(\\{\\}\\))\\s*\\)$",
    },
  ],
  [idleCode, { kind: "expression_statement", has: { any: [{ kind: "identifier" }, { kind: "member_expression" }] } }],
  [idleCode, { kind: "unary_expression", regex: "^void\\s+[^0]" }],
  [
    "a checker is silenced (name with an underscore)",
    { any: [{ kind: "identifier" }, { kind: "shorthand_property_identifier_pattern" }], regex: "^_[^_]" },
  ],
  ["a checker is silenced (eval)", { kind: "call_expression", regex: "^(?:globalThis\\.)?eval\\(" }],
  ["a checker is silenced (eval)", { kind: "new_expression", regex: "^new Function\\(" }],
];

/** Not in the grammar of TSX. */
const typeAssertion: (typeof codeRules)[number] = [uncheckedType, { kind: "type_assertion" }];

const skipped = "a test is skipped";
const testRules: typeof codeRules = [
  [
    skipped,
    {
      kind: "member_expression",
      regex: "^(?:it|test|describe|suite|t)\\b.*\\.(?:skip|only|todo|fails|failing|skipIf|runIf)$",
    },
  ],
  [skipped, { kind: "identifier", regex: "^(?:xit|xtest|xdescribe|fit|fdescribe|ftest)$" }],
  [skipped, { kind: "pair", regex: "^(?:skip|only|todo)\\s*:\\s*[^f\\s]" }],
];

/** Comments by which tools leave something out. */
const suppressing =
  /(?:eslint|oxlint|tslint|biome|prettier|fallow|knip|jscpd|stryker|istanbul|c8|v8|node:coverage|deno-lint)[-: ]+(?:disable|ignore|off)\b|@ts-(?:ignore|expect-error|nocheck)|\bNOSONAR\b|@(?:lintignore|public|internal|beta|alias)\b|^\W*eslint(?:-env)?\s+[@\w]/i;

/** Pure. Each way to silence a checker. A file without a parser has suppressions alone. */
export function findSilencers(astGrep: AstGrep | null, file: string, source: string, isTest: boolean): Silencer[] {
  if (astGrep === null) return source.split("\n").flatMap((line) => suppression(file, line));
  const root = parseSource(astGrep, file, source);
  const rules = [...codeRules, ...(isTypeScript(file) ? [typeAssertion] : []), ...(isTest ? testRules : [])];
  const found = rules.flatMap(([kind, rule]) =>
    root.findAll({ rule }).map((node) => ({ kind, file, text: oneLine((node.parent() ?? node).text(), maxTextChars) })),
  );
  const comments = root.findAll({ rule: { kind: "comment" } }).map((node) => node.text());
  return [...found, ...comments.flatMap((text) => suppression(file, text))];
}

/** One that says more is another one. */
function suppression(file: string, comment: string): Silencer[] {
  const text = oneLine(comment, maxTextChars);
  return suppressing.test(comment) ? [{ kind: `a finding is suppressed by ${text}`, file, text }] : [];
}

const maxTextChars = 100;

export interface FixRequest {
  readonly fixer: Fixer;
  /** Top of a worktree, whose files are those of its HEAD. */
  readonly tree: string;
  readonly git: Git;
  /** Relative to the project: no other file is changed; for a linter, empty means all. */
  readonly files: readonly string[];
  readonly findings: readonly UnusedFinding[];
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

type UnusedFinding = Pick<Finding, "tool" | "rule" | "file" | "range" | "symbol" | "message">;

/** Changes the files and commits. The error says why it could not. */
export async function applyFixer(
  deps: MeasureDeps,
  project: RepositoryProject,
  request: FixRequest,
): Promise<Result<null, string>> {
  const { fixer, tree, git } = request;
  const applied = fixer === "unused" ? await fixUnused(project, request) : await fixLint(deps, project, request);
  if (!applied.ok) return applied;
  await commitAll(git, { tree, message: `shim: ${fixer} in ${request.files.join(", ")}`, now: deps.now() });
  return ok(null);
}

/** Rules that the fixer `unused` removes code for. */
export function isUnusedName({ tool, rule }: Pick<Finding, "tool" | "rule">): boolean {
  return ["unused-name", "unused-export", "unused-type"].includes(conceptOf(tool, rule));
}

async function fixUnused(
  { prefix, top }: RepositoryProject,
  { tree, files, findings }: FixRequest,
): Promise<Result<null, string>> {
  const astGrep = await loadAstGrep(join(top, prefix));
  if (!astGrep) return err(needsParser);
  for (const file of files) {
    const path = join(tree, prefix, file);
    if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) continue;
    const source = readFileSync(path, "utf8");
    const changed = removeUnused(
      astGrep,
      file,
      source,
      findings.filter((one) => one.file === file),
    );
    if (changed !== source) writeFileSync(path, changed);
  }
  return ok(null);
}

/** Tools of dead code name the symbol, compilers and linters quote it. */
export function namesOf({ symbol, message }: Pick<Finding, "symbol" | "message">): string[] {
  const name = symbol ?? /['"`]([\w$]+)['"`]/.exec(message)?.[1];
  return name === undefined ? [] : [name];
}

/** The linter works in a worktree of its own. */
async function fixLint(
  deps: MeasureDeps,
  { top, repository, prefix }: RepositoryProject,
  { git, files, limitMs, signal }: FixRequest,
): Promise<Result<null, string>> {
  const all = prefix === "" ? [] : [prefix];
  const report = await runTransform(deps, {
    source: { top, repository, base: await resolveCommit(git, "HEAD") },
    change: () => ok({ kind: "lint-fix" }),
    paths: files.length === 0 ? all : files.map((file) => posix.join(prefix, file)),
    isTrusted: true,
    offer: null,
    timeoutMs: limitMs,
    signal,
    onOutput: () => undefined,
  });
  if (!report.ok) return err(report.error.message);
  const { diff } = report.value;
  const patch = diff.slice(Math.max(0, diff.search(/^diff --git /m)));
  if (patch !== "") await run(git, ["apply", "--whitespace=nowarn", "-"], patch);
  return ok(null);
}

/**
 * Pure. Removes imports and declarations that tools have reported as unused: an export that
 * its own file still uses loses the keyword alone, and so does one whose removal could change what
 * runs. Imports that only the removed code used go with it.
 *
 * @param findings those of the file
 * @returns the text; the same one where nothing can be removed
 */
export function removeUnused(
  astGrep: AstGrep,
  file: string,
  source: string,
  findings: readonly UnusedFinding[],
): string {
  const unused = findings.filter(isUnusedName);
  const names = new Set(unused.flatMap(namesOf));
  // An import of which nothing is used is reported by its line alone.
  const lines = new Set(unused.filter((one) => namesOf(one).length === 0).map(({ range }) => range?.line));
  const root = parseSource(astGrep, file, source);
  const cuts = root.children().flatMap((statement) => {
    const isWhole = statement.is("import_statement") && lines.has(statement.range().start.line + 1);
    return isWhole ? [toCut(statement, "", true)] : cutsIn(statement, root, names);
  });
  const before = applyCuts(source, cuts);
  return before === source ? source : removeOrphans(astGrep, file, source, before);
}

/** Imports that were used before, and are not any more. */
function removeOrphans(astGrep: AstGrep, file: string, source: string, changed: string): string {
  const used = (root: SgNode): Set<string> => new Set(importedNames(root).filter((name) => countUses(root, name) > 1));
  const before = used(parseSource(astGrep, file, source));
  const root = parseSource(astGrep, file, changed);
  const after = used(root);
  const orphans = new Set(importedNames(root).filter((name) => before.has(name) && !after.has(name)));
  if (orphans.size === 0) return changed;
  const imports = root.children().filter((one) => one.is("import_statement"));
  return applyCuts(
    changed,
    imports.flatMap((one) => cutImport(one, orphans)),
  );
}

interface Cut {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** The whole line goes, with the comment that documents it. */
  readonly isStatement: boolean;
}

function cutsIn(statement: SgNode, root: SgNode, names: ReadonlySet<string>): Cut[] {
  if (statement.is("import_statement")) return cutImport(statement, names);
  if (!statement.is("export_statement")) return [];
  const declared = statement.field("declaration");
  const name = declared && declaredName(declared);
  if (!declared || !name || !names.has(name)) return [];
  const isUsed = countUses(root, name) > countUses(statement, name);
  if (!isUsed && !mayRun(declared)) return [toCut(statement, "", true)];
  return [toCut(statement, statement.text().replace(/^export\s+/, ""), false)];
}

/** @returns null for several names in one statement */
function declaredName(declared: SgNode): string | null {
  const declarators = declared
    .findAll({ rule: { kind: "variable_declarator" } })
    .filter((one) => one.parent()?.id() === declared.id());
  if (declarators.length > 1) return null;
  return (declarators[0] ?? declared).field("name")?.text() ?? null;
}

/** Whether something happens when the declaration itself is evaluated. */
function mayRun(declared: SgNode): boolean {
  const isVariable = declared.is("lexical_declaration") || declared.is("variable_declaration");
  if (!isVariable && !declared.is("class_declaration")) return false;
  const running = ["call_expression", "new_expression", "await_expression", "assignment_expression"];
  const outer = new Set(declared.ancestors().map((one) => one.id()));
  const isDeferred = (node: SgNode): boolean =>
    node.ancestors().some((one) => functions.has(String(one.kind())) && !outer.has(one.id()));
  return declared.findAll({ rule: { any: running.map((kind) => ({ kind })) } }).some((node) => !isDeferred(node));
}

const functions = new Set(["arrow_function", "function_expression", "method_definition", "function_declaration"]);

function cutImport(statement: SgNode, names: ReadonlySet<string>): Cut[] {
  const specifiers = statement.findAll({ rule: { kind: "import_specifier" } });
  const unused = specifiers.filter((one) => names.has(localName(one)));
  const others = importedNamesOf(statement).filter((name) => !unused.some((one) => localName(one) === name));
  const isWhole = others.every((name) => names.has(name)) && others.length + unused.length > 0;
  if (isWhole) return [toCut(statement, "", true)];
  if (unused.length === 0) return [];
  const list = statement.find({ rule: { kind: "named_imports" } });
  if (!list) return [];
  const kept = specifiers.filter((one) => !unused.includes(one)).map((one) => one.text());
  if (kept.length > 0) return [toCut(list, `{ ${kept.join(", ")} }`, false)];
  const { start, end } = list.range();
  const text = statement.text();
  const at = start.index - statement.range().start.index;
  const comma = /,\s*$/.exec(text.slice(0, at))?.[0].length ?? 0;
  return [{ start: start.index - comma, end: end.index, text: "", isStatement: false }];
}

function localName(specifier: SgNode): string {
  return specifier.field("alias")?.text() ?? specifier.field("name")?.text() ?? "";
}

function importedNames(root: SgNode): string[] {
  return root
    .children()
    .filter((one) => one.is("import_statement"))
    .flatMap(importedNamesOf);
}

function importedNamesOf(statement: SgNode): string[] {
  const named = statement.findAll({ rule: { kind: "import_specifier" } }).map(localName);
  const namespaces = statement
    .findAll({ rule: { kind: "identifier", inside: { kind: "namespace_import" } } })
    .map((one) => one.text());
  const clause = statement.find({ rule: { kind: "import_clause" } });
  const defaults = clause?.children().filter((one) => one.is("identifier")) ?? [];
  return [...named, ...namespaces, ...defaults.map((one) => one.text())];
}

const nameKinds = ["identifier", "type_identifier", "shorthand_property_identifier"];

function countUses(root: SgNode, name: string): number {
  const any = nameKinds.map((kind) => ({ kind }));
  return root.findAll({ rule: { any } }).filter((node) => node.text() === name).length;
}

function toCut(node: SgNode, text: string, isStatement: boolean): Cut {
  const { start, end } = node.range();
  return { start: start.index, end: end.index, text, isStatement };
}

function applyCuts(source: string, cuts: readonly Cut[]): string {
  let text = source;
  for (const cut of [...cuts].sort((a, b) => b.start - a.start)) {
    const end = cut.end + (cut.isStatement ? (/^;?[ \t]*(?:\r?\n)?/.exec(text.slice(cut.end))?.[0].length ?? 0) : 0);
    const start = cut.isStatement ? startWithComment(text, cut.start) : cut.start;
    const rest = text.slice(end);
    // The first lines of a file have no empty line before them.
    text = text.slice(0, start) + cut.text + (start === 0 && cut.isStatement ? rest.replace(/^(?:\r?\n)+/, "") : rest);
  }
  return text;
}

/** With the comment before it, and an empty line before both. */
function startWithComment(text: string, start: number): number {
  const comment = /(?:^|\n)((?:[ \t]*\/\*\*(?:(?!\*\/|\/\*\*)[\s\S])*\*\/[ \t]*\r?\n)[ \t]*)$/.exec(
    text.slice(0, start),
  )?.[1];
  const from = start - (comment?.length ?? 0);
  const isSpaced = /(?:^|\n)\r?\n$/.test(text.slice(0, from));
  return isSpaced ? from - (text.slice(0, from).endsWith("\r\n") ? 2 : 1) : from;
}
