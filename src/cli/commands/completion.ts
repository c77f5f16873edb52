import { Argument, type Command } from "commander";
import { ok } from "../../shared/result.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { type CommandRow, type OptionRow, allRows, commandTable } from "../command-table.ts";

const shells: Readonly<Record<string, (table: CommandRow) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** [IP6] */
export function addCompletion(init: Command, cli: Cli): void {
  const command = init
    .command("completion")
    .description("print a shell's completion of `shim`")
    .addArgument(new Argument("<shell>", "bash, zsh or fish").choices(Object.keys(shells)));
  cli.define(command, async (_options: CommonOptions, shell: string) => {
    const text = init.parent === null ? "" : (shells[shell]?.(commandTable(init.parent)) ?? "");
    return ok({ data: { shell, text }, text, isVerbatim: true });
  });
}

function bashCompletion(table: CommandRow): string {
  const values = optionsWithChoices(table).flatMap(({ row, option: { names, choices } }) =>
    names.map((name) => `    ${quoted(`${pathOf(row)} ${name}`)}) words=${quoted(choices.join(" "))} ;;`),
  );
  const words = allRows(table).map((row) => `      ${quoted(pathOf(row))}) words=${quoted(wordsOf(row))} ;;`);
  return `# Completion of shim for bash: eval "$(shim init completion bash)"
_shim() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} path="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path \${COMP_WORDS[i]}" in
    ${pathsOf(table).map(quoted).join(" | ")}) path+=" \${COMP_WORDS[i]}" ;;
    esac
  done
  case "$path $previous" in
${values.join("\n")}
  *)
    case "$path" in
${words.join("\n")}
    esac
    ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _shim shim
`;
}

function wordsOf({ subcommands, options, choices }: CommandRow): string {
  const commands = subcommands.map(({ words }) => words.at(-1) ?? "");
  return [...commands, ...choices, ...options.flatMap(({ names }) => names)].join(" ");
}

function zshCompletion(table: CommandRow): string {
  const values = optionsWithChoices(table).flatMap(({ row, option: { names, choices } }) =>
    names.map(
      (name) => `    ${quoted(`${pathOf(row)} ${name}`)}) compadd -- ${choices.map(quoted).join(" ")}; return ;;`,
    ),
  );
  const items = allRows(table).map((row) => `    ${quoted(pathOf(row))}) items=(${itemsOf(row).join(" ")}) ;;`);
  return `#compdef shim
# Completion of shim for zsh: eval "$(shim init completion zsh)", or a file _shim in a folder of fpath
_shim() {
  local path_="" word previous=\${words[CURRENT-1]}
  local -a items
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$path_ $word" in
    (${pathsOf(table).map(quoted).join("|")}) path_+=" $word" ;;
    esac
  done
  case "$path_ $previous" in
${values.join("\n")}
  esac
  case "$path_" in
${items.join("\n")}
  esac
  _describe -t words shim items || _files
}
if [[ "\${funcstack[1]}" = _shim ]]; then _shim "$@"; else compdef _shim shim; fi
`;
}

function itemsOf({ subcommands, options, choices }: CommandRow): string[] {
  const commands = subcommands.map(({ words, description }) => item(words.at(-1) ?? "", description));
  return [
    ...commands,
    ...choices.map((choice) => item(choice, "")),
    ...options.flatMap(({ names, description }) => names.map((name) => item(name, description))),
  ];
}

/** A colon ends the word, where its description begins. */
function item(word: string, description: string): string {
  return quoted(description === "" ? word : `${word.replaceAll(":", "\\:")}:${description}`);
}

function fishCompletion(table: CommandRow): string {
  const lines = allRows(table).flatMap(linesOf);
  return `# Completion of shim for fish: shim init completion fish | source
function __shim_at
    set -l path
    for word in (commandline -opc)[2..]
        if contains -- "$path $word" ${pathsOf(table).map(quotedForFish).join(" ")}
            set path "$path $word"
        end
    end
    test "$path" = "$argv[1]"
end
${lines.join("\n")}
`;
}

function linesOf(row: CommandRow): string[] {
  const at = `complete -c shim -n ${quotedForFish(`__shim_at ${quotedForFish(pathOf(row))}`)}`;
  const commands = row.subcommands.map(
    ({ words, description }) => `${at} -f -a ${words.at(-1) ?? ""}${described(description)}`,
  );
  const choices = row.choices.map((choice) => `${at} -f -a ${choice}`);
  const options = row.options.map((option) => `${at}${optionText(option)}${described(option.description)}`);
  return [commands, choices, options].flat();
}

function optionText({ names, takesValue, choices }: OptionRow): string {
  const flags = names.map((name) => (name.startsWith("--") ? ` -l ${name.slice(2)}` : ` -s ${name.slice(1)}`));
  const values = choices.length > 0 ? ` -x -a ${quotedForFish(choices.join(" "))}` : takesValue ? " -r" : "";
  return flags.join("") + values;
}

function described(description: string): string {
  return description === "" ? "" : ` -d ${quotedForFish(description)}`;
}

/** In single quotes fish escapes two characters. */
function quotedForFish(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

/** Each command below the program, as the shells' functions collect it: " task submit". */
function pathsOf(table: CommandRow): string[] {
  return allRows(table)
    .filter(({ words }) => words.length > 0)
    .map(pathOf);
}

function pathOf({ words }: CommandRow): string {
  return words.map((word) => ` ${word}`).join("");
}

/** Options with a fixed set of values, each with the command it belongs to. */
function optionsWithChoices(table: CommandRow): { readonly row: CommandRow; readonly option: OptionRow }[] {
  const all = allRows(table).flatMap((row) => row.options.map((option) => ({ row, option })));
  return all.filter(({ option }) => option.choices.length > 0);
}

/** In single quotes, as bash and zsh read it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
