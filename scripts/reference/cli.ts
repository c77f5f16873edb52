// The page cli.md of the reference, from the commands of the program.
import type { Argument, Command, Option } from "commander";
import { Cli } from "../../src/cli/cli.ts";
import { build } from "../../src/cli/commands/program.ts";
import { systemIo } from "../../src/cli/io.ts";

function values({ argChoices, defaultValue }: Argument | Option): string {
  const choices = argChoices === undefined ? "" : ` (${argChoices.join(", ")})`;
  return defaultValue === undefined || defaultValue === false ? choices : `${choices}; ${JSON.stringify(defaultValue)}`;
}

function row(name: string, of: Argument | Option): string {
  return `- \`${name}\`: ${of.description}${values(of)}`;
}

function section(command: Command, prefix: string): string[] {
  const name = `${prefix} ${command.name()}`;
  const rows = [
    ...command.registeredArguments.filter(({ description }) => description !== "").map((one) => row(one.name(), one)),
    ...command.options.filter(({ hidden }) => !hidden).map((one) => row(one.flags, one)),
  ];
  const text = [`## ${name}`, `\`${name} ${command.usage()}\``, command.description(), rows.join("\n")];
  return [text.filter((part) => part !== "").join("\n\n"), ...command.commands.flatMap((one) => section(one, name))];
}

/** Lists every command with its arguments and options. */
export async function cliDocs(): Promise<string> {
  const program = await build(new Cli(systemIo(import.meta.url, process.env)), (text) => process.stderr.write(text));
  return `# Commands

Made from the program by \`npm run docs\`; \`shim help <command>\` says the same. What all commands share: [reference](README.md).

${program.commands.flatMap((command) => section(command, "shim")).join("\n\n")}
`;
}
