import { fail } from "../../shared/result.ts";
import { type Argument, Command, CommanderError, Help } from "commander";
import * as z from "zod";
import { HomeError } from "../../platform/paths.ts";
import { version } from "../../contract/version.ts";
import { isClose } from "../../shared/close-words.ts";
import { exitCodes } from "../../contract/exit-codes.ts";
import { wrongUsage, wrongWords } from "../answer.ts";
import { Cli, wordsOf } from "../cli.ts";
import type { Io } from "../io.ts";
import { type CommandName, commandGroups, description, firstHelp, helpWidth } from "../listing.ts";
import { define } from "../operation-command.ts";

/** Loads a module that adds a command with those below it. */
type Load = () => Promise<{ readonly addCommand: (parent: Command, cli: Cli) => void }>;

/** Modules of a command are loaded when it is typed or listed with those below it. */
const loads: Readonly<Record<CommandName, Load>> = {
  init: () => import("./init.ts"),
  doctor: () => import("./doctor.ts"),
  config: () => import("./config.ts"),
  pair: () => import("./pair.ts"),
  pause: () => import("./pause.ts"),
  up: () => import("./up.ts"),
  sessions: () => import("./sessions.ts"),
  requests: () => import("./requests.ts"),
  runs: () => import("./runs.ts"),
  resume: () => import("./resume.ts"),
  rescue: () => import("./rescue.ts"),
  fork: () => import("./fork.ts"),
  give: () => import("./give.ts"),
  withdraw: () => import("./withdraw.ts"),
  take: () => import("./take.ts"),
  undo: () => import("./undo.ts"),
  restore: () => import("./restore.ts"),
  forget: () => import("./forget.ts"),
  effects: () => import("./effects.ts"),
  cost: () => import("./cost.ts"),
  team: () => import("./team.ts"),
  task: () => import("./tasks.ts"),
  worker: () => import("./worker.ts"),
  workspace: () => import("./workspace.ts"),
  code: () => import("./code.ts"),
  report: () => import("./report.ts"),
  experiment: () => import("./experiment.ts"),
  completion: () => import("./completion.ts"),
  call: () => import("./call.ts"),
  phones: () => import("./phones.ts"),
  demo: ofLauncher("demo", "a chat that works, is killed and continues, with real processes in a temporary folder"),
  statusline: ofLauncher("statusline", "status line of Claude Code"),
  mcp: ofLauncher("mcp", "the MCP server of one chat, on stdio"),
  hook: ofLauncher("hook", "one hook event, as JSON on stdin", { event: z.string() }),
};

/** Lists a command that bin/shim.mjs starts as a program of its own. */
function ofLauncher(name: string, summary: string, args: z.ZodRawShape = {}): Load {
  const message = "start this through bin/shim.mjs, which has a separate program for it.";
  const addCommand = (parent: Command, cli: Cli): void => {
    define(cli, parent, name, {
      input: z.strictObject(args),
      summary,
      example: { event: "PostToolUse" },
      args: Object.keys(args),
      run: () => fail("not_by_launcher", message),
    });
  };
  return async () => ({ addCommand });
}

/** @param argv without node and script @returns the exit code, see `exitCodes` */
export function run(argv: readonly string[], io: Io): Promise<number> {
  return runProgram(argv, io, addNeeded);
}

/** Commands of one who gets to know SHIM. */
function teaches(argv: readonly string[]): boolean {
  return ["init", "doctor"].includes(argv[0] ?? "") || asksHelp(argv);
}

function asksHelp([first = "--help", ...others]: readonly string[]): boolean {
  const words = ["--help", "-h"];
  return ["help", ...words].includes(first) || others.some((word) => words.includes(word));
}

/** Commands that the words name, and all that a list or a script may print. */
function typedCommands(program: Command, cli: Cli, argv: readonly string[]): Command[] {
  if (asksHelp(argv) || argv[0] === "completion") return withSubcommands(program);
  const { command } = commandAt(program, argv);
  const below = withSubcommands(command);
  // An option may stand before the name of one.
  const named = cli.isDeclared(command) ? below.filter((one) => argv.includes(one.name())) : below;
  return [...withParents(command), ...named];
}

function withParents(command: Command): Command[] {
  return command.parent === null ? [command] : [...withParents(command.parent), command];
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
    await cli.declare(typedCommands(program, cli, argv));
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    const isJson = argv.includes("--json");
    if (error instanceof CommanderError) finish(cli, error, complaint, isJson, commandAt(program, argv));
    else cli.reportError(error, isJson);
  } finally {
    await cli.close();
    if (!argv.includes("--json") && teaches(argv)) cli.sayHowToType();
  }
  return cli.exitCode;
}

/** Makes the program with all its commands. @param complain gets what commander writes of errors */
export async function build(cli: Cli, complain: (text: string) => void): Promise<Command> {
  const program = newProgram(cli, complain);
  await addAll(program, cli);
  await cli.declare(withSubcommands(program));
  return program;
}

/** Adds the commands that a command line may mean, which is all where its first word is none. */
async function addNeeded(program: Command, cli: Cli, [word = "--help"]: readonly string[]): Promise<void> {
  // Its script has them all.
  if (word === "completion") return addAll(program, cli);
  if (["--version", "-V", "--help", "-h"].includes(word)) return;
  if (Object.hasOwn(loads, word)) return addCommand(program, cli, word as CommandName);
  return addAll(program, cli);
}

async function addAll(program: Command, cli: Cli): Promise<void> {
  for (const [title, commands] of Object.entries(commandGroups)) {
    program.commandsGroup(`${title}:`);
    for (const name of Object.keys(commands)) await addCommand(program, cli, name as CommandName);
  }
}

async function addCommand(program: Command, cli: Cli, name: CommandName): Promise<void> {
  (await loads[name]()).addCommand(program, cli);
}

/** Help and version arrive as errors too. */
function finish(cli: Cli, error: CommanderError, complaint: string, isJson: boolean, { command, next }: At): void {
  if (error.exitCode === 0) return;
  const message = complaint.trim().replace(/^error: /, "") || error.message;
  const isProgram = command.parent === null;
  const wrong = mistypedSubcommand(command, next) ?? keepCloseSuggestions(message);
  if (isProgram) cli.report(wrongUsage(`${wrong}\n\`shim --help\` lists the commands.`), isJson);
  else cli.report(wrongWords(wrong), isJson, command);
  cli.exitCode = exitCodes.wrongUsage;
}

interface At {
  readonly command: Command;
  /** First word behind its name. */
  readonly next: string | undefined;
}

/** The command that a command line names. */
function commandAt(program: Command, argv: readonly string[]): At {
  const [word, ...rest] = argv;
  const found = program.commands.find((one) => one.name() === word);
  return found ? commandAt(found, rest) : { command: program, next: word };
}

/** A word behind a command that takes none is no argument too many, as commander says. */
function mistypedSubcommand(command: Command, word = "-"): string | null {
  const names = command.commands.map((one) => one.name());
  const takesWords = command.parent === null || names.length === 0 || command.registeredArguments.length > 0;
  if (takesWords || word.startsWith("-")) return null;
  const advice = suggestion(word, names) || `\n(shim ${wordsOf(command).join(" ")} has ${names.join(", ")}.)`;
  return `unknown command '${word}'${advice}`;
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
  const program = new Command("shim")
    .description(description)
    .version(version, "-V, --version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => cli.writeHelp(text),
      writeErr: complain,
      getOutHelpWidth: () => helpWidth(cli.columns),
      getOutHasColors: () => false,
    })
    .enablePositionalOptions()
    .configureHelp({
      subcommandTerm: (one) => [one.name(), ...one.registeredArguments.map(argumentText)].join(" "),
      formatHelp: (command, help) =>
        command.parent === null
          ? firstHelp(help)
          : `${Help.prototype.formatHelp.call(help, command, help)}\nExample:\n  ${cli.exampleOf(command)}\n`,
    })
    .helpCommand(false);
  // Replaces commander's help command, which has no option and knows no command below another.
  const help = new Command("help")
    .copyInheritedSettings(program)
    .argument("[command...]")
    .description("the options of a command")
    .option("--all", "list every command")
    .action((words: readonly string[], { all }: { readonly all?: boolean }) => {
      if (all === true) cli.writeHelp(allCommandsText(program, cli.columns));
      else findCommand(program, words).outputHelp();
    });
  return program.addCommand(help);
}

function findCommand(program: Command, words: readonly string[]): Command {
  return words.reduce((parent, word) => {
    const found = parent.commands.find((one) => one.name() === word);
    return found ?? parent.error(`error: unknown command '${word}'`);
  }, program);
}

/** Every command with those below it, in the groups of the program. */
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

function usageOf(command: Command): string {
  return [...wordsOf(command), ...command.registeredArguments.map(argumentText)].join(" ");
}

function argumentText(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? `<${name}>` : `[${name}]`;
}
