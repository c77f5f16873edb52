import { Command, CommanderError } from "commander";
import { HomeError } from "../platform/paths.ts";
import { version } from "../platform/version.ts";
import { exitCodes, wrongUsage } from "./answer.ts";
import { Cli } from "./cli.ts";
import { isClose } from "../shared/close-words.ts";
import type { Io } from "./io.ts";

const helpEnding = `
Ids may be shortened to any unique prefix. Every command has --json.
Exit codes: 0 done, 1 failed, 2 wrong usage or ambiguous, 3 not found, 78 unusable Node.
SHIM_HOME names the folder of all stored data; NO_COLOR switches colors off; SHIM_DEBUG=1 shows where an error came from.
`;

type AddCommands = (program: Command, cli: Cli) => void;

/**
 * @param argv without node and script
 * @param addCommands to the program, in the order of its help
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
  try {
    const program = newProgram(cli, (text) => (complaint += text));
    addCommands(program, cli);
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    const isJson = argv.includes("--json");
    if (error instanceof CommanderError) finish(cli, error, complaint, isJson);
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

/** commander also suggests commands that share a few letters, such as "uninstall" for "install". */
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
  return new Command("shim")
    .description("Keeps AI chat sessions alive: nothing a chat knew or was doing is lost when it dies.")
    .version(version, "-V, --version")
    .exitOverride()
    .showHelpAfterError("`shim --help` lists the commands, `shim help <command>` its options.")
    .configureOutput({
      // Help names commands as the manual does: `shim`, however this copy is started.
      writeOut: (text) => io.stdout(cli.verbatim(text)),
      writeErr: complain,
      getOutHelpWidth: () => Math.min(100, io.size().columns),
      getOutHasColors: () => false,
    })
    .configureHelp({ subcommandTerm: formatTerm })
    .helpCommand("help [command]", "options of a command")
    .addHelpText("after", helpEnding);
}

function formatTerm(command: Command): string {
  const args = command.registeredArguments.map((one) => {
    const name = `${one.name()}${one.variadic ? "..." : ""}`;
    return one.required ? `<${name}>` : `[${name}]`;
  });
  return [command.name(), ...args].join(" ");
}
