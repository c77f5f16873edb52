import { allRows, type CommandRow, type OptionRow } from "../../../command-table.ts";
import { pathOf, pathsOf } from "./shell-words.ts";

export function fishCompletion(table: CommandRow): string {
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
