import { oneLine } from "../shared/format.ts";
import type { Cli, Columns } from "./cli.ts";

/** An operation's output as text for people; "" prints nothing. */
export type View<Output, Input = unknown> = (output: Output, cli: Cli, input: Input) => string;

interface TableParts<Output, Item, Input> {
  readonly rows: (output: Output) => readonly Item[];
  readonly columns: (output: Output, cli: Cli, input: Input) => Columns<Item>;
  /** Stands for a table without rows. */
  readonly empty: string;
  /** Lines below the table. */
  readonly notes?: (output: Output, input: Input) => readonly string[];
}

export function tableView<Output, Item, Input = unknown>({
  rows,
  columns,
  empty,
  notes = () => [],
}: TableParts<Output, Item, Input>): View<Output, Input> {
  return (output, cli, input) => {
    const items = rows(output);
    if (items.length === 0) return `${empty}\n`;
    return (
      cli.table(items, columns(output, cli, input)) +
      notes(output, input)
        .map((line) => `${line}\n`)
        .join("")
    );
  };
}

export function linesView<Output, Input = unknown>(
  lines: (output: Output, cli: Cli, input: Input) => readonly string[],
): View<Output, Input> {
  return (output, cli, input) =>
    lines(output, cli, input)
      .map((line) => `${line}\n`)
      .join("");
}

/** A line `label: value` for each field; one without a value is left out. */
export function recordView<Output, Input = unknown>(
  fields: (output: Output, cli: Cli, input: Input) => Readonly<Record<string, string | null>>,
): View<Output, Input> {
  return linesView((output, cli, input) =>
    Object.entries(fields(output, cli, input)).flatMap(([label, value]) =>
      value === null ? [] : [`${label}: ${oneLine(value, maxValueChars)}`],
    ),
  );
}

const maxValueChars = 1_000;

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
