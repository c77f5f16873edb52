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

/** A plan as it was written: YAML, of which JSON is a part. Pure. */
export interface Plan {
  readonly value: Json;
  /** The line that a path leads to, or as far as it leads; the first one is 1. */
  lineOf(path: readonly PropertyKey[]): number;
}

export interface PlanProblem {
  readonly line: number;
  readonly message: string;
}

/** Nodes within nodes, as an input may be nested: all that walks through them is a recursion. */
const mostDeep = 100;

/** @param mostChars of all texts together, with each alias as what it stands for */
export function readPlan(text: string, mostChars: number): Result<Plan, PlanProblem> {
  const lines = new LineCounter();
  const lineAt = (offset: number): number => lines.linePos(offset).line;
  const deepAt = tooDeep(text, lines);
  if (deepAt !== null) return err({ line: lineAt(deepAt), message: `nested more than ${mostDeep} deep` });
  const document = parseDocument(text, { prettyErrors: false });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem) return err({ line: lineAt(problem.pos[0]), message: problem.message });
  const read = valueOf(document, mostChars);
  if (!read.ok) return err({ line: lineAt(startOf(read.error.node)), message: read.error.message });
  return ok({ value: read.value, lineOf: (path) => lineAt(startOf(nodeAt(document.contents, path))) });
}

/** Where it is nested too deep: before a parser that goes down into it does. */
function tooDeep(text: string, lines: LineCounter): number | null {
  lines.addNewLine(0);
  const parser = new Parser(lines.addNewLine);
  for (const lexeme of new Lexer().lex(text)) {
    // Each token is in place when the next one comes.
    for (const _token of parser.next(lexeme));
    // The document itself is one of them, a scalar at the end another.
    if (parser.stack.length > mostDeep + 2) return parser.offset;
  }
  return null;
}

interface Unfit {
  readonly node: Node | null;
  readonly message: string;
}

interface Value {
  readonly value: Json;
  readonly chars: number;
}

/** Thrown by {@link Reader}, and caught where it was asked. */
class UnfitError extends Error {
  readonly node: Node | null;

  constructor(node: Node | null, message: string) {
    super(message);
    this.node = node;
  }
}

function valueOf({ contents }: Document.Parsed, mostChars: number): Result<Json, Unfit> {
  try {
    return ok(new Reader(mostChars).read(contents).value);
  } catch (error) {
    if (error instanceof UnfitError) return err({ node: error.node, message: error.message });
    throw error;
  }
}

/** From nodes to a JSON value. What an anchor stands for is made once, and counted as often as it is named. */
class Reader {
  readonly #mostChars: number;
  /** Null: it is being read just now. */
  readonly #anchors = new Map<string, Value | null>();

  constructor(mostChars: number) {
    this.#mostChars = mostChars;
  }

  read(node: unknown): Value {
    if (isAlias(node)) return this.#aliased(node.source, node);
    const known = isMap(node) || isSeq(node) || isScalar(node) ? node : null;
    const anchor = known?.anchor;
    if (anchor !== undefined) this.#anchors.set(anchor, null);
    const value = this.#bounded(known, this.#made(node));
    if (anchor !== undefined) this.#anchors.set(anchor, value);
    return value;
  }

  #made(node: unknown): Value {
    if (isMap(node)) return this.#object(node);
    if (isSeq(node)) return this.#list(node);
    return isScalar(node) ? scalar(node.value, node) : { value: null, chars: 4 };
  }

  #object(node: YAMLMap): Value {
    let chars = 2;
    const entries = node.items.map((pair): [string, Json] => {
      const key = keyOf(pair, node);
      const { value, chars: more } = this.read(pair.value);
      chars += key.length + more + 4;
      return [key, value];
    });
    return { value: plain(node, "map", Object.fromEntries(entries)), chars };
  }

  #list(node: YAMLSeq): Value {
    let chars = 2;
    const items = node.items.map((item) => {
      const { value, chars: more } = this.read(item);
      chars += more + 1;
      return value;
    });
    return { value: plain(node, "seq", items), chars };
  }

  #aliased(name: string, node: Node): Value {
    const known = this.#anchors.get(name);
    if (known === undefined) throw new UnfitError(node, `*${name} stands for nothing: no &${name} comes before it`);
    if (known === null) throw new UnfitError(node, `*${name} stands within what it stands for`);
    return this.#bounded(node, known);
  }

  #bounded(node: Node | null, value: Value): Value {
    if (value.chars <= this.#mostChars) return value;
    throw new UnfitError(
      node,
      `with all that aliases stand for it is too large: at most ${this.#mostChars} characters`,
    );
  }
}

function scalar(value: unknown, node: Node): Value {
  const isText = typeof value === "string";
  if (isText || typeof value === "boolean" || value === null) return { value, chars: isText ? value.length + 2 : 5 };
  if (typeof value === "number" && Number.isFinite(value)) return { value, chars: 8 };
  throw new UnfitError(node, `${typeof value === "number" ? value : "this"} is no value that JSON has`);
}

function keyOf({ key }: Pair, node: Node): string {
  if (isScalar(key) && typeof key.value === "string") return key.value;
  throw new UnfitError(node, "the name of a field is no text (1 and true need quotes)");
}

/** A tag may make something else of it than a map or a list. */
function plain(node: YAMLMap | YAMLSeq, kind: "map" | "seq", value: Json): Json {
  if (node.tag === undefined || node.tag === `tag:yaml.org,2002:${kind}`) return value;
  throw new UnfitError(node, `${node.tag} makes no value that JSON has`);
}

function startOf(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}

/** As far down as it leads. A field is where its name stands. */
function nodeAt(root: Node | null, path: readonly PropertyKey[]): Node | null {
  let node: unknown = root;
  let last = root;
  for (const step of path) {
    const [place, next] = below(node, step);
    if (!place) return last;
    last = place;
    node = next;
  }
  return last;
}

/** Where it stands, and what is there. */
function below(node: unknown, step: PropertyKey): readonly [Node | null, unknown] {
  if (isSeq<Node>(node)) {
    const item = node.items[Number(step)] ?? null;
    return [item, item];
  }
  if (!isMap(node)) return [null, null];
  const pair = node.items.find(({ key }) => isScalar(key) && key.value === step);
  return [pair && isScalar(pair.key) ? pair.key : null, pair?.value];
}
