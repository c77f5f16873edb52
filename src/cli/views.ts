import type { Cli, Columns } from "./cli.ts";

/** An operation's output as text for people; "" prints nothing. */
export type View<Output> = (output: Output, cli: Cli) => string;

interface TableParts<Output, Item> {
  readonly rows: (output: Output) => readonly Item[];
  readonly columns: (output: Output, cli: Cli) => Columns<Item>;
  /** Stands for a table without rows. */
  readonly empty: string;
  /** Lines below the table. */
  readonly notes?: (output: Output) => readonly string[];
}

export function tableView<Output, Item>({
  rows,
  columns,
  empty,
  notes = () => [],
}: TableParts<Output, Item>): View<Output> {
  return (output, cli) => {
    const items = rows(output);
    if (items.length === 0) return `${empty}\n`;
    return (
      cli.table(items, columns(output, cli)) +
      notes(output)
        .map((line) => `${line}\n`)
        .join("")
    );
  };
}

export function linesView<Output>(lines: (output: Output, cli: Cli) => readonly string[]): View<Output> {
  return (output, cli) =>
    lines(output, cli)
      .map((line) => `${line}\n`)
      .join("");
}
