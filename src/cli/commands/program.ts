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
import { define } from "../operation-command.ts";

/** Loads a module that adds a command with those below it. */
type Load = () => Promise<{ readonly addCommand: (parent: Command, cli: Cli) => void }>;

interface Listed {
  /** In `shim --help`; absent: only `shim help --all` lists the command. */
  readonly line?: string;
  readonly load: Load;
}

/** By name; what a command needs is loaded when it is typed or listed with those below it. */
type Commands = Readonly<Record<string, Listed>>;

const groups: Readonly<Record<string, Commands>> = {
  "Set up": {
    init: { line: "connect the AI clients of this machine; --remove undoes it", load: () => import("./init.ts") },
    doctor: { line: "check everything, and say how to fix what is wrong", load: () => import("./doctor.ts") },
    config: { line: "show and change the settings of this machine", load: () => import("./config.ts") },
    pair: { line: "see your chats on a phone, and answer them there", load: () => import("./pair.ts") },
    pause: { line: "record nothing for a while", load: () => import("./pause.ts") },
  },
  Sessions: {
    up: { line: "watch sessions, tasks and chats; --web: in a browser", load: () => import("./up.ts") },
    sessions: { line: "list sessions; show, search, name or export them", load: () => import("./sessions.ts") },
    requests: { line: "what chats ask you: permissions, questions, plans", load: () => import("./requests.ts") },
    runs: { line: "start a client without a terminal, or stop one", load: () => import("./runs.ts") },
    resume: { line: "continue a session that died", load: () => import("./resume.ts") },
    rescue: { line: "find out why a session cannot continue, and repair that", load: () => import("./rescue.ts") },
    fork: { line: "start again from an earlier prompt, with its files", load: () => import("./fork.ts") },
    give: { line: "hand a session to another person or machine", load: () => import("./give.ts") },
    withdraw: { line: "withdraw the link of a session that was given", load: () => import("./withdraw.ts") },
    take: { line: "continue a session that was handed over", load: () => import("./take.ts") },
    undo: { line: "take back what a chat changed since a prompt", load: () => import("./undo.ts") },
    restore: { line: "put files back as they were at a checkpoint", load: () => import("./restore.ts") },
    forget: { line: "delete a session or a project, with every copy", load: () => import("./forget.ts") },
    effects: { line: "list what cannot be undone: pushes, deployments", load: () => import("./effects.ts") },
    cost: { line: "tokens and cost of the chats of this machine", load: () => import("./cost.ts") },
  },
  "Work as a team": {
    team: { line: "chats, messages, reserved files, budgets, settings", load: () => import("./team.ts") },
    task: { line: "submit tasks, and see how far they are", load: () => import("./tasks.ts") },
    worker: { line: "do tasks with a program or with Claude Code", load: () => import("./worker.ts") },
    workspace: { line: "share all this between machines: create, join, leave", load: () => import("./workspace.ts") },
  },
  Improve: {
    code: { line: "analyze, transform and improve a project's code", load: () => import("./code.ts") },
    report: { line: "what the records of a week say, and what to change", load: () => import("./report.ts") },
    experiment: { line: "try other values of settings on some sessions", load: () => import("./experiment.ts") },
  },
  "Everything else": {
    completion: { load: () => import("./completion.ts") },
    call: { load: () => import("./call.ts") },
    phones: { load: () => import("./phones.ts") },
    demo: ofLauncher("demo", "a chat that works, is killed and continues, with real processes in a temporary folder"),
  },
  "Started by clients": {
    statusline: ofLauncher("statusline", "status line of Claude Code"),
    mcp: ofLauncher("mcp", "the MCP server of one chat, on stdio"),
    hook: ofLauncher("hook", "one hook event, as JSON on stdin", { event: z.string() }),
  },
};

/** Lists a command that bin/shim.mjs starts as a program of its own. */
function ofLauncher(name: string, summary: string, args: z.ZodRawShape = {}): Listed {
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
  return { load: async () => ({ addCommand }) };
}

const named: Commands = Object.assign({}, ...Object.values(groups));

/** @param argv without node and script @returns the exit code, see `exitCodes` */
export function run(argv: readonly string[], io: Io): Promise<number> {
  return runProgram(argv, io, addNeeded);
}

/** Commands of one who gets to know SHIM. */
function teaches([first = "--help", ...others]: readonly string[]): boolean {
  const teaching = ["--help", "-h"];
  return ["help", "init", "doctor", ...teaching].includes(first) || others.some((word) => teaching.includes(word));
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
  return program;
}

/** Adds the commands that a command line may mean, which is all where its first word is none. */
async function addNeeded(program: Command, cli: Cli, [word = "--help"]: readonly string[]): Promise<void> {
  // Its script has them all.
  if (word === "completion") return addAll(program, cli);
  if (["--version", "-V", "--help", "-h"].includes(word)) return;
  const found = Object.hasOwn(named, word) ? named[word] : undefined;
  return found === undefined ? addAll(program, cli) : addCommands(program, cli, { [word]: found });
}

async function addAll(program: Command, cli: Cli): Promise<void> {
  for (const [title, commands] of Object.entries(groups)) {
    program.commandsGroup(`${title}:`);
    await addCommands(program, cli, commands);
  }
}

async function addCommands(program: Command, cli: Cli, commands: Commands): Promise<void> {
  for (const { load } of Object.values(commands)) (await load()).addCommand(program, cli);
}

const description = "Keeps AI chat sessions alive: nothing a chat knew or was doing is lost when it dies.";

/** One line for each command that a person types; no command's module is loaded for it. */
function firstHelp(help: Help): string {
  const typed = Object.entries(groups).map(([title, commands]) => {
    const lines = Object.entries(commands).flatMap(([name, { line }]) => (line === undefined ? [] : [{ name, line }]));
    return { title, lines };
  });
  const width = Math.max(...typed.flatMap(({ lines }) => lines.map(({ name }) => name.length)));
  const blocks = typed.flatMap(({ title, lines }) => {
    const shown = lines.map(({ name, line }) => `${help.formatItem(name, width, line, help)}\n`);
    return shown.length === 0 ? [] : [`${title}:\n${shown.join("")}\n`];
  });
  const wrap = (text: string): string => help.boxWrap(text, help.helpWidth ?? 80);
  return `Usage: shim <command> [options]\n\n${wrap(description)}\n\n${blocks.join("")}${wrap(closing)}\n`;
}

const closing =
  "Ids may be shortened to any unique prefix. Every command has --json. Exit codes: 0 done, 1 failed, 2 wrong usage or ambiguous, 3 not found, 78 unusable Node. SHIM_HOME names the folder of all stored data; NO_COLOR switches colors off; SHIM_DEBUG=1 shows where an error came from.\n`shim help <command>` has the options of one and an example, `shim help --all` lists the rest.";

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

function helpWidth(columns: number): number {
  return Math.min(100, columns);
}
