import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  parseDocument,
  Parser,
  type Document,
  type Node,
  type Pair,
  type YAMLMap,
  type YAMLSeq,
} from "yaml";
import type { Json } from "../contract/values.ts";
import { err, ok, type Result } from "../shared/result.ts";

export interface Plan {
  readonly value: Json;
  /** Line of the path's deepest existing node; the first line is 1. */
  lineOf(path: readonly PropertyKey[]): number;
}

export interface PlanProblem {
  readonly line: number;
  readonly message: string;
}

/** Nesting limit, since all readers of the tree recurse. */
const maxDepth = 100;

/** @param maxChars of all texts together, aliases expanded */
export function readPlan(text: string, maxChars: number): Result<Plan, PlanProblem> {
  const lines = new LineCounter();
  const lineAt = (offset: number): number => lines.linePos(offset).line;
  const deepAt = findTooDeep(text, lines);
  if (deepAt !== null) return err({ line: lineAt(deepAt), message: `nested more than ${maxDepth} deep` });
  const document = parseDocument(text, { prettyErrors: false });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem) return err({ line: lineAt(problem.pos[0]), message: problem.message });
  const read = toValue(document, maxChars);
  if (!read.ok) return err({ line: lineAt(startOffset(read.error.node)), message: read.error.message });
  return ok({ value: read.value, lineOf: (path) => lineAt(startOffset(nodeAt(document.contents, path))) });
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

interface UnfitValue {
  readonly node: Node | null;
  readonly message: string;
}

interface SizedValue {
  readonly value: Json;
  readonly chars: number;
}

class UnfitError extends Error {
  readonly node: Node | null;

  constructor(node: Node | null, message: string) {
    super(message);
    this.node = node;
  }
}

function toValue({ contents }: Document.Parsed, maxChars: number): Result<Json, UnfitValue> {
  try {
    return ok(new PlanReader(maxChars).read(contents).value);
  } catch (error) {
    if (error instanceof UnfitError) return err({ node: error.node, message: error.message });
    throw error;
  }
}

/** Converts nodes to a JSON value. An anchor is converted once, and counted at each use. */
class PlanReader {
  readonly #maxChars: number;
  /** Values by anchor; null while the anchor is being read. */
  readonly #anchors = new Map<string, SizedValue | null>();

  constructor(maxChars: number) {
    this.#maxChars = maxChars;
  }

  read(node: unknown): SizedValue {
    if (isAlias(node)) return this.#resolveAlias(node.source, node);
    const known = isMap(node) || isSeq(node) || isScalar(node) ? node : null;
    const anchor = known?.anchor;
    if (anchor !== undefined) this.#anchors.set(anchor, null);
    const value = this.#checkSize(known, this.#convert(node));
    if (anchor !== undefined) this.#anchors.set(anchor, value);
    return value;
  }

  #convert(node: unknown): SizedValue {
    if (isMap(node)) return this.#object(node);
    if (isSeq(node)) return this.#list(node);
    return isScalar(node) ? scalar(node.value, node) : { value: null, chars: 4 };
  }

  #object(node: YAMLMap): SizedValue {
    let chars = 2;
    const entries = node.items.map((pair): [string, Json] => {
      const key = readKey(pair, node);
      const { value, chars: more } = this.read(pair.value);
      chars += key.length + more + 4;
      return [key, value];
    });
    return { value: requirePlain(node, "map", Object.fromEntries(entries)), chars };
  }

  #list(node: YAMLSeq): SizedValue {
    let chars = 2;
    const items = node.items.map((item) => {
      const { value, chars: more } = this.read(item);
      chars += more + 1;
      return value;
    });
    return { value: requirePlain(node, "seq", items), chars };
  }

  #resolveAlias(name: string, node: Node): SizedValue {
    const known = this.#anchors.get(name);
    if (known === undefined) throw new UnfitError(node, `*${name} stands for nothing: no &${name} comes before it`);
    if (known === null) throw new UnfitError(node, `*${name} stands within what it stands for`);
    return this.#checkSize(node, known);
  }

  #checkSize(node: Node | null, value: SizedValue): SizedValue {
    if (value.chars <= this.#maxChars) return value;
    throw new UnfitError(node, `with all that aliases stand for it is too large: at most ${this.#maxChars} characters`);
  }
}

function scalar(value: unknown, node: Node): SizedValue {
  const isText = typeof value === "string";
  if (isText || typeof value === "boolean" || value === null) return { value, chars: isText ? value.length + 2 : 5 };
  if (typeof value === "number" && Number.isFinite(value)) return { value, chars: 8 };
  throw new UnfitError(node, `${typeof value === "number" ? value : "this"} is no value that JSON has`);
}

function readKey({ key }: Pair, node: Node): string {
  if (isScalar(key) && typeof key.value === "string") return key.value;
  throw new UnfitError(node, "the name of a field is no text (1 and true need quotes)");
}

/** A tag may turn a map or a list into another type. */
function requirePlain(node: YAMLMap | YAMLSeq, kind: "map" | "seq", value: Json): Json {
  if (node.tag === undefined || node.tag === `tag:yaml.org,2002:${kind}`) return value;
  throw new UnfitError(node, `${node.tag} makes no value that JSON has`);
}

function startOffset(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}

/** Stops at the deepest existing node. A field's node is its name. */
function nodeAt(root: Node | null, path: readonly PropertyKey[]): Node | null {
  let node: unknown = root;
  let last = root;
  for (const step of path) {
    const [position, next] = childAt(node, step);
    if (!position) return last;
    last = position;
    node = next;
  }
  return last;
}

function childAt(node: unknown, step: PropertyKey): readonly [Node | null, unknown] {
  if (isSeq<Node>(node)) {
    const item = node.items[Number(step)] ?? null;
    return [item, item];
  }
  if (!isMap(node)) return [null, null];
  const pair = node.items.find(({ key }) => isScalar(key) && key.value === step);
  return [pair && isScalar(pair.key) ? pair.key : null, pair?.value];
}
