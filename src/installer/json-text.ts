import { applyEdits, findNodeAtLocation, getNodeValue, parseTree, printParseErrorCode } from "jsonc-parser";
import type { Edit, Node, ParseError } from "jsonc-parser";
import { addition, detectEol, removal, replacement } from "./json-layout.ts";

/**
 * Edits of JSON(C) texts that leave every other byte alone. `modify` of jsonc-parser is not used:
 * it drops comments beside what it removes and re-indents the lines it touches. `findProblem` must
 * have returned null for a text before it is edited; a blank text counts as an empty object.
 */

export type JsonPath = readonly (string | number)[];

const bom = "\uFEFF";
const blank = /^[ \t\r\n]*$/;

/** Returns the problem for a person, with line and column; null for a sound JSON(C) object. */
export function findProblem(text: string): string | null {
  const body = withoutBom(text);
  if (blank.test(body)) return null;
  const errors: ParseError[] = [];
  const root = parseTree(body, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first) return `is not valid JSON: ${printParseErrorCode(first.error)} at ${formatPosition(body, first.offset)}`;
  if (root?.type !== "object") return "is valid JSON, but not an object";
  const repeated = repeatedKey(root);
  return (
    repeated &&
    `has the key ${JSON.stringify(repeated.value)} a second time at ${formatPosition(body, repeated.offset)}`
  );
}

export function isStrict(text: string): boolean {
  const body = withoutBom(text);
  try {
    JSON.parse(body);
    return true;
  } catch {
    return blank.test(body);
  }
}

export function valueAt(text: string, path: JsonPath): unknown {
  const node = nodeAt(withoutBom(text), path);
  return node && (getNodeValue(node) as unknown);
}

/** Returns true for `{}` or `[]` without a comment in it or before it. */
export function isEmptyAt(text: string, path: JsonPath): boolean {
  const body = withoutBom(text);
  const value = nodeAt(body, path);
  if (!value) return false;
  const { offset } = value.parent?.type === "property" ? value.parent : value;
  const source = body.slice(offset, value.offset + value.length);
  return /^("([^"\\]|\\.)*"\s*:\s*)?(\{\s*\}|\[\s*\])$/.test(source);
}

export function set(text: string, path: JsonPath, value: unknown): string {
  return edit(text, (body) => {
    const node = nodeAt(body, path);
    return node ? [replacement(body, node, value)] : addAt(body, path, value);
  });
}

export function append(text: string, path: JsonPath, value: unknown): string {
  return edit(text, (body) => {
    const array = nodeAt(body, path);
    return array ? addition(body, array, null, value) : addAt(body, path, [value]);
  });
}

export function remove(text: string, path: JsonPath): string {
  return edit(text, (body) => {
    const value = nodeAt(body, path);
    return value ? removal(body, value) : [];
  });
}

function edit(text: string, edits: (body: string) => Edit[]): string {
  const mark = text.startsWith(bom) ? bom : "";
  const rest = withoutBom(text);
  const body = blank.test(rest) ? `{}${detectEol(rest)}` : rest;
  const made = edits(body);
  return made.length === 0 ? text : mark + applyEdits(body, made);
}

function withoutBom(text: string): string {
  return text.startsWith(bom) ? text.slice(1) : text;
}

function nodeAt(body: string, path: JsonPath): Node | undefined {
  const root = parseCached(body);
  return root && findNodeAtLocation(root, [...path]);
}

/** Newest tree: Claude Code's server file may have megabytes and is read at many paths. */
let cachedTree: { readonly body: string; readonly root: Node | undefined } = { body: "", root: undefined };

function parseCached(body: string): Node | undefined {
  if (cachedTree.body !== body) cachedTree = { body, root: parseTree(body, [], { allowTrailingComma: true }) };
  return cachedTree.root;
}

function addAt(body: string, path: JsonPath, value: unknown): Edit[] {
  let depth = path.length - 1;
  while (depth > 0 && !nodeAt(body, path.slice(0, depth))) depth--;
  const container = nodeAt(body, path.slice(0, depth));
  if (container?.type !== "object") throw new Error(`no object to hold ${path.join(".")}`);
  const nested = path.slice(depth + 1).reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
  return addition(body, container, String(path[depth]), nested);
}

function repeatedKey(node: Node): Node | null {
  const children = node.children ?? [];
  if (node.type === "object") {
    const keys = children.flatMap((property) => property.children?.slice(0, 1) ?? []);
    const seen = new Set<unknown>();
    const repeated = keys.find((key) => seen.size === seen.add(key.value).size);
    if (repeated) return repeated;
  }
  for (const child of children) {
    const found = repeatedKey(child);
    if (found) return found;
  }
  return null;
}

function formatPosition(body: string, offset: number): string {
  const lines = body.slice(0, offset).split("\n");
  return `line ${lines.length}, column ${(lines.at(-1) ?? "").length + 1}`;
}
