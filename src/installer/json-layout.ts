import type { Edit, Node } from "jsonc-parser";

interface JsonStyle {
  readonly unit: string;
  readonly eol: string;
  readonly isMultiLine: boolean;
}

export function detectEol(body: string): string {
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

export function replacement(body: string, node: Node, value: unknown): Edit {
  const content = format(value, detectStyle(body), indentAt(body, node.offset));
  return { offset: node.offset, length: node.length, content };
}

export function addition(body: string, container: Node, key: string | null, value: unknown): Edit[] {
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
  const kept = body.slice(container.offset + 1, close).replace(/[ \t\r\n]+$/, "");
  const offset = container.offset + 1 + kept.length;
  const outer = indentAt(body, container.offset);
  const before = style.isMultiLine ? style.eol + outer + style.unit : "";
  const after = style.isMultiLine ? style.eol + outer : "";
  return [{ offset, length: close - offset, content: before + text(outer + style.unit) + after }];
}

export function removal(body: string, value: Node): Edit[] {
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
  const lineStart = start - (/[ \t]*$/.exec(body.slice(0, start)) ?? [""])[0].length;
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
const lineTail = /(?:[ \t]*(?:\/\*(?:[^*]|\*(?!\/))*\*\/|(\/\/[^\r\n]*)))*/y;

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
