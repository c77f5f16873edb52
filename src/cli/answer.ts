import { errorTable, type ErrorCode } from "../contract/errors.ts";
import type { OperationResult } from "../machine/operations/operation-context.ts";
import { age, oneLine } from "../shared/format.ts";
import { err, type Result } from "../shared/result.ts";
import type { Cli } from "./cli.ts";

/** Lines for people, of which those that do not apply are false or null; or a text, as a table. */
export type Shown = string | Lines;
export type Lines = readonly (string | false | null)[];

/** An operation's output for people. */
export type View<Output, Input = unknown> = (output: Output, cli: Cli, input: Input) => Shown;

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

interface TableParts<Output, Item, Input> {
  readonly rows: (output: Output) => readonly Item[];
  readonly columns: Columns<Item> | ((output: Output, cli: Cli, input: Input) => Columns<Item>);
  /** Stands for a table without rows. */
  readonly empty: string;
  /** Lines below the table. */
  readonly notes?: (output: Output, cli: Cli, input: Input) => Shown;
}

export function tableView<Output, Item, Input = unknown>({
  rows,
  columns,
  empty,
  notes = () => [],
}: TableParts<Output, Item, Input>): (output: Output, cli: Cli, input: Input) => string {
  return (output, cli, input) => {
    const items = rows(output);
    if (items.length === 0) return `${empty}\n`;
    const shown = typeof columns === "function" ? columns(output, cli, input) : columns;
    return cli.table(items, shown) + cli.wrap(textOf(notes(output, cli, input)));
  };
}

const maxValueChars = 1_000;

/** A line `label: value` for each field; one without a value is left out. */
export function recordLines(fields: Readonly<Record<string, string | null>>): string[] {
  return Object.entries(fields).flatMap(([label, value]) =>
    value === null ? [] : [`${label}: ${oneLine(value, maxValueChars)}`],
  );
}

/** Stable exit codes; documented in docs/reference/README.md. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  wrongUsage: 2,
  notFound: 3,
  incomplete: 4,
  leaseLost: 76,
  unusableNode: 78,
  interrupted: 130,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

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

/** Why a command did nothing; `message` says what to do. */
export interface CommandError {
  /** Absent: that of the code. */
  readonly exit?: ExitCode;
  readonly code: string;
  readonly message: string;
  readonly candidates?: readonly string[];
  /** True: the usage of the command is shown as well. */
  readonly isMistyped?: true;
  /** A repeat may succeed; not printed. */
  readonly isTransient?: boolean;
}

/** Bad input is wrong usage; a name that does not exist is not found. */
export function exitOf({ exit, code }: CommandError): number {
  if (exit !== undefined) return exit;
  if (code === "ambiguous" || code === "wrong_usage") return exitCodes.wrongUsage;
  if (code === "interrupted" || code === "stopped") return exitCodes.interrupted;
  if (code === "not_found") return exitCodes.notFound;
  const declared = Object.hasOwn(errorTable, code) ? errorTable[code as ErrorCode] : null;
  if (declared === null) return exitCodes.failed;
  if ("isBadInput" in declared) return exitCodes.wrongUsage;
  return declared.status === 404 && code !== "unknown_operation" ? exitCodes.notFound : exitCodes.failed;
}

export type CliResult<T> = Result<T, CommandError>;

export type FailedResult = { readonly ok: false; readonly error: CommandError };

export function failed(code: string, message: string): FailedResult {
  return err({ exit: exitCodes.failed, code, message });
}

/** Ends a command after Ctrl-C that had nothing to show yet. */
export const interrupted: FailedResult = err({
  exit: exitCodes.interrupted,
  code: "stopped",
  message: "it was stopped.",
});

export function wrongUsage(message: string): FailedResult {
  return err({ exit: exitCodes.wrongUsage, code: "wrong_usage", message });
}

/** Wrong usage that shows in the words of the command line alone. */
export function wrongWords(message: string): FailedResult {
  return err({ exit: exitCodes.wrongUsage, code: "wrong_usage", message, isMistyped: true });
}

export function ambiguous(message: string, candidates: readonly string[]): FailedResult {
  return err({ exit: exitCodes.wrongUsage, code: "ambiguous", message, candidates });
}

export function notFound(message: string): FailedResult {
  return err({ exit: exitCodes.notFound, code: "not_found", message });
}

/** A host's answer with the exit code of its refusal. */
export function toCliResult<T>(answer: OperationResult<T>): CliResult<T> {
  if (answer.ok) return answer;
  const { code, message, candidates = [] } = answer.error;
  if (code === "bad_input") return wrongUsage(message);
  if (code === "not_found") return notFound(message);
  if (code === "interrupted") return err({ code, message, exit: exitCodes.interrupted });
  return code === "ambiguous" ? ambiguous(message, candidates) : failed(code, message);
}
