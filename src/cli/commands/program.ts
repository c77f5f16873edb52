import { type Argument, Command, CommanderError, Help } from "commander";
import { HomeError } from "../../platform/paths.ts";
import { version } from "../../platform/version.ts";
import { isClose } from "../../shared/close-words.ts";
import { exitCodes, failed, wrongUsage } from "../answer.ts";
import { Cli } from "../cli.ts";
import type { Io } from "../io.ts";

/** Loads a module that adds a command with those below it. */
type Load = () => Promise<{ readonly addCommand: (parent: Command, cli: Cli) => void }>;

/** By name; what a command needs is loaded when it is typed or listed. */
type Commands = Readonly<Record<string, Load>>;

/** [CL270] The commands of `shim --help`. */
const first: Commands = {
  init: () => import("./init.ts"),
  up: () => import("./up.ts"),
  sessions: () => import("./sessions.ts"),
  resume: () => import("./resume.ts"),
  restore: () => import("./restore.ts"),
  task: () => import("./tasks.ts"),
  worker: () => import("./worker.ts"),
  team: () => import("./team.ts"),
  join: () => import("./join.ts"),
  cost: () => import("./cost.ts"),
  config: () => import("./config.ts"),
  doctor: () => import("./doctor.ts"),
};

/** The commands that only `shim help --all` lists, by the title of their group. */
const others: Readonly<Record<string, Commands>> = {
  "When something breaks:": {
    rescue: () => import("./rescue.ts"),
    effects: () => import("./effects.ts"),
    undo: () => import("./undo.ts"),
  },
  "Improve code:": { code: () => import("./code.ts") },
  "Learn from records:": { learn: () => import("./learn.ts") },
  "Everything else:": {
    call: () => import("./call.ts"),
    fork: () => import("./fork.ts"),
    host: () => import("./host.ts"),
    pause: () => import("./pause.ts"),
    demo: ofLauncher("demo", "a chat that works, is killed and continues, with real processes in a temporary folder"),
  },
  "Started by clients:": {
    statusline: ofLauncher("statusline", "status line of Claude Code"),
    mcp: ofLauncher("mcp", "the MCP server of one chat, on stdio"),
    hook: ofLauncher("hook <event>", "one hook event, as JSON on stdin"),
  },
};

/** Lists a command that bin/shim.mjs starts as a program of its own. */
function ofLauncher(name: string, description: string): Load {
  const message = "start this through bin/shim.mjs, which has a separate program for it.";
  return async () => ({
    addCommand: (parent, cli) => {
      cli.define(parent.command(name).description(description), async () => failed("not_by_launcher", message));
    },
  });
}

const named: Commands = Object.assign({}, first, ...Object.values(others));

/** @param argv without node and script @returns the exit code, see `exitCodes` */
export function run(argv: readonly string[], io: Io): Promise<number> {
  return runProgram(argv, io, addNeeded);
}

type AddCommands = (program: Command, cli: Cli, argv: readonly string[]) => void | Promise<void>;

/** @param addCommands that the arguments need, in the order of the help */
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

/** Makes the program with all its commands. @param complain gets what commander writes of errors */
export async function build(cli: Cli, complain: (text: string) => void): Promise<Command> {
  const program = newProgram(cli, complain);
  await addAll(program, cli);
  return program;
}

/** Adds the commands that a command line may mean, which is all where its first word is none. */
async function addNeeded(program: Command, cli: Cli, [word = "--help"]: readonly string[]): Promise<void> {
  if (word === "--version" || word === "-V") return;
  if (word === "--help" || word === "-h") return addCommands(program, cli, first);
  const load = Object.hasOwn(named, word) ? named[word] : undefined;
  if (load === undefined) return addAll(program, cli);
  return addCommands(program, cli, { [word]: load });
}

async function addAll(program: Command, cli: Cli): Promise<void> {
  for (const [title, commands] of Object.entries({ "": first, ...others })) {
    program.commandsGroup(title);
    await addCommands(program, cli, commands);
  }
}

async function addCommands(program: Command, cli: Cli, commands: Commands): Promise<void> {
  for (const load of Object.values(commands)) (await load()).addCommand(program, cli);
}

const helpEnding = `
Ids may be shortened to any unique prefix. Every command has --json.
Exit codes: 0 done, 1 failed, 2 wrong usage or ambiguous, 3 not found, 78 unusable Node.
SHIM_HOME names the folder of all stored data; NO_COLOR switches colors off; SHIM_DEBUG=1 shows where an error came from.
\`shim help --all\` lists the rest of the commands, \`shim help <command>\` the options of one.
`;

const helpHint = "`shim help --all` lists the commands, `shim help <command>` the options of one.";

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
      const names = parent.commands.map((one) => one.name());
      return `unknown command '${word}'${suggestion(word, names)}\n${helpHint}`;
    }
    parent = found;
  }
  return null;
}

/** commander also suggests commands that share a few letters, such as "import" for "export". */
function keepCloseSuggestions(message: string): string {
  const typed = /^unknown command '(.*)'/.exec(message)?.[1];
  if (typed === undefined) return message;
  return message.replace(/\n\(Did you mean (?:one of )?(.*)\?\)/, (_line, names: string) =>
    suggestion(typed, names.split(", ")),
  );
}

function suggestion(typed: string, names: readonly string[]): string {
  const close = names.filter((name) => isClose(typed, name));
  return close.length === 0 ? "" : `\n(Did you mean ${close.join(" or ")}?)`;
}

/** Makes the program without commands. @param complain gets what commander writes of errors */
function newProgram(cli: Cli, complain: (text: string) => void): Command {
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
    .configureHelp({
      subcommandTerm: (one) => [one.name(), ...one.registeredArguments.map(argumentText)].join(" "),
      formatHelp: formatFirstHelp,
    })
    .helpCommand(false)
    .addHelpText("after", helpEnding);
  // Replaces commander's help command, which has no option and knows no command below another.
  const help = new Command("help")
    .copyInheritedSettings(program)
    .argument("[command...]")
    .description("the options of a command")
    .option("--all", "list every command")
    .action((words: readonly string[], { all }: { readonly all?: boolean }) => {
      if (all === true) io.stdout(cli.verbatim(allCommandsText(program, io.size().columns)));
      else findCommand(program, words).outputHelp();
    });
  return program.addCommand(help);
}

/** [CL270] The program's own help lists the commands without a group, `shim help --all` all. */
function formatFirstHelp(command: Command, help: Help): string {
  if (command.parent === null)
    help.visibleCommands = () => command.commands.filter((one) => one.helpGroup() === "" && one.name() !== "help");
  return Help.prototype.formatHelp.call(help, command, help);
}

function findCommand(program: Command, words: readonly string[]): Command {
  return words.reduce((parent, word) => {
    const found = parent.commands.find((one) => one.name() === word);
    return found ?? parent.error(`error: unknown command '${word}'`);
  }, program);
}

/** [CL271] Every command with those below it, in the groups of the program. */
function allCommandsText(program: Command, columns: number): string {
  const help = program.createHelp();
  help.prepareContext({ helpWidth: helpWidth(columns) });
  const top = commandsIn(program);
  const width = Math.max(...top.flatMap(withSubcommands).map((one) => usageOf(one).length));
  const blocks = [...Map.groupBy(top, (one) => one.helpGroup() || "Commands:")].map(([group, commands]) => {
    const lines = commands
      .flatMap(withSubcommands)
      .map((one) => help.formatItem(usageOf(one), width, one.description(), help));
    return `${group}\n${lines.join("\n")}\n`;
  });
  return blocks.join("\n");
}

function commandsIn(command: Command): Command[] {
  return command.commands.filter((one) => one.name() !== "help");
}

export function withSubcommands(command: Command): Command[] {
  return [command, ...commandsIn(command).flatMap(withSubcommands)];
}

/** Words behind `shim`. */
export function wordsOf(command: Command): string[] {
  return command.parent === null ? [] : [...wordsOf(command.parent), command.name()];
}

function usageOf(command: Command): string {
  return [...wordsOf(command), ...command.registeredArguments.map(argumentText)].join(" ");
}

function argumentText(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}

function helpWidth(columns: number): number {
  return Math.min(100, columns);
}
