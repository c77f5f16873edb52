// The man page of the npm package, from the commands of the program.
import type { Command } from "commander";
import { wordsOf } from "../../src/cli/cli.ts";
import { withSubcommands } from "../../src/cli/commands/program.ts";
import { description } from "../../src/cli/listing.ts";

/** Text as roff takes it: a dot at the start of a line would be a request. */
function roff(text: string): string {
  return text
    .replaceAll("\\", String.raw`\e`)
    .replaceAll("-", String.raw`\-`)
    .replaceAll(/^(?=[.'])/gm, String.raw`\&`);
}

function section(command: Command): string[] {
  const options = command.options.filter(({ hidden }) => !hidden);
  return [
    `.SS ${roff(["shim", ...wordsOf(command), command.usage()].join(" "))}`,
    roff(command.description()),
    ...options.flatMap((option) => [".TP", `.B ${roff(option.flags)}`, roff(option.description)]),
  ];
}

/** Pure. @param program with all its commands */
export function manPage(program: Command, version: string): string {
  const commands = withSubcommands(program).filter((one) => one !== program);
  const lines = [
    `.TH SHIM 1 "" "shim ${version}"`,
    ".SH NAME",
    `shim \\- ${roff(description)}`,
    ".SH SYNOPSIS",
    ".B shim",
    roff("<command> [options]"),
    ".SH DESCRIPTION",
    roff(
      "Every command has --json. `shim help <command>` has an example of it, the folder docs beside the program the guide.",
    ),
    ".SH COMMANDS",
    ...commands.flatMap(section),
  ];
  return `${lines.join("\n")}\n`;
}
