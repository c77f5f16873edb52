import { allRows, type CommandRow, type OptionRow } from "../../../command-table.ts";

/** Each command below the program, as the shells' functions collect it: " task submit". */
export function pathsOf(table: CommandRow): string[] {
  return allRows(table)
    .filter(({ words }) => words.length > 0)
    .map(pathOf);
}

export function pathOf({ words }: CommandRow): string {
  return words.map((word) => ` ${word}`).join("");
}

/** Options with a fixed set of values, each with the command it belongs to. */
export function optionsWithChoices(table: CommandRow): { readonly row: CommandRow; readonly option: OptionRow }[] {
  const all = allRows(table).flatMap((row) => row.options.map((option) => ({ row, option })));
  return all.filter(({ option }) => option.choices.length > 0);
}

/** In single quotes, as bash and zsh read it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
