import { allRows, type CommandRow } from "../../../command-table.ts";
import { optionsWithChoices, pathOf, pathsOf, quoted } from "./shell-words.ts";

export function zshCompletion(table: CommandRow): string {
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
