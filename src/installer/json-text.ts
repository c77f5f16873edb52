import {
  applyEdits,
  findNodeAtLocation,
  parse,
  parseTree,
  type Edit,
  type Node,
  type ParseError,
  type ParseOptions,
} from "jsonc-parser";
import { jsonExtensions, type JsonExtension } from "../clients/client-files.ts";
import { formatJsonProblem, formatPosition } from "../platform/json-problem.ts";
import type { SettingPath, Settings, TextFormat } from "./settings.ts";

/**
 * Edits JSON(C) texts and leaves every other byte alone. No library does: `modify` of jsonc-parser
 * drops comments beside what it removes, moves those behind the last item, reformats neighbors
 * and can leave invalid JSON when a comment stands before the removed item.
 */

const bom = "\uFEFF";
const blank = /^[ \t\r\n]*$/;

export const json: TextFormat = { findProblem, read, set, remove, isEmptyAt };

/** Returns the problem for a person, with line and column; null for a sound JSON(C) object. */
function findProblem(text: string): string | null {
  const body = withoutBom(text);
  if (blank.test(body)) return null;
  const errors: ParseError[] = [];
  const root = parseTree(body, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first) return `is not valid JSON: ${formatJsonProblem(body, first)}`;
  if (root?.type !== "object") return "is valid JSON, but not an object";
  const repeated = repeatedKey(root);
  return (
    repeated &&
    `has the key ${JSON.stringify(repeated.value)} a second time at ${formatPosition(body, repeated.offset)}`
  );
}

/**
 * [IN24] What stands in a text beyond the client's JSON, in words; null where the client reads it.
 * @param read what the client's own parser reads beyond strict JSON
 */
export function findUnread(text: string, read: readonly JsonExtension[]): string | null {
  const body = withoutBom(text);
  const hasErrors = (options: ParseOptions): boolean => {
    const errors: ParseError[] = [];
    parseTree(body, errors, options);
    return !blank.test(body) && errors.length > 0;
  };
  const found: Readonly<Record<JsonExtension, boolean>> = {
    "a byte order mark": text.startsWith(bom),
    comments: hasErrors({ disallowComments: true, allowTrailingComma: true }),
    "trailing commas": hasErrors({ allowTrailingComma: false }),
  };
  const unread = jsonExtensions.filter((extension) => found[extension] && !read.includes(extension));
  return unread.length === 0 ? null : unread.join(" and ");
}

function read(text: string): Settings {
  return (parse(withoutBom(text), [], { allowTrailingComma: true }) as Settings | undefined) ?? {};
}

function isEmptyAt(text: string, path: SettingPath): boolean {
  const body = withoutBom(text);
  const value = nodeAt(body, path);
  if (!value) return false;
  const { offset } = value.parent?.type === "property" ? value.parent : value;
  const source = body.slice(offset, value.offset + value.length);
  return /^("([^"\\]|\\.)*"\s*:\s*)?(\{\s*\}|\[\s*\])$/.test(source);
}

function set(text: string, path: SettingPath, value: unknown): string {
  return edit(text, (body) => {
    const node = nodeAt(body, path);
    if (node) return [replacement(body, node, value)];
    const container = nodeAt(body, path.slice(0, -1));
    if (!container) throw new Error(`nothing holds ${path.join(".")}`);
    return addition(body, container, container.type === "array" ? null : String(path.at(-1)), value);
  });
}

function remove(text: string, path: SettingPath): string {
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

function nodeAt(body: string, path: SettingPath): Node | undefined {
  const root = parseCached(body);
  return root && findNodeAtLocation(root, [...path]);
}

/** Newest tree: Claude Code's server file may have megabytes and is read at many paths. */
let cachedTree: { readonly body: string; readonly root: Node | undefined } = { body: "", root: undefined };

function parseCached(body: string): Node | undefined {
  if (cachedTree.body !== body) cachedTree = { body, root: parseTree(body, [], { allowTrailingComma: true }) };
  return cachedTree.root;
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

interface JsonStyle {
  readonly unit: string;
  readonly eol: string;
  readonly isMultiLine: boolean;
}

function detectEol(body: string): string {
  return body.includes("\r\n") ? "\r\n" : "\n";
}

function detectStyle(body: string): JsonStyle {
  const trimmed = body.trim();
  return {
    unit: /\n([ \t]+)"/.exec(body)?.[1] ?? "  ",
    eol: detectEol(body),
    isMultiLine: trimmed.includes("\n") || /^\{[ \t]*\}$/.test(trimmed),
  };
}

function replacement(body: string, node: Node, value: unknown): Edit {
  const content = format(value, detectStyle(body), indentAt(body, node.offset));
  return { offset: node.offset, length: node.length, content };
}

function addition(body: string, container: Node, key: string | null, value: unknown): Edit[] {
  const style = detectStyle(body);
  const name = key === null ? "" : `${JSON.stringify(key)}:${style.isMultiLine ? " " : ""}`;
  const last = childrenOf(container).at(-1);
  if (!last) return firstItem(body, container, style, (indent) => name + format(value, style, indent));
  const layout = detectLayout(body, container, style);
  const text = name + format(value, { ...style, isMultiLine: layout.hasOwnLines }, layout.indent);
  const tail = tailOf(body, endOf(last));
  const inline = style.isMultiLine ? " " : "";
  const separator = layout.hasOwnLines || tail.endsInLineComment ? style.eol + layout.indent : inline;
  if (tail.comma !== null) return [{ offset: tail.end, length: 0, content: `${separator}${text},` }];
  return [
    { offset: endOf(last), length: 0, content: "," },
    { offset: tail.end, length: 0, content: separator + text },
  ];
}

function detectLayout(body: string, container: Node, style: JsonStyle): { hasOwnLines: boolean; indent: string } {
  const first = childrenOf(container)[0] ?? container;
  const hasOwnLines = body.slice(container.offset, first.offset).includes("\n");
  return {
    hasOwnLines,
    indent: hasOwnLines ? indentAt(body, first.offset) : indentAt(body, container.offset) + style.unit,
  };
}

function firstItem(body: string, container: Node, style: JsonStyle, text: (indent: string) => string): Edit[] {
  const close = endOf(container) - 1;
  const kept = body.slice(container.offset + 1, close).replace(/(?<![ \t\r\n])[ \t\r\n]+$/, "");
  const offset = container.offset + 1 + kept.length;
  const outer = indentAt(body, container.offset);
  const before = style.isMultiLine ? style.eol + outer + style.unit : "";
  const after = style.isMultiLine ? style.eol + outer : "";
  return [{ offset, length: close - offset, content: before + text(outer + style.unit) + after }];
}

/** Edits that take a value out: with its line where it stands alone there, and with one comma. */
function removal(body: string, value: Node): Edit[] {
  const item = value.parent?.type === "property" ? value.parent : value;
  const container = item.parent;
  if (!container) throw new Error("the whole document cannot be removed");
  if (isAlone(body, item, container)) return [deleteRange(container.offset + 1, endOf(container) - 1)];
  const { comma } = tailOf(body, endOf(item));
  if (comma === null) {
    const range = rangeOf(body, item.offset, endOf(item), false);
    const before = commaBefore(body, item, container);
    return before === null ? [range] : [range, deleteRange(before, before + 1)];
  }
  const isAdjacent = /^[ \t]*$/.test(body.slice(endOf(item), comma));
  if (isAdjacent) return [rangeOf(body, item.offset, comma + 1, true)];
  return [rangeOf(body, item.offset, endOf(item), true), deleteRange(comma, comma + 1)];
}

function deleteRange(start: number, end: number): Edit {
  return { offset: start, length: end - start, content: "" };
}

function isAlone(body: string, item: Node, container: Node): boolean {
  if (childrenOf(container).length > 1) return false;
  const separators = body.slice(container.offset + 1, item.offset) + body.slice(endOf(item), endOf(container) - 1);
  return /^[\s,]*$/.test(separators);
}

function commaBefore(body: string, item: Node, container: Node): number | null {
  const siblings = childrenOf(container);
  const previous = siblings[siblings.indexOf(item) - 1];
  return previous ? tailOf(body, endOf(previous)).comma : null;
}

function rangeOf(body: string, start: number, end: number, hasComma: boolean): Edit {
  const lineStart = start - (/(?<![ \t])[ \t]*$/.exec(body.slice(0, start)) ?? [""])[0].length;
  const blanksEnd = end + (/^[ \t]*/.exec(body.slice(end)) ?? [""])[0].length;
  const startsLine = body[lineStart - 1] === "\n";
  if (startsLine && /^(\r?\n|$)/.test(body.slice(blanksEnd)))
    return deleteRange(lineStart - (body[lineStart - 2] === "\r" ? 2 : 1), blanksEnd);
  return startsLine || hasComma ? deleteRange(start, blanksEnd) : deleteRange(lineStart, end);
}

interface ItemTail {
  readonly comma: number | null;
  readonly end: number;
  readonly endsInLineComment: boolean;
}

const blanksAndComments = /(?:[ \t\r\n]|\/\/[^\r\n]*|\/\*[\s\S]*?\*\/)*/y;
const lineTail = /(?:[ \t]*\/\*(?:[^*]|\*(?!\/))*\*\/)*(?:[ \t]*(\/\/[^\r\n]*))?/y;

function tailOf(body: string, itemEnd: number): ItemTail {
  blanksAndComments.lastIndex = itemEnd;
  const commaAt = itemEnd + (blanksAndComments.exec(body)?.[0].length ?? 0);
  const comma = body[commaAt] === "," ? commaAt : null;
  const start = comma === null ? itemEnd : comma + 1;
  lineTail.lastIndex = start;
  const [comments = "", lineComment] = lineTail.exec(body) ?? [];
  return { comma, end: start + comments.length, endsInLineComment: lineComment !== undefined };
}

function childrenOf(container: Node): readonly Node[] {
  return container.children ?? [];
}

function endOf(node: Node): number {
  return node.offset + node.length;
}

function indentAt(body: string, offset: number): string {
  const lineStart = body.lastIndexOf("\n", offset - 1) + 1;
  return (/^[ \t]*/.exec(body.slice(lineStart)) ?? [""])[0];
}

function format(value: unknown, style: JsonStyle, indent: string): string {
  if (!style.isMultiLine) return JSON.stringify(value);
  return JSON.stringify(value, null, style.unit).replaceAll("\n", style.eol + indent);
}
