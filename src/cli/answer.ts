import { isBadInput, statusOf, type Failure } from "../contract/errors.ts";
import { exitCodes, type ExitCode } from "../contract/exit-codes.ts";
import { age, oneLine } from "../shared/format.ts";
import { err, fail } from "../shared/result.ts";

/** Lines for people, of which those that do not apply are false or null; or a text, as a table. */
export type Shown = string | Lines;
export type Lines = readonly (string | false | null)[];

/** @returns lines that each end in a line break; a text in a list of lines has its own */
export function textOf(shown: Shown): string {
  if (typeof shown === "string") return shown;
  return shown.map((line) => (typeof line !== "string" || line.endsWith("\n") ? line || "" : `${line}\n`)).join("");
}

/** Headings of a table, each with a field of an item, or with what its cell says of the item. */
export type Columns<Item> = Readonly<Record<string, FieldOf<Item> | ((item: Item) => string | number | null)>>;
type FieldOf<Item> = Extract<keyof Item, string>;

/**
 * Cells of a row, each whole and on one line. A field without a value is a dash; one that ends in
 * "Ms" is a duration.
 */
export function cellsOf<Item>(item: Item, columns: Columns<Item>): string[] {
  return Object.values(columns).map((column) => {
    const value: unknown = typeof column === "function" ? column(item) : item[column];
    if (value === null || value === undefined) return "-";
    if (typeof column === "string" && typeof value === "number" && /ms$/i.test(column))
      return /age/i.test(column) ? `${age(value)} ago` : age(value);
    if (Array.isArray(value)) return oneLine(value.join(", ")) || "-";
    return oneLine(typeof value === "string" ? value : JSON.stringify(value));
  });
}

const maxValueChars = 1_000;

/** A line `label: value` for each field; one without a value is left out. */
export function recordLines(fields: Readonly<Record<string, string | null>>): string[] {
  return Object.entries(fields).flatMap(([label, value]) =>
    value === null ? [] : [`${label}: ${oneLine(value, maxValueChars)}`],
  );
}

export interface Answer {
  /** Printed as JSON: a stable shape, fields are only added. */
  readonly data: unknown;
  readonly text: Shown;
  /** True: the text quotes stored content, whose `shim` commands are not rewritten. */
  readonly isVerbatim?: boolean;
  /** True: the JSON document ends a stream of lines. */
  readonly isOneLine?: boolean;
  /** True: the command ran and found that something is wrong. */
  readonly isFailed?: boolean;
  readonly exit?: number;
}

/** Wrong usage that shows in the words of a command line alone: its usage is shown as well. */
export interface Mistyped extends Failure {
  readonly isMistyped: true;
}

/** Bad input is wrong usage; a name that does not exist is not found. */
export function exitOf(failure: Failure): ExitCode {
  const { code } = failure;
  if (isBadInput(failure) || code === "ambiguous") return exitCodes.wrongUsage;
  if (code === "interrupted" || code === "stopped") return exitCodes.interrupted;
  return statusOf(code) === 404 ? exitCodes.notFound : exitCodes.failed;
}

export type Failed = ReturnType<typeof fail>;

/** Ends a command after Ctrl-C that had nothing to show yet. */
export const interrupted = fail("stopped", "it was stopped.");

export function wrongUsage(message: string): Failed {
  return fail("wrong_usage", message);
}

export function wrongWords(message: string): { readonly ok: false; readonly error: Mistyped } {
  return err({ code: "wrong_usage", message, isMistyped: true });
}

export function ambiguous(message: string, candidates: readonly string[]): Failed {
  return err({ code: "ambiguous", message, candidates });
}

export function notFound(message: string): Failed {
  return fail("not_found", message);
}
