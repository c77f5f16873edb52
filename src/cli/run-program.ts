import { Command, CommanderError, Help } from "commander";
import { HomeError } from "../platform/paths.ts";
import { version } from "../platform/version.ts";
import { exitCodes, wrongUsage } from "./answer.ts";
import { Cli } from "./cli.ts";
import { isClose } from "../shared/close-words.ts";
import { allRows, commandTable, type CommandRow } from "./command-table.ts";
import type { Io } from "./io.ts";

const helpEnding = `
Ids may be shortened to any unique prefix. Every command has --json.
Exit codes: 0 done, 1 failed, 2 wrong usage or ambiguous, 3 not found, 78 unusable Node.
SHIM_HOME names the folder of all stored data; NO_COLOR switches colors off; SHIM_DEBUG=1 shows where an error came from.
\`shim help --all\` lists the rest of the commands, \`shim help <command>\` the options of one.
`;

const helpHint = "`shim help --all` lists the commands, `shim help <command>` the options of one.";

type AddCommands = (program: Command, cli: Cli, argv: readonly string[]) => void | Promise<void>;

/**
 * @param argv without node and script
 * @param addCommands that the arguments need, in the order of the help
 * @returns the exit code, see `exitCodes`
 */
export async function runProgram(argv: readonly string[], io: Io, addCommands: AddCommands): Promise<number> {
  let cli: Cli;
  try {
    cli = new Cli(io);
  } catch (error) {
    if (!(error instanceof HomeError)) throw error;
    io.stderr(`shim: ${error.message}\n`);
    return exitCodes.wrongUsage;
  }
  let complaint = "";
  const program = newProgram(cli, (text) => (complaint += text));
  try {
    await addCommands(program, cli, argv);
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    const isJson = argv.includes("--json");
    if (error instanceof CommanderError) finish(cli, error, mistypedSubcommand(program, argv) ?? complaint, isJson);
    else cli.reportError(error, isJson);
  } finally {
    await cli.close();
  }
  return cli.exitCode;
}

/** Help and version arrive as errors too. */
function finish(cli: Cli, error: CommanderError, complaint: string, isJson: boolean): void {
  if (error.exitCode === 0) return;
  const message = complaint.trim().replace(/^error: /, "") || error.message;
  cli.report(wrongUsage(keepCloseSuggestions(message)), isJson);
  cli.exitCode = exitCodes.wrongUsage;
}

/** A word behind a command that takes none is a mistyped subcommand; commander counts arguments. */
function mistypedSubcommand(program: Command, argv: readonly string[]): string | null {
  let parent = program;
  for (const word of argv) {
    const found = parent.commands.find((one) => one.name() === word);
    if (found === undefined) {
      if (parent === program || parent.commands.length === 0 || parent.registeredArguments.length > 0) return null;
      if (word.startsWith("-")) return null;
      const close = parent.commands.map((one) => one.name()).filter((name) => isClose(word, name));
      const hint = close.length === 0 ? "" : `\n(Did you mean ${close.join(" or ")}?)`;
      return `unknown command '${word}'${hint}\n${helpHint}`;
    }
    parent = found;
  }
  return null;
}

/** commander also suggests commands that share a few letters, such as "import" for "export". */
function keepCloseSuggestions(message: string): string {
  const typed = /^unknown command '(.*)'/.exec(message)?.[1];
  if (typed === undefined) return message;
  return message.replace(/\n\(Did you mean (?:one of )?(.*)\?\)/, (_line, names: string) => {
    const close = names.split(", ").filter((name) => isClose(typed, name));
    return close.length === 0 ? "" : `\n(Did you mean ${close.join(" or ")}?)`;
  });
}

/** Makes the program without commands. @param complain gets what commander writes of errors */
export function newProgram(cli: Cli, complain: (text: string) => void): Command {
  const { io } = cli;
  const program = new Command("shim")
    .description("Keeps AI chat sessions alive: nothing a chat knew or was doing is lost when it dies.")
    .version(version, "-V, --version")
    .exitOverride()
    .showHelpAfterError(helpHint)
    .configureOutput({
      // Help names commands as the manual does: `shim`, however this copy is started.
      writeOut: (text) => io.stdout(cli.verbatim(text)),
      writeErr: complain,
      getOutHelpWidth: () => helpWidth(io.size().columns),
      getOutHasColors: () => false,
    })
    .enablePositionalOptions()
    .configureHelp({ subcommandTerm: formatTerm, formatHelp: formatFirstHelp })
    .helpCommand(false)
    .addHelpText("after", helpEnding);
  addHelp(program, cli);
  return program;
}

/** [CL270] The program's own help lists the commands without a group, `shim help --all` all. */
function formatFirstHelp(command: Command, help: Help): string {
  if (command.parent === null)
    help.visibleCommands = () => command.commands.filter((one) => one.helpGroup() === "" && one.name() !== "help");
  return Help.prototype.formatHelp.call(help, command, help);
}

interface HelpOptions {
  readonly all?: boolean;
}

/** Replaces commander's help command, which has no option and knows no command below another. */
function addHelp(program: Command, cli: Cli): void {
  const command = new Command("help")
    .copyInheritedSettings(program)
    .argument("[command...]")
    .description("the options of a command")
    .option("--all", "list every command")
    .action((words: readonly string[], { all }: HelpOptions) => {
      if (all === true) cli.io.stdout(cli.verbatim(allCommandsText(program, cli.io.size().columns)));
      else findCommand(program, words).outputHelp();
    });
  program.addCommand(command);
}

function findCommand(program: Command, words: readonly string[]): Command {
  return words.reduce((parent, word) => {
    const found = parent.commands.find((one) => one.name() === word);
    return found ?? parent.error(`error: unknown command '${word}'`);
  }, program);
}

/** [CL271] Every command with those below it, in the groups of the program. */
function allCommandsText(program: Command, columns: number): string {
  const top = commandTable(program);
  const rows = allRows(top).filter(({ words }) => words.length > 0);
  const groupOf = ({ words: [name] }: CommandRow): string =>
    top.subcommands.find(({ words }) => words[0] === name)?.group || "Commands:";
  const help = program.createHelp();
  help.prepareContext({ helpWidth: helpWidth(columns) });
  const width = Math.max(...rows.map(({ usage }) => usage.length));
  const items = Map.groupBy(rows, groupOf);
  const blocks = [...items].map(([group, inGroup]) => {
    const lines = inGroup.map(({ usage, description }) => help.formatItem(usage, width, description, help));
    return `${group}\n${lines.join("\n")}\n`;
  });
  return blocks.join("\n");
}

function helpWidth(columns: number): number {
  return Math.min(100, columns);
}

function formatTerm(command: Command): string {
  const args = command.registeredArguments.map((one) => {
    const name = `${one.name()}${one.variadic ? "..." : ""}`;
    return one.required ? `<${name}>` : `[${name}]`;
  });
  return [command.name(), ...args].join(" ");
}
