import { Command, CommanderError, Option } from "commander";
import { HomeError } from "../../platform/paths.ts";
import { version } from "../../platform/version.ts";
import { exitCodes, failed, wrongUsage } from "../answer.ts";
import { Cli, type CommandResult, type CommonOptions } from "../cli.ts";
import { isClose } from "../did-you-mean.ts";
import { addAudit } from "./team/audit.ts";
import { addChats } from "./team/chats.ts";
import { addCheckpoints, addSearch } from "./sessions/checkpoints.ts";
import { addConfig } from "./setup/config.ts";
import { addBudget } from "./team/budget.ts";
import { addInbox } from "./team/inbox.ts";
import { addLease } from "./team/lease.ts";
import { addSend } from "./team/send.ts";
import { addState } from "./team/state.ts";
import { addCost } from "./care/cost.ts";
import { addDoctor } from "./care/doctor.ts";
import { addEdge } from "./edge/edge.ts";
import { addExplain } from "./tasks/explain.ts";
import { addForget } from "./care/forget.ts";
import { addFiles } from "./team/files.ts";
import { addInit, addUninstall } from "./setup/init.ts";
import { addJob } from "./tasks/job.ts";
import { addLead } from "./team/lead.ts";
import { addName } from "./sessions/name.ts";
import { addPause } from "./care/pause.ts";
import { addQueue } from "./tasks/queue.ts";
import { addRestore } from "./recover/restore.ts";
import { addResume } from "./recover/resume.ts";
import { addSessions } from "./sessions/sessions.ts";
import { addService } from "./run/service.ts";
import { addSettings } from "./team/settings.ts";
import { addStatusline } from "./setup/statusline.ts";
import { addSupervise } from "./run/supervise.ts";
import { addTask } from "./tasks/task.ts";
import { addTopic } from "./team/topic.ts";
import { addExport, addImport } from "./care/transfer.ts";
import { addUp } from "./care/up.ts";
import { addWatch } from "./team/watch.ts";
import { addWorker } from "./run/worker.ts";
import type { Io } from "../io.ts";

const helpEnding = `
Ids may be shortened to any beginning that fits one only. Every command has --json.
Exit codes: 0 done, 1 failed, 2 wrong usage or ambiguous, 3 not found, 78 unusable Node.
SHIM_HOME moves the place of everything stored; NO_COLOR switches colours off; SHIM_DEBUG=1 shows where an error came from.
`;

export interface DemoCommandOptions extends CommonOptions {
  readonly standIn?: boolean;
}

/** What `shim demo` does: only its own program has that. */
type Demo = (cli: Cli, options: DemoCommandOptions) => Promise<CommandResult>;

/** @param argv without node and script @returns the exit code, see `exitCodes` */
export async function run(argv: readonly string[], io: Io, demo: Demo = notByLauncher): Promise<number> {
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
    const program = build(cli, (text) => (complaint += text), demo);
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

export function build(cli: Cli, complain: (text: string) => void, demo: Demo = notByLauncher): Command {
  const { io } = cli;
  const program = new Command("shim")
    .description("Keeps AI chat sessions alive: nothing a chat knew or was doing is lost when it dies.")
    .version(version, "-V, --version")
    .exitOverride()
    .showHelpAfterError("`shim --help` lists the commands, `shim help <command>` its options.")
    .configureOutput({
      writeOut: (text) => io.stdout(cli.format(text)),
      writeErr: complain,
      getOutHelpWidth: () => Math.min(100, io.size().columns),
      getOutHasColors: () => false,
    })
    .configureHelp({ subcommandTerm: formatTerm })
    .helpCommand("help [command]", "options of a command")
    .addHelpText("after", helpEnding);
  program.commandsGroup("Set up:");
  for (const add of [addInit, addUp]) add(program, cli);
  const demoCommand = program
    .command("demo")
    .description("a chat that works, is killed and goes on, with real processes in a temporary folder")
    .addOption(new Option("--stand-in").hideHelp());
  cli.define(demoCommand, (options: DemoCommandOptions) => demo(cli, options));
  addUninstall(program, cli);
  program.commandsGroup("Look and recover:");
  for (const add of [addSessions, addCheckpoints, addSearch, addResume, addRestore, addExplain, addName])
    add(program, cli);
  program.commandsGroup("Work as a team:");
  for (const add of [addChats, addLease, addLead, addState, addSend, addTopic, addInbox, addFiles, addWatch])
    add(program, cli);
  for (const add of [
    addTask,
    addJob,
    addQueue,
    addWorker,
    addSupervise,
    addService,
    addBudget,
    addCost,
    addSettings,
    addAudit,
    addEdge,
  ])
    add(program, cli);
  program.commandsGroup("Keep in order:");
  for (const add of [addDoctor, addConfig, addPause, addForget, addExport, addImport]) add(program, cli);
  program.commandsGroup("Started by clients:");
  addStatusline(program, cli);
  for (const [name, description] of Object.entries(launcherOnly))
    cli.define(program.command(name).description(description), notByLauncher);
  return program;
}

/** Commands that bin/shim.mjs starts as programs of their own; here they are only listed. */
const launcherOnly = {
  mcp: "the MCP server of one chat, on stdio",
  "hook <event>": "one hook event, as JSON on stdin",
};

async function notByLauncher(): Promise<CommandResult> {
  return failed("not_by_launcher", "this is started through bin/shim.mjs, which has a program of its own for it.");
}

function formatTerm(command: Command): string {
  const args = command.registeredArguments.map((one) => {
    const name = `${one.name()}${one.variadic ? "..." : ""}`;
    return one.required ? `<${name}>` : `[${name}]`;
  });
  return [command.name(), ...args].join(" ");
}
