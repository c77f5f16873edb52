import { basename } from "node:path";
import type { PlayedCut } from "./play.ts";
import { isKind, outputOf, type EventOf, type SessionEvent } from "./session-events.ts";

/** Pure: names (functions, fields, options) that the next calls use, and how many of them a text has. */

const nextCalls = 20;
const name = /[A-Za-z_$][\w$]{3,60}/g;
/** Several words in one. Others are words of a language too, hashes or ids. */
const isCompound = /[a-z\d][A-Z]|[A-Za-z\d]_[A-Za-z\d]/;
const isData = /^[\da-f_]+$|\d{5}/i;

/** A few forms of a declaration; SHIM's own patterns are others. */
const declarations = [
  /\b(?:function|func|fn|def|class|interface|type|enum|struct|trait|const|let|var|module)\s+(?:\([^()]*\)\s*)?([A-Za-z_$][\w$]*)/g,
  /^\s*(?:pub\s+|export\s+|public\s+|private\s+|readonly\s+|static\s+|async\s+)*([A-Za-z_$][\w$]*)\??\s*(?::|=[^=>]|\([^)\n]*\)\s*\{)/gm,
  /["']([\w$-]+)["']\s*:/g,
  /^\s+([A-Za-z_]\w*)\s+[*[\]\w.]+(?:\s+`[^`\n]*`)?$/gm,
];

export interface NamesUsed {
  readonly all: ReadonlySet<string>;
  /** Stood anywhere before. */
  readonly known: ReadonlySet<string>;
  /** Of these, declared in something that was seen. */
  readonly own: ReadonlySet<string>;
  /** Names with the file of their call. */
  readonly bound: readonly { readonly name: string; readonly file: string }[];
}

export function namesUsedNext({ before, after }: Pick<PlayedCut, "before" | "after">): NamesUsed {
  const next = after.filter(isKind("call")).slice(0, nextCalls);
  const seen = before.map(textOf).join("\n");
  const [seenNames, declared] = [namesIn(seen), declaredIn(seen)];
  const all = new Set(next.flatMap((call) => [...namesIn(textOf(call))]));
  const known = new Set([...all].filter((one) => seenNames.has(one)));
  const bound = next.flatMap((call) => {
    const file = fileOf(call);
    return file === null ? [] : [...namesIn(textOf(call))].map((one) => ({ name: one, file: basename(file) }));
  });
  return { all, known, own: new Set([...known].filter((one) => declared.has(one))), bound };
}

function fileOf({ edits, input }: EventOf<"call">): string | null {
  const path = edits[0] ?? input["file_path"] ?? input["filePath"];
  return typeof path === "string" ? path : null;
}

/** Names as whole words of the text. */
function namesIn(text: string): Set<string> {
  return new Set(
    [...text.matchAll(name)].map(([one]) => one).filter((one) => isCompound.test(one) && !isData.test(one)),
  );
}

function declaredIn(text: string): Set<string> {
  return new Set(declarations.flatMap((pattern) => [...text.matchAll(pattern)].map(([, one = ""]) => one)));
}

/** Texts of an event; of a call the values of its input, without their JSON. */
function textOf(event: SessionEvent): string {
  if (event.kind === "call") return valuesOf(event.input).join("\n");
  if (event.kind === "end") return event.error ?? outputOf(event.response);
  if (event.kind === "compaction") return event.summary;
  return "text" in event ? event.text : "";
}

function valuesOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return value !== null && typeof value === "object" ? Object.values(value).flatMap(valuesOf) : [];
}

/** Numbers of names that a text has, of those that are used. */
export interface NameCounts {
  readonly all: readonly [held: number, used: number];
  readonly known: readonly [held: number, used: number];
  readonly own: readonly [held: number, used: number];
  /** In one line with their file. */
  readonly bound: readonly [held: number, used: number];
}

export function countNames(text: string, { all, known, own, bound }: NamesUsed): NameCounts {
  const held = namesIn(text);
  const lines = text.split("\n").map((line) => ({ line, names: namesIn(line) }));
  const count = (names: ReadonlySet<string>): readonly [number, number] => [
    [...names].filter((one) => held.has(one)).length,
    names.size,
  ];
  const isBound = (one: (typeof bound)[number]): boolean =>
    lines.some(({ line, names }) => names.has(one.name) && line.includes(one.file));
  return { all: count(all), known: count(known), own: count(own), bound: [bound.filter(isBound).length, bound.length] };
}
