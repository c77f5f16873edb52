import { parseSource, type AstGrep, type SgNode } from "./syntax.ts";

/** Code or a comment that keeps a checker or a test from reporting what is wrong. */
export interface Silencer {
  /** Two of one kind are as good as each other: one may replace the other. */
  readonly kind: string;
  readonly text: string;
}

/** Comments by which tools leave something out; the rules that follow are kinds of their own. */
const disabling =
  /(?:eslint|oxlint|tslint|jshint|biome|rome|prettier|fallow|knip|jscpd|stryker|istanbul|c8|v8|node:coverage|deno-lint|deno-fmt|dprint|deepscan|sonar)[-: ]+(?:disable|ignore|off|suppress)\b(?:-[a-z-]+)?/gi;
const marks =
  /@ts-(?:ignore|expect-error|nocheck)|\bNOSONAR\b|\bnoinspection\b|\bnosemgrep\b|@(?:lintignore|public|internal|beta|alias|expected-unused)\b|^\W*eslint(?:-env)?\s+[@\w]|^\W*(?:globals?|exported)\s+\w/gi;
const maxTextChars = 100;

/** Pure. Suppressions in a comment, or in the text of a file of another language. */
export function suppressions(comment: string): Silencer[] {
  const text = oneLine(comment);
  const plain = [...comment.matchAll(marks)].map(([mark]) => ({ kind: `suppression ${mark.trim()}`, text }));
  const ruled = [...comment.matchAll(disabling)].flatMap(({ 0: mark, index }) => {
    const [rest = ""] = comment.slice(index + mark.length).split(/\s--|:\s|\*\/|\n/, 1);
    const rules = rest.split(/[,\s]+/).filter((rule) => rule !== "");
    const kinds = rules.length === 0 ? ["all"] : rules;
    return kinds.map((rule) => ({ kind: `suppression ${mark.toLowerCase()} ${rule}`, text }));
  });
  return [...plain, ...ruled];
}

/** [EV101] Pure. Each way to silence a checker, by the syntax of JavaScript and TypeScript. */
export function findSilencers(astGrep: AstGrep, file: string, source: string, isTest: boolean): Silencer[] {
  const isScript = /\.[cm]?jsx?$/.test(file);
  const finders = [silencerKind, ...(isScript ? [commentTypeKind] : []), ...(isTest ? [skippedTest] : [])];
  return [...nodesOf(parseSource(astGrep, file, source))].flatMap((node) => {
    const kinds = finders.flatMap((find) => find(node) ?? []);
    const found = kinds.map((kind) => ({ kind, text: oneLine((node.parent() ?? node).text()) }));
    return node.is("comment") ? found.concat(suppressions(node.text())) : found;
  });
}

function silencerKind(node: SgNode): string | null {
  return silencerKinds.get(String(node.kind()))?.(node) ?? null;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim().slice(0, maxTextChars);
}

function* nodesOf(root: SgNode): Generator<SgNode> {
  const open = [root];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    yield node;
    open.push(...node.children().toReversed());
  }
}

export const plainCast = "cast";

/** Kinds that check less than a cast to a type. */
export const typeSilencers: readonly string[] = [
  "cast that checks nothing",
  "type any",
  "type Function or Object",
  "non-null assertion",
];

type FindKind = (node: SgNode) => string | null;

function unless(isFine: (node: SgNode) => boolean, kind: string): FindKind {
  return (node) => (isFine(node) ? null : kind);
}

const definite = unless((node) => !node.children().some((one) => one.text() === "!"), "non-null assertion");
const underscore = unless((node) => !node.text().startsWith("_") || !isBinding(node), "name with an underscore");
const guard = unless((node) => !isUnchecked(node), "type guard without a check");

/** By the kind of a node of the grammar. */
const silencerKinds: ReadonlyMap<string, FindKind> = new Map<string, FindKind>([
  ["as_expression", castKind],
  ["type_assertion", castKind],
  ["non_null_expression", () => "non-null assertion"],
  ["variable_declarator", definite],
  ["public_field_definition", definite],
  ["predefined_type", unless((node) => node.text() !== "any" || isTypeOfCast(node), "type any")],
  [
    "type_identifier",
    unless((node) => !["Function", "Object"].includes(node.text()) || isDeclared(node), "type Function or Object"),
  ],
  ["ambient_declaration", () => "declaration without code"],
  ["type_predicate", guard],
  ["asserts", guard],
  ["unary_expression", unless((node) => !/^void\b(?!\s*(?:\(\s*)?0)/.test(node.text()), "void")],
  ["expression_statement", unless((node) => !isIdle(node), "expression without an effect")],
  ["catch_clause", unless((node) => codeIn(node.field("body")).length > 0, "empty catch")],
  [
    "statement_block",
    unless(
      (node) => codeIn(node).length > 0 || !node.children().some((one) => one.is("comment")),
      "comment instead of code",
    ),
  ],
  ["call_expression", callKind],
  ["new_expression", callKind],
  ["identifier", underscore],
  ["shorthand_property_identifier_pattern", underscore],
]);

const openTypes = new Set(["any", "unknown", "never"]);

const uncheckedCast = "cast that checks nothing";

function castKind(node: SgNode): string | null {
  const operand = withoutBrackets(node.is("as_expression") ? node.child(0) : node.children().at(-1));
  const isDouble = operand?.is("as_expression") || operand?.is("type_assertion");
  return isDouble ? uncheckedCast : kindOfCast(castType(node));
}

function kindOfCast(type: string): string | null {
  if (type === "const") return null;
  return openTypes.has(type) ? uncheckedCast : plainCast;
}

function castType(node: SgNode): string {
  if (node.is("as_expression")) return node.children().at(-1)?.text() ?? "";
  return node.child(0)?.text().slice(1, -1).trim() ?? "";
}

function isTypeOfCast(node: SgNode): boolean {
  const parent = node.parent();
  return parent?.is("as_expression") === true || parent?.parent()?.is("type_assertion") === true;
}

function withoutBrackets(node: SgNode | null | undefined): SgNode | null | undefined {
  return node?.is("parenthesized_expression") ? withoutBrackets(node.child(1)) : node;
}

function isDeclared(node: SgNode): boolean {
  return node.parent()?.field("name")?.id() === node.id();
}

function isUnchecked(node: SgNode): boolean {
  const owner = node.ancestors().find((one) => one.field("body") !== null);
  const body = owner?.field("body")?.text() ?? "";
  return /^(?:true|\{\s*(?:return true;?\s*)?\})$/.test(body);
}

/** Types of JavaScript are in comments. */
function commentTypeKind(node: SgNode): string | null {
  const [, tag, given] = node.is("comment") ? (/@(\w+)\s*\{([^}]{0,1000})\}/.exec(node.text()) ?? []) : [];
  if (given === undefined) return null;
  const type = given.trim();
  const isOpen = /\b(?:any|Function)\b|\*|^\??$/.test(type);
  const isCast = tag === "type" && node.next()?.is("parenthesized_expression");
  if (isOpen) return isCast ? uncheckedCast : "type any";
  return isCast ? kindOfCast(type) : null;
}

const effects = /^(?:call|await|yield|assignment|augmented_assignment|update|new)_expression$/;

/** A value that is only named is used for no purpose but to be used. */
function isIdle(node: SgNode): boolean {
  const value = withoutBrackets(node.child(0));
  if (!value || /^(?:string|ERROR)$/.test(String(value.kind())) || /^(?:void|delete)\b/.test(value.text()))
    return false;
  return ![...nodesOf(value)].some((one) => effects.test(String(one.kind())));
}

function codeIn(block: SgNode | null): SgNode[] {
  return (block?.children() ?? []).filter((one) => one.isNamed() && !one.is("comment"));
}

const global = /^(?:globalThis|window|self|global)\s*\.\s*/;

function callKind(node: SgNode): string | null {
  const called = withoutBrackets(node.field("function") ?? node.field("constructor"))?.text() ?? "";
  const first = argumentsOf(node).findLast((one) => one.isNamed());
  if (isEval(called.replace(global, ""), node)) return "eval";
  return /\.\s*catch$/.test(called) && first && isEmptyFunction(first) ? "empty catch" : null;
}

function isEval(name: string, node: SgNode): boolean {
  if (/^(?:eval|Function|0,\s*eval)$/.test(name)) return true;
  return /^set(?:Timeout|Interval)$/.test(name) && /^\(\s*["'`]/.test(node.field("arguments")?.text() ?? "");
}

function isEmptyFunction(node: SgNode): boolean {
  const body = node.field("body");
  if (body?.is("statement_block")) return codeIn(body).length === 0;
  return body !== null && /^(?:undefined|null|void 0|\(?\{\}\)?)$/.test(body.text());
}

const bindings = new Set<string>([
  "required_parameter",
  "optional_parameter",
  "formal_parameters",
  "import_specifier",
  "import_clause",
  "namespace_import",
  "array_pattern",
  "rest_pattern",
  "object_pattern",
  "pair_pattern",
]);
const named = new Set<string>(["variable_declarator", "function_declaration", "class_declaration", "catch_clause"]);

function isBinding(node: SgNode): boolean {
  const parent = node.parent();
  if (!parent) return false;
  if (bindings.has(String(parent.kind()))) return true;
  if (["assignment_pattern", "object_assignment_pattern"].includes(String(parent.kind())))
    return parent.field("left")?.id() === node.id();
  const name = parent.field("parameter") ?? (named.has(String(parent.kind())) ? parent.field("name") : null);
  return name?.id() === node.id();
}

const testNames = /^(?:it|test|describe|suite|context|specify|bench|t|ctx|this)$/;
const skipNames = /^(?:skip|only|todo|fails|failing|skipIf|runIf)$/;

const skips: ReadonlyMap<string, (node: SgNode) => boolean> = new Map([
  ["identifier", (node) => /^(?:xit|xtest|xdescribe|xcontext|xspecify|fit|fdescribe|ftest)$/.test(node.text())],
  ["subscript_expression", (node) => testNames.test(rootName(node))],
  ["member_expression", (node) => isSkipName(node.field("property")) && testNames.test(rootName(node))],
  ["pair", (node) => isSkipName(node.field("key")) && isOption(node)],
]);

function skippedTest(node: SgNode): string | null {
  return skips.get(String(node.kind()))?.(node) === true ? "skipped test" : null;
}

function isSkipName(node: SgNode | null): boolean {
  return skipNames.test(node?.text() ?? "");
}

function isOption(pair: SgNode): boolean {
  const call = pair.parent()?.parent()?.parent();
  return (
    pair.field("value")?.text() !== "false" && call?.is("call_expression") === true && testNames.test(rootName(call))
  );
}

/** Leftmost name of a chain of members and calls. */
function rootName(node: SgNode): string {
  const inner = node.field("object") ?? node.field("function");
  return inner ? rootName(inner) : node.text();
}

const asserting = /^(?:expect|assert|should|chai|strictEqual|deepEqual|deepStrictEqual|expectTypeOf)/;

/** Pure. Assertions of a test file that depend on anything: `assert(true)` is none. */
export function findAssertions(astGrep: AstGrep, file: string, source: string): string[] {
  const found: string[] = [];
  for (const node of nodesOf(parseSource(astGrep, file, source)))
    if (node.is("call_expression") && !node.parent()?.is("member_expression") && isAssertion(node))
      found.push(node.text().replaceAll(/\s+|,(?=\s*\))/g, ""));
  return found;
}

function isAssertion(node: SgNode): boolean {
  const root = rootName(node);
  const callee = node.field("function")?.text() ?? "";
  const isNamed =
    asserting.test(root) || /\.(?:assert|should)\b/.test(callee) || /^(?:t|tap)\.(?!test|skip|todo|mock)/.test(callee);
  return (
    isNamed &&
    argumentsOf(node).some((one) => [...nodesOf(one)].some((part) => part.is("identifier") || part.is("this")))
  );
}

function argumentsOf(node: SgNode): SgNode[] {
  const inner = node.field("object") ?? node.field("function");
  return [...(inner ? argumentsOf(inner) : []), ...(node.field("arguments")?.children() ?? [])];
}
