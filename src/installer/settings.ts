import { isDeepStrictEqual } from "node:util";
import { patch, stringify, TomlDocument } from "@decimalturn/toml-patch";
import { applyEdits, findNodeAtLocation, parse, parseTree, type Edit, type Node, type ParseError } from "jsonc-parser";
import { jsonExtensions, type JsonExtension } from "../clients/adapter/client-form.ts";
import { formatJsonProblem, formatPosition } from "../platform/config-file.ts";
import { messageOf } from "../shared/error.ts";
import { isRecord, type JsonObject } from "../shared/json-fields.ts";

/** Edits the text of a settings file by its values, whatever its format. Pure. */

/** Values of a settings file; a change writes to them. */
export type Settings = Record<string, unknown>;
export type SettingPath = readonly (string | number)[];

/** Texts must be sound. A blank text counts as an empty object. */
interface TextFormat {
  /** In words, with line and column; null for a sound text. */
  findProblem(text: string): string | null;
  read(text: string): Settings;
  /** Replaces a value, or adds it at the end of what holds it. */
  set(text: string, path: SettingPath, value: unknown): string;
  remove(text: string, path: SettingPath): string;
  /** Whether nothing is in the object or list, and no comment in it or before it. */
  isEmptyAt(text: string, path: SettingPath): boolean;
}

export function formatOf(path: string): TextFormat {
  return path.endsWith(".toml") ? toml : json;
}

export function valueAt(root: unknown, path: SettingPath): unknown {
  return path.reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), root);
}

/** Empty where there is no object. */
export function objectAt(root: JsonObject, path: SettingPath): JsonObject {
  const value = valueAt(root, path);
  return isRecord(value) ? value : {};
}

/** The object to write to; made where there is none. Throws for another kind of value. */
export function objectIn(root: Settings, key: string): Settings {
  const value = (root[key] ??= {});
  if (!isRecord(value)) throw new Error(`${key} is no object`);
  return value;
}

/** The list to write to; made where there is none. Throws for another kind of value. */
export function listIn(root: Settings, key: string): unknown[] {
  const value = (root[key] ??= []);
  if (!Array.isArray(value)) throw new Error(`${key} is no list`);
  return value;
}

/**
 * Carries a change of the values into the text and leaves every other byte alone. A list may
 * lose items and get new ones at its end.
 *
 * @param original the file before SHIM: what the change empties goes, unless the user had it before
 */
export function update(
  format: TextFormat,
  text: string,
  change: (root: Settings) => void,
  original: JsonObject = {},
): string {
  const root = format.read(text);
  /** For each copied object and list, what it is a copy of. */
  const origins = new Map<unknown, unknown>();
  const changed = copyOf(root, origins) as Settings;
  change(changed);
  return carry(text, [], root, changed);

  function carry(from: string, path: SettingPath, before: unknown, after: unknown): string {
    if (isDeepStrictEqual(before, after)) return from;
    if (origins.get(after) !== before) return format.set(from, path, after);
    if (isRecord(before) && isRecord(after)) return pruned(carryObject(from, path, before, after), path);
    if (Array.isArray(before) && Array.isArray(after)) return pruned(carryList(from, path, before, after), path);
    return format.set(from, path, after);
  }

  function carryObject(from: string, path: SettingPath, before: Settings, after: Settings): string {
    const lost = Object.keys(before).filter((key) => after[key] === undefined);
    const rest = lost.reduce((left, key) => format.remove(left, [...path, key]), from);
    return Object.keys(after)
      .filter((key) => after[key] !== undefined)
      .reduce((left, key) => carry(left, [...path, key], before[key], after[key]), rest);
  }

  function carryList(from: string, path: SettingPath, before: readonly unknown[], after: readonly unknown[]): string {
    let next = 0;
    const indexes = after.map((item) => {
      const at = before.indexOf(origins.get(item) ?? item, next);
      if (at >= 0) next = at + 1;
      return at;
    });
    const lost = [...before.keys()].filter((at) => !indexes.includes(at));
    const rest = lost.reduceRight((left, at) => format.remove(left, [...path, at]), from);
    return after.reduce<string>((left, item, at) => carry(left, [...path, at], before[indexes[at] ?? -1], item), rest);
  }

  function pruned(from: string, path: SettingPath): string {
    const isNamed = path.length > 0 && path.every((key) => typeof key === "string");
    const isOurs = isNamed && valueAt(original, path) === undefined;
    return isOurs && format.isEmptyAt(from, path) ? format.remove(from, path) : from;
  }
}

/** @param origins gets for each copied object and list what it is a copy of */
function copyOf(value: unknown, origins: Map<unknown, unknown>): unknown {
  // A date of TOML has no fields.
  if (value instanceof Date || !(isRecord(value) || Array.isArray(value))) return value;
  const copy = Array.isArray(value)
    ? value.map((item) => copyOf(item, origins))
    : Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyOf(item, origins)]));
  origins.set(copy, value);
  return copy;
}

/**
 * Edits of JSON(C). No library leaves every other byte alone: `modify` of jsonc-parser drops
 * comments beside what it removes, moves those behind the last item, reformats neighbors and can
 * leave invalid JSON when a comment stands before the removed item.
 */
export const json: TextFormat = {
  findProblem(text) {
    const body = withoutBom(text);
    if (blank.test(body)) return null;
    const errors: ParseError[] = [];
    const root = parseTree(body, errors, { allowTrailingComma: true });
    const [first] = errors;
    if (first) return `is not valid JSON: ${formatJsonProblem(body, first)}`;
    if (root?.type !== "object") return "is valid JSON, but not an object";
    const repeated = repeatedKey(root);
    if (!repeated) return null;
    return `has the key ${JSON.stringify(repeated.value)} a second time at ${formatPosition(body, repeated.offset)}`;
  },
  read: (text) => (parse(withoutBom(text), [], { allowTrailingComma: true }) as Settings | undefined) ?? {},
  set: (text, path, value) =>
    edit(text, (body) => {
      const style = styleOf(body);
      const node = nodeAt(body, path);
      if (node) {
        const content = written(value, style, indentAt(body, node.offset));
        return [{ offset: node.offset, length: node.length, content }];
      }
      const container = nodeAt(body, path.slice(0, -1));
      if (!container) throw new Error(`nothing holds ${path.join(".")}`);
      const key = `${JSON.stringify(path.at(-1))}:${style.isMultiLine ? " " : ""}`;
      return addition(body, container, container.type === "array" ? "" : key, value);
    }),
  remove: (text, path) =>
    edit(text, (body) => {
      const value = nodeAt(body, path);
      return value ? removal(body, value) : [];
    }),
  isEmptyAt(text, path) {
    const body = withoutBom(text);
    const value = nodeAt(body, path);
    if (!value) return false;
    const source = body.slice(itemOf(value).offset, endOf(value));
    return /^("([^"\\]|\\.)*"\s*:\s*)?(\{\s*\}|\[\s*\])$/.test(source);
  },
};

const bom = "\uFEFF";
const blank = /^[ \t\r\n]*$/;

/**
 * Names what a text has beyond the client's JSON; null where the client reads it.
 * @param read what the client's own parser reads beyond strict JSON
 */
export function findUnread(text: string, read: readonly JsonExtension[]): string | null {
  const body = withoutBom(text);
  const hasErrors = (allowTrailingComma: boolean, disallowComments: boolean): boolean => {
    const errors: ParseError[] = [];
    parseTree(body, errors, { allowTrailingComma, disallowComments });
    return !blank.test(body) && errors.length > 0;
  };
  const found: Readonly<Record<JsonExtension, boolean>> = {
    "a byte order mark": text.startsWith(bom),
    comments: hasErrors(true, true),
    "trailing commas": hasErrors(false, false),
  };
  const unread = jsonExtensions.filter((extension) => found[extension] && !read.includes(extension));
  return unread.length === 0 ? null : unread.join(" and ");
}

function edit(text: string, editsOf: (body: string) => Edit[]): string {
  const rest = withoutBom(text);
  const body = blank.test(rest) ? `{}${eolOf(rest)}` : rest;
  const edits = editsOf(body);
  return edits.length === 0 ? text : text.slice(0, text.length - rest.length) + applyEdits(body, edits);
}

function withoutBom(text: string): string {
  return text.startsWith(bom) ? text.slice(1) : text;
}

function nodeAt(body: string, path: SettingPath): Node | undefined {
  if (cachedTree.body !== body) cachedTree = { body, root: parseTree(body, [], { allowTrailingComma: true }) };
  return cachedTree.root && findNodeAtLocation(cachedTree.root, [...path]);
}

/** Newest tree: Claude Code's server file may have megabytes and is read at many paths. */
let cachedTree: { readonly body: string; readonly root: Node | undefined } = { body: "", root: undefined };

function repeatedKey(node: Node): Node | undefined {
  const keys = node.type === "object" ? childrenOf(node).flatMap((property) => childrenOf(property).slice(0, 1)) : [];
  const seen = new Set<unknown>();
  const repeated = keys.find((key) => seen.size === seen.add(key.value).size);
  if (repeated) return repeated;
  for (const child of childrenOf(node)) {
    const found = repeatedKey(child);
    if (found) return found;
  }
  return undefined;
}

interface JsonStyle {
  readonly unit: string;
  readonly eol: string;
  readonly isMultiLine: boolean;
}

function eolOf(body: string): string {
  return body.includes("\r\n") ? "\r\n" : "\n";
}

function styleOf(body: string): JsonStyle {
  const trimmed = body.trim();
  return {
    unit: /\n([ \t]+)"/.exec(body)?.[1] ?? "  ",
    eol: eolOf(body),
    isMultiLine: trimmed.includes("\n") || /^\{[ \t]*\}$/.test(trimmed),
  };
}

/** @param name key and colon; empty in a list */
function addition(body: string, container: Node, name: string, value: unknown): Edit[] {
  const style = styleOf(body);
  const [first] = childrenOf(container);
  const last = childrenOf(container).at(-1);
  const outer = indentAt(body, container.offset);
  if (!first || !last) {
    const close = endOf(container) - 1;
    const kept = body.slice(container.offset + 1, close).replace(/(?<![ \t\r\n])[ \t\r\n]+$/, "");
    const offset = container.offset + 1 + kept.length;
    const text = name + written(value, style, outer + style.unit);
    const content = style.isMultiLine ? style.eol + outer + style.unit + text + style.eol + outer : text;
    return [{ offset, length: close - offset, content }];
  }
  const hasOwnLines = body.slice(container.offset, first.offset).includes("\n");
  const indent = hasOwnLines ? indentAt(body, first.offset) : outer + style.unit;
  const text = name + written(value, { ...style, isMultiLine: hasOwnLines }, indent);
  const tail = tailOf(body, endOf(last));
  const inline = style.isMultiLine ? " " : "";
  const separator = hasOwnLines || tail.endsInLineComment ? style.eol + indent : inline;
  if (tail.comma !== null) return [{ offset: tail.end, length: 0, content: `${separator}${text},` }];
  return [
    { offset: endOf(last), length: 0, content: "," },
    { offset: tail.end, length: 0, content: separator + text },
  ];
}

/** Edits that take a value out: with its line where it stands alone there, and with one comma. */
function removal(body: string, value: Node): Edit[] {
  const item = itemOf(value);
  const container = item.parent;
  if (!container) throw new Error("the whole document cannot be removed");
  const siblings = childrenOf(container);
  const [start, end] = [container.offset + 1, endOf(container) - 1];
  const beside = body.slice(start, item.offset) + body.slice(endOf(item), end);
  if (siblings.length === 1 && /^[\s,]*$/.test(beside)) return [cut(start, end)];
  const { comma } = tailOf(body, endOf(item));
  if (comma !== null && /^[ \t]*$/.test(body.slice(endOf(item), comma)))
    return [cutWithBlanks(body, item.offset, comma + 1, true)];
  const previous = siblings[siblings.indexOf(item) - 1];
  const other = comma ?? (previous && tailOf(body, endOf(previous)).comma) ?? null;
  const own = cutWithBlanks(body, item.offset, endOf(item), comma !== null);
  return other === null ? [own] : [own, cut(other, other + 1)];
}

function cut(start: number, end: number): Edit {
  return { offset: start, length: end - start, content: "" };
}

function cutWithBlanks(body: string, start: number, end: number, hasComma: boolean): Edit {
  const lineStart = start - (/(?<![ \t])[ \t]*$/.exec(body.slice(0, start)) ?? [""])[0].length;
  const blanksEnd = end + (/^[ \t]*/.exec(body.slice(end)) ?? [""])[0].length;
  const startsLine = body[lineStart - 1] === "\n";
  if (startsLine && /^(\r?\n|$)/.test(body.slice(blanksEnd)))
    return cut(lineStart - (body[lineStart - 2] === "\r" ? 2 : 1), blanksEnd);
  return startsLine || hasComma ? cut(start, blanksEnd) : cut(lineStart, end);
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

/** The value with its key. */
function itemOf(value: Node): Node {
  return value.parent?.type === "property" ? value.parent : value;
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

function written(value: unknown, style: JsonStyle, indent: string): string {
  if (!style.isMultiLine) return JSON.stringify(value);
  return JSON.stringify(value, null, style.unit).replaceAll("\n", style.eol + indent);
}

/**
 * Edits of TOML. The library's `patch` drops the comments in and behind a table that it removes,
 * so tables are appended and removed here by its positions.
 */
export const toml: TextFormat = {
  findProblem(text) {
    try {
      readToml(text);
      return null;
    } catch (error) {
      return `is not valid TOML: ${messageOf(error).replaceAll(/(?<!\s)\s*\n\s*/g, " ")}`;
    }
  },
  read: readToml,
  set(text, path, value) {
    const isNew = isRecord(value) && valueAt(readToml(text), path) === undefined;
    return isNew ? addTable(text, path, value) : patchAt(text, path, value);
  },
  /** Removes a table with its values, and no comment of a line of its own. */
  remove(text, path) {
    const lines = text.split(/(?<=\n)/);
    const removed = new Set<number>();
    for (const block of new TomlDocument(text).cst) {
      if (!("items" in block) || !path.every((part, at) => block.key.item.value[at] === part)) continue;
      for (const { loc } of [block.key, ...block.items.filter((item) => "key" in item)]) {
        for (let line = loc.start.line; line <= loc.end.line; line++) removed.add(line);
        // Together with the blank line above.
        if (lines[loc.start.line - 2]?.trim() === "") removed.add(loc.start.line - 1);
      }
    }
    const rest = lines.filter((_, at) => !removed.has(at + 1)).join("");
    // A table may be written inline, or by keys with dots.
    return valueAt(readToml(rest), path) === undefined ? rest : patchAt(rest, path, undefined);
  },
  /** Only the tables that removal leaves without a value of their own stay in the text. */
  isEmptyAt(text, path) {
    const value = valueAt(readToml(text), path);
    return isRecord(value) && Object.keys(value).length === 0;
  },
};

function readToml(text: string): Settings {
  return new TomlDocument(text).toJsObject as Settings;
}

function addTable(text: string, path: SettingPath, value: Settings): string {
  // A parent has no header of its own.
  const [key, ...others] = Object.keys(value);
  const inner = key === undefined ? undefined : value[key];
  if (others.length === 0 && key !== undefined && isRecord(inner)) return addTable(text, [...path, key], inner);
  const eol = eolOf(text);
  const gap = text.trim() === "" ? "" : text.endsWith("\n") ? eol : eol + eol;
  const words = path.map((part) => (/^[\w-]+$/.test(String(part)) ? part : JSON.stringify(part)));
  const table = `[${words.join(".")}]\n${stringify(value)}`;
  const appended = text + gap + table.replaceAll("\n", eol);
  // A parent that is an inline table gets no table by a header.
  return toml.findProblem(appended) === null ? appended : patchAt(text, path, value);
}

function patchAt(text: string, path: SettingPath, value: unknown): string {
  return patch(text, changed(readToml(text), path, value));
}

/** @param value undefined: without it, and without tables that only held it */
function changed(from: Settings, [key = "", ...rest]: SettingPath, value: unknown): object {
  const { [key]: old, ...others } = from;
  const next = rest.length === 0 ? value : changed(isRecord(old) ? old : {}, rest, value);
  const isGone = next === undefined || (value === undefined && isRecord(next) && Object.keys(next).length === 0);
  return isGone ? others : { ...from, [key]: next };
}
