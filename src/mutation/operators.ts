import type { SgNode } from "./ast-grep.ts";

export interface Operator {
  readonly name: string;
  /** Kinds of nodes in the grammar of TypeScript. */
  readonly kinds: readonly string[];
  readonly edits: (node: SgNode) => readonly Edit[];
}

/** One mutant: a text instead of a node, which is the given one or a part of it. */
interface Edit {
  readonly node: SgNode;
  readonly text: string;
}

const swaps = {
  boundary: { "<": "<=", "<=": "<", ">": ">=", ">=": ">" },
  comparison: { "<": ">=", "<=": ">", ">": "<=", ">=": "<" },
  equality: { "===": "!==", "!==": "===", "==": "!=", "!=": "==" },
  logical: { "&&": "||", "||": "&&", "??": "&&" },
  arithmetic: { "+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "**": "*" },
  assignment: { "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=" },
  update: { "++": "--", "--": "++" },
} as const;

/** [MU2] The whole set: each entry makes its mutants of every node of its kinds. */
export const operators: readonly Operator[] = [
  swap("boundary", ["binary_expression"]),
  swap("comparison", ["binary_expression"]),
  swap("equality", ["binary_expression"]),
  swap("logical", ["binary_expression"]),
  swap("arithmetic", ["binary_expression"]),
  swap("assignment", ["augmented_assignment_expression"]),
  swap("update", ["update_expression"]),
  { name: "boolean", kinds: ["true", "false"], edits: (node) => [{ node, text: node.is("true") ? "false" : "true" }] },
  { name: "not", kinds: ["unary_expression"], edits: withoutNot },
  {
    name: "condition",
    kinds: ["if_statement", "while_statement", "do_statement", "for_statement", "ternary_expression"],
    edits: withNegatedCondition,
  },
  { name: "return", kinds: ["return_statement", "arrow_function"], edits: withoutValue },
  { name: "statement", kinds: ["expression_statement", "throw_statement"], edits: withoutStatement },
  { name: "string", kinds: ["string", "template_string"], edits: emptiedString },
  { name: "array", kinds: ["array"], edits: (node) => (node.namedChildren().length > 0 ? [{ node, text: "[]" }] : []) },
];

function swap(name: keyof typeof swaps, kinds: readonly string[]): Operator {
  const table: Readonly<Record<string, string>> = swaps[name];
  return { name, kinds, edits: (node) => swapped(node, table) };
}

function swapped(node: SgNode, table: Readonly<Record<string, string>>): readonly Edit[] {
  const operator = node.field("operator");
  const next = operator === null ? undefined : table[operator.text()];
  if (operator === null || next === undefined || joinsStrings(node, operator.text())) return [];
  // `&&` beside `??` needs brackets.
  if (operator.text() === "??") {
    return [{ node, text: `((${node.field("left")?.text()}) && ${node.field("right")?.text()})` }];
  }
  return [{ node, text: replaced(node, operator, next) }];
}

function joinsStrings(node: SgNode, operator: string): boolean {
  if (operator !== "+" && operator !== "+=") return false;
  return [node.field("left"), node.field("right")].some((side) => side !== null && isString(side));
}

function isString(node: SgNode): boolean {
  if (node.is("string") || node.is("template_string")) return true;
  return node.is("binary_expression") && joinsStrings(node, operatorOf(node));
}

function withoutNot(node: SgNode): readonly Edit[] {
  const argument = node.field("argument");
  return operatorOf(node) === "!" && argument !== null ? [{ node, text: argument.text() }] : [];
}

/** Conditions that another operator turns into their opposite. */
const opposites = new Set<string>([
  ...Object.keys(swaps.comparison),
  ...Object.keys(swaps.equality),
  ...Object.keys(swaps.logical),
  "!",
]);

function withNegatedCondition(node: SgNode): readonly Edit[] {
  const condition = conditionOf(node);
  if (condition === undefined || ["true", "false", "empty_statement"].some((kind) => condition.is(kind))) return [];
  return opposites.has(operatorOf(condition)) ? [] : [{ node: condition, text: `!(${condition.text()})` }];
}

function conditionOf(node: SgNode): SgNode | undefined {
  const field = node.field("condition") ?? undefined;
  // The condition of `for` is a statement in some versions of the grammar.
  const isWrapped = field?.is("parenthesized_expression") || field?.is("expression_statement");
  return isWrapped ? field?.namedChildren()[0] : field;
}

function operatorOf(node: SgNode): string {
  return node.field("operator")?.text() ?? "";
}

/** Values that another operator changes, or that are `undefined` already. */
const plainValues = ["true", "false", "null", "undefined", "string", "template_string", "array", "statement_block"];

function withoutValue(node: SgNode): readonly Edit[] {
  const value = node.is("arrow_function")
    ? node.field("body")
    : node.namedChildren().find((child) => !child.is("comment"));
  if (!value || plainValues.some((kind) => value.is(kind))) return [];
  // `return!a` has no blank.
  return [{ node: value, text: /^[\w$]/.test(value.text()) ? "undefined" : "(undefined)" }];
}

const removable = [
  "call_expression",
  "await_expression",
  "assignment_expression",
  "augmented_assignment_expression",
  "update_expression",
];

function withoutStatement(node: SgNode): readonly Edit[] {
  if (node.is("throw_statement")) return [{ node, text: ";" }];
  const expression = node.namedChildren()[0];
  if (!expression || !removable.some((kind) => expression.is(kind))) return [];
  return expression.field("function")?.is("super") ? [] : [{ node, text: ";" }];
}

function emptiedString(node: SgNode): readonly Edit[] {
  const text = /^(""|''|``)$/.test(node.text()) ? '"mutant"' : '""';
  return [{ node, text }];
}

function replaced(node: SgNode, part: SgNode, text: string): string {
  const from = node.range().start.index;
  const { start, end } = part.range();
  const whole = node.text();
  return whole.slice(0, start.index - from) + text + whole.slice(end.index - from);
}
