import { allRows, type CommandRow } from "../../../command-table.ts";
import { optionsWithChoices, pathOf, pathsOf, quoted } from "./shell-words.ts";

export function bashCompletion(table: CommandRow): string {
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
