import { textOf, type Columns, type Shown } from "./answer.ts";
import type { Cli } from "./cli.ts";

/** An operation's output for people. */
export type View<Output, Input = unknown> = (output: Output, cli: Cli, input: Input) => Shown;

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
