import { createRequire } from "node:module";
import { join } from "node:path";
import { codeOf } from "../../shared/error.ts";
import { oneLine } from "../../shared/format.ts";

export type AstGrep = typeof import("@ast-grep/napi");
export type SgNode = import("@ast-grep/napi").SgNode;

const packageName = "@ast-grep/napi";

export const needsParser = `what a model changes is judged by its syntax, which needs a package: npm install --save-dev ${packageName}`;

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
export function parseSource({ parse, Lang }: AstGrep, file: string, source: string): SgNode {
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
