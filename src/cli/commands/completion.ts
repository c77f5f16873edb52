import { Argument, type Command } from "commander";
import { ok } from "../../shared/result.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { allRows, commandTable, type CommandRow } from "../command-table.ts";

const shells: Readonly<Record<string, (table: string) => string>> = { bash, zsh, fish };

export function addCompletion(init: Command, cli: Cli): void {
  const command = init
    .command("completion")
    .description("print a shell's completion of `shim`")
    .addArgument(new Argument("<shell>", "bash, zsh or fish").choices(Object.keys(shells)));
  cli.define(command, async (_options: CommonOptions, shell: string) => {
    const rows = init.parent === null ? [] : allRows(commandTable(init.parent)).flatMap(wordsAt);
    const text = shells[shell]?.(rows.map((row) => row.join("\t")).join("\n")) ?? "";
    return ok({ data: { shell, text }, text, isVerbatim: true });
  });
}

/** Where a word can be typed, "shim task" or "shim init --client="; empty: a value of any kind. */
type Row = readonly [position: string, word: string, description: string];

function wordsAt({ words, subcommands, options, choices }: CommandRow): Row[] {
  const position = ["shim", ...words].join(" ");
  return [
    ...subcommands.map((one): Row => [position, one.words.at(-1) ?? "", one.description]),
    ...choices.map((choice): Row => [position, choice, ""]),
    ...options.flatMap(({ flags, names, description, choices: values }) =>
      names.flatMap((name): Row[] => [
        [position, name, description],
        ...(flags.includes("<") && values.length === 0 ? [""] : values).map((value): Row => [
          `${position} ${name}=`,
          value,
          "",
        ]),
      ]),
    ),
  ];
}

function bash(table: string): string {
  return `# Completion of shim for bash: eval "$(shim init completion bash)"
_shim() {
  local at=shim place word i table=${quoted(table)}
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ $'\\n'$table == *$'\\n'"$at \${COMP_WORDS[i]}"$'\\t'* ]]; then at+=" \${COMP_WORDS[i]}"; fi
  done
  place="$at \${COMP_WORDS[COMP_CWORD - 1]}="
  if [[ $'\\n'$table == *$'\\n'"$place"$'\\t'* ]]; then at=$place; fi
  COMPREPLY=()
  while IFS=$'\\t' read -r place word _; do
    if [[ $place == "$at" && -n $word && $word == "\${COMP_WORDS[COMP_CWORD]}"* ]]; then COMPREPLY+=("$word"); fi
  done <<<"$table"
}
complete -o default -F _shim shim
`;
}

function zsh(table: string): string {
  return `#compdef shim
# Completion of shim for zsh: eval "$(shim init completion zsh)", or a file _shim in a folder of fpath
_shim() {
  local at=shim word row table=${quoted(table)}
  local -a items parts
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if [[ $'\\n'$table = *$'\\n'"$at $word"$'\\t'* ]]; then at+=" $word"; fi
  done
  word="$at \${words[CURRENT-1]}="
  if [[ $'\\n'$table = *$'\\n'"$word"$'\\t'* ]]; then at=$word; fi
  for row in "\${(@f)table}"; do
    parts=("\${(@ps:\\t:)row}")
    # A colon ends the word, where its description begins.
    if [[ $parts[1] = $at && -n $parts[2] ]]; then items+=("\${parts[2]//:/\\\\:}\${parts[3]:+:$parts[3]}"); fi
  done
  _describe -t words shim items || _files
}
if [[ "\${funcstack[1]}" = _shim ]]; then _shim "$@"; else compdef _shim shim; fi
`;
}

/** Where there are words other than options, files are none of them. */
function fish(table: string): string {
  return `# Completion of shim for fish: shim init completion fish | source
function __shim_words
    set -l rows (string split \\n -- ${quotedForFish(table)})
    set -l typed (commandline -opc)
    set -l at shim
    for word in $typed[2..]
        if string match -qr -- '^'(string escape --style=regex -- "$at $word")\\t $rows
            set at "$at $word"
        end
    end
    set -l place "$at $typed[-1]="
    if string match -qr -- '^'(string escape --style=regex -- $place)\\t $rows
        set at $place
    end
    string replace -rf -- '^'(string escape --style=regex -- $at)'\\t(.+)' '$1' $rows
end
complete -c shim -a '(__shim_words)'
complete -c shim -n "__shim_words | string match -qrv '^-'" -f
`;
}

/** In single quotes, as bash and zsh read it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** In single quotes fish escapes two characters. */
function quotedForFish(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
