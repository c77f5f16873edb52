import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Cli } from "../src/cli/cli.ts";
import { allRows, commandTable, type CommandRow } from "../src/cli/command-table.ts";
import { build } from "../src/cli/commands/program.ts";
import { systemIo } from "../src/cli/system-io.ts";

/** shim(1), from the table of commands. */
export async function manPage(): Promise<string> {
  const path = join(import.meta.dirname, "..", "package.json");
  const { version, description } = JSON.parse(readFileSync(path, "utf8")) as Record<"version" | "description", string>;
  const table = commandTable(await build(new Cli(systemIo(import.meta.url)), () => undefined));
  const rows = allRows(table).filter(({ words }) => words.length > 0);
  return `.TH SHIM 1 "" "SHIM ${version}" "User commands"
.SH NAME
shim \\- ${roff(description)}
.SH SYNOPSIS
.B shim
.I command
[options]
.SH DESCRIPTION
Every command has \\fB\\-\\-help\\fR and \\fB\\-\\-json\\fR. Ids may be shortened to any unique prefix.
.SH COMMANDS
${rows.map(section).join("\n")}
.SH EXIT STATUS
0 done, 1 failed, 2 wrong usage or ambiguous, 3 not found, 78 unusable Node.
.SH ENVIRONMENT
.TP
.B SHIM_HOME
the folder of all stored data
.TP
.B NO_COLOR
switches colors off
.TP
.B SHIM_DEBUG
1 shows where an error came from
`;
}

function section({ usage, description, options }: CommandRow): string {
  const own = options.filter(({ names }) => !names.includes("--help") && !names.includes("--json"));
  const lines = own.map((one) => `.TP\n.B ${roff(one.flags)}\n${roff(one.description)}`);
  const list = lines.length === 0 ? "" : `\n.RS\n${lines.join("\n")}\n.RE`;
  return `.TP\n.B shim ${roff(usage)}\n${roff(description)}${list}`;
}

/** groff_char(7): a hyphen would be typographic, and a dot or quote at the start of a line a request. */
function roff(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^([.'])/gm, "\\&$1");
}
