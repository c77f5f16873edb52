import { age, oneLine } from "../shared/format.ts";
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

const maxCellChars = 60;

/** Cells of a row. A field without a value is a dash; one that ends in "Ms" is a duration. */
export function cellsOf<Item>(item: Item, columns: Columns<Item>): string[] {
  return Object.values(columns).map((column) => {
    if (typeof column === "function") return String(column(item) ?? "-");
    const value: unknown = item[column];
    if (typeof value === "number" && /ms$/i.test(column)) return /age/i.test(column) ? `${age(value)} ago` : age(value);
    if (value === null || value === undefined) return "-";
    if (Array.isArray(value)) return oneLine(value.join(", "), maxCellChars) || "-";
    return oneLine(typeof value === "string" ? value : JSON.stringify(value), maxCellChars);
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
    return cli.table(items, shown) + textOf(notes(output, cli, input));
  };
}

const maxValueChars = 1_000;

/** A line `label: value` for each field; one without a value is left out. */
export function recordLines(fields: Readonly<Record<string, string | null>>): string[] {
  return Object.entries(fields).flatMap(([label, value]) =>
    value === null ? [] : [`${label}: ${oneLine(value, maxValueChars)}`],
  );
}

interface TreeParts<Item> {
  readonly below: (item: Item) => readonly Item[];
  readonly text: (item: Item) => string;
}

/** Each item with what is below it; one that several have below them is drawn in full once. */
export function treeLines<Item>(roots: readonly Item[], { below, text }: TreeParts<Item>): string[] {
  const drawn = new Set<Item>();
  const draw = (item: Item, lead: string, indent: string): string[] => {
    const inner = below(item);
    const isAgain = drawn.has(item);
    drawn.add(item);
    const line = `${lead}${text(item)}${isAgain && inner.length > 0 ? " (see above)" : ""}`;
    if (isAgain) return [line];
    return [
      line,
      ...inner.flatMap((one, at) => {
        const isLast = at === inner.length - 1;
        return draw(one, `${indent}${isLast ? "└─ " : "├─ "}`, `${indent}${isLast ? "   " : "│  "}`);
      }),
    ];
  };
  return roots.flatMap((root) => draw(root, "", ""));
}
