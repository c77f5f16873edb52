import { patch, stringify, TomlDocument } from "@decimalturn/toml-patch";
import { isRecord } from "../shared/json-fields.ts";
import { messageOf } from "../shared/error.ts";
import { valueAt, type SettingPath, type Settings, type TextFormat } from "./settings.ts";

/**
 * Edits TOML texts and leaves every other byte alone. The library's `patch` drops the comments in
 * and behind a table that it removes, so tables are appended and removed here by its positions.
 */

export const toml: TextFormat = { findProblem, read, set, remove, isEmptyAt };

/** Returns the problem for a person, with line and column; null for sound TOML. */
function findProblem(text: string): string | null {
  try {
    read(text);
    return null;
  } catch (error) {
    return `is not valid TOML: ${messageOf(error).replaceAll(/(?<!\s)\s*\n\s*/g, " ")}`;
  }
}

function read(text: string): Settings {
  return new TomlDocument(text).toJsObject as Settings;
}

/** Only the tables that removal leaves without a value of their own stay in the text. */
function isEmptyAt(text: string, path: SettingPath): boolean {
  const value = valueAt(read(text), path);
  return isRecord(value) && Object.keys(value).length === 0;
}

function set(text: string, path: SettingPath, value: unknown): string {
  const isNew = isRecord(value) && valueAt(read(text), path) === undefined;
  return isNew ? addTable(text, path, value) : change(text, path, value);
}

function addTable(text: string, path: SettingPath, value: Settings): string {
  // A parent has no header of its own.
  const [key, ...others] = Object.keys(value);
  const inner = key === undefined ? undefined : value[key];
  if (others.length === 0 && key !== undefined && isRecord(inner)) return addTable(text, [...path, key], inner);
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const gap = text.trim() === "" ? "" : text.endsWith("\n") ? eol : eol + eol;
  const table = `[${path.map(String).map(keyText).join(".")}]\n${stringify(value)}`;
  const appended = text + gap + table.replaceAll("\n", eol);
  // A parent that is an inline table gets no table by a header.
  return findProblem(appended) === null ? appended : change(text, path, value);
}

function change(text: string, path: SettingPath, value: unknown): string {
  return patch(text, changed(read(text), path, value));
}

/** Removes a table with its values, and no comment of a line of its own. */
function remove(text: string, path: SettingPath): string {
  const isInPath = (key: readonly string[]): boolean => path.every((part, at) => key[at] === part);
  const ranges = new TomlDocument(text).cst.flatMap((block) => {
    if (!("items" in block) || !isInPath(block.key.item.value)) return [];
    const values = block.items.filter((item) => "key" in item).map(rangeOf);
    return values.concat(rangeOf(block.key));
  });
  const rest = withoutLines(text, ranges);
  // A table may be written inline, or by keys with dots.
  return valueAt(read(rest), path) === undefined ? rest : change(rest, path, undefined);
}

interface LineRange {
  /** The first line is 1. */
  readonly start: number;
  readonly end: number;
}

function rangeOf({ loc }: { readonly loc: Record<"start" | "end", { readonly line: number }> }): LineRange {
  return { start: loc.start.line, end: loc.end.line };
}

/** The blank line above a range goes with it. */
function withoutLines(text: string, ranges: readonly LineRange[]): string {
  const lines = text.split(/(?<=\n)/);
  const removed = new Set(ranges.flatMap(({ start, end }) => lines.slice(start - 1, end).map((_, at) => start + at)));
  for (const { start } of ranges) if (lines[start - 2]?.trim() === "") removed.add(start - 1);
  return lines.filter((_, at) => !removed.has(at + 1)).join("");
}

/** @param value undefined: without it, and without tables that only held it */
function changed(from: Settings, [key = "", ...rest]: SettingPath, value: unknown): object {
  const { [key]: old, ...others } = from;
  const next = rest.length === 0 ? value : changed(isRecord(old) ? old : {}, rest, value);
  const isGone = next === undefined || (value === undefined && isRecord(next) && Object.keys(next).length === 0);
  return isGone ? others : { ...from, [key]: next };
}

function keyText(key: string): string {
  return /^[\w-]+$/.test(key) ? key : JSON.stringify(key);
}
