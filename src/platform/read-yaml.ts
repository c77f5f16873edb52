import { parse as parseJson, type ParseError } from "jsonc-parser";
import {
  isMap,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  parseDocument,
  Parser,
  visit,
  type Document,
  type Node,
} from "yaml";
import type { Json } from "../contract/json.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { formatErrorCode } from "./json-problem.ts";

/** A text in YAML or JSON. */
export interface YamlText {
  readonly value: Json;
  /** Line of the path's deepest existing node; the first line is 1. */
  lineOf(path: readonly PropertyKey[]): number;
}

export interface YamlProblem {
  readonly line: number;
  readonly message: string;
}

/** Nesting limit, since all readers of the tree recurse. */
const maxDepth = 100;

/** @param maxChars of all texts together, aliases expanded */
export function readYaml(text: string, maxChars: number): Result<YamlText, YamlProblem> {
  const lines = new LineCounter();
  const lineAt = (offset: number): number => lines.linePos(offset).line;
  const deepAt = findTooDeep(text, lines);
  if (deepAt !== null) return err({ line: lineAt(deepAt), message: `nested more than ${maxDepth} deep` });
  const document = parseDocument(text, { prettyErrors: false });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem) return err(jsonProblem(text) ?? { line: lineAt(problem.pos[0]), message: problem.message });
  const unfit = findUnfit(document);
  if (unfit) return err({ line: lineAt(startOffset(unfit.node)), message: unfit.message });
  // Aliases share their value, so only what is read of it later can be too large.
  const value = document.toJS({ maxAliasCount: -1 }) as Json;
  if (!fits(value, maxChars)) {
    const message = `too large once its aliases are expanded: at most ${maxChars} characters`;
    return err({ line: lineAt(startOffset(document.contents)), message });
  }
  return ok({ value, lineOf: (path) => lineAt(startOffset(nodeAt(document.contents, path))) });
}

/** JSON is YAML, whose parser names braces and brackets in words of its own. */
function jsonProblem(text: string): YamlProblem | null {
  if (!/^\s*[[{]\s*["[{]/.test(text)) return null;
  const errors: ParseError[] = [];
  parseJson(text, errors);
  const [first] = errors;
  if (!first) return null;
  return { line: text.slice(0, first.offset).split("\n").length, message: formatErrorCode(first) };
}

/** Finds too deep nesting before a recursive parser reads it. */
function findTooDeep(text: string, lines: LineCounter): number | null {
  lines.addNewLine(0);
  const parser = new Parser(lines.addNewLine);
  for (const lexeme of new Lexer().lex(text)) {
    // Each token is complete when the next one comes.
    for (const _token of parser.next(lexeme));
    // The stack also holds the document, and maybe a scalar at the end.
    if (parser.stack.length > maxDepth + 2) return parser.offset;
  }
  return null;
}

interface Unfit {
  readonly node: Node;
  readonly message: string;
}

/** Finds the first node without a JSON value: YAML has more kinds of keys and scalars. */
function findUnfit(document: Document.Parsed): Unfit | null {
  const anchors = new Map<string, Node>();
  let unfit: Unfit | null = null;
  const check = (node: Node, message: string | null): symbol | undefined => {
    if (message === null) return undefined;
    unfit = { node, message };
    return visit.BREAK;
  };
  visit(document, {
    Alias: (_key, node, path) => {
      const target = anchors.get(node.source);
      if (!target) return check(node, `*${node.source} is undefined: no &${node.source} comes before it`);
      return check(node, path.includes(target) ? `*${node.source} refers to a node that contains it` : null);
    },
    Value: (_key, node) => {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
      return check(node, isScalar(node) ? scalarProblem(node.value) : collectionProblem(node));
    },
  });
  return unfit;
}

function scalarProblem(value: unknown): string | null {
  if (typeof value === "string" || typeof value === "boolean" || value === null || Number.isFinite(value)) return null;
  return `${typeof value === "number" ? value : "this"} is not a JSON value`;
}

/** A tag may turn a map or a list into another type. */
function collectionProblem(node: Node): string | null {
  const { tag } = node as { tag?: string };
  if (tag !== undefined && tag !== `tag:yaml.org,2002:${isMap(node) ? "map" : "seq"}`)
    return `${tag} is not a JSON type`;
  const isNamed = !isMap(node) || node.items.every(({ key }) => isScalar(key) && typeof key.value === "string");
  return isNamed ? null : "a field name is not a string (1 and true need quotes)";
}

/** Counts characters up to the limit: a value may contain another many times. */
function fits(value: Json, maxChars: number): boolean {
  const open: Json[] = [value];
  let chars = 0;
  for (let next = open.pop(); next !== undefined && chars <= maxChars; next = open.pop()) {
    chars += typeof next === "string" ? next.length + 2 : 5;
    if (typeof next !== "object" || next === null) continue;
    for (const name of Array.isArray(next) ? [] : Object.keys(next)) chars += name.length + 4;
    // A call with all of them as arguments would overflow the stack.
    for (const part of Object.values(next)) open.push(part);
  }
  return chars <= maxChars;
}

function startOffset(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}

/** Stops at the deepest existing node. A field's node is its name. */
function nodeAt(root: Node | null, path: readonly PropertyKey[]): Node | null {
  let last = root;
  let node: unknown = root;
  for (const step of path) {
    const item = isSeq(node)
      ? node.items[Number(step)]
      : isMap(node) && node.items.find(({ key }) => isScalar(key) && key.value === step);
    if (!item) return last;
    last = (isPair(item) ? item.key : item) as Node;
    node = isPair(item) ? item.value : item;
  }
  return last;
}
