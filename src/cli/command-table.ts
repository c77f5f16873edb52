import type { Argument, Command, Option } from "commander";

/** The program's commands as data, for completions and the man page. */
export interface CommandRow {
  /** Words behind `shim`; none for the program itself. */
  readonly words: readonly string[];
  readonly usage: string;
  readonly description: string;
  readonly group: string;
  readonly options: readonly OptionRow[];
  readonly subcommands: readonly CommandRow[];
  /** Values of the first argument, where it has a fixed set. */
  readonly choices: readonly string[];
}

export interface OptionRow {
  readonly flags: string;
  readonly names: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

export function commandTable(program: Command): CommandRow {
  return rowOf(program, []);
}

/** The command itself and all below it. */
export function allRows(row: CommandRow): CommandRow[] {
  return [row, ...row.subcommands.flatMap(allRows)];
}

function rowOf(command: Command, words: readonly string[]): CommandRow {
  const help = command.createHelp();
  const subcommands = help.visibleCommands(command).filter((one) => one.name() !== "help");
  return {
    words,
    usage: [...words, ...command.registeredArguments.map(argumentText)].join(" "),
    description: command.description(),
    group: command.helpGroup(),
    options: help.visibleOptions(command).map(optionRow),
    subcommands: subcommands.map((one) => rowOf(one, [...words, one.name().split(" ")[0] ?? ""])),
    choices: command.registeredArguments[0]?.argChoices ?? [],
  };
}

export function argumentText(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function optionRow({ flags, long, short, description, required, optional, argChoices = [] }: Option): OptionRow {
  const names = [short, long].filter((name) => name !== undefined);
  return { flags, names, description, takesValue: required || optional, choices: argChoices };
}
