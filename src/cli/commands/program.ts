import type { Command } from "commander";
import { failed } from "../answer.ts";
import type { Cli } from "../cli.ts";
import { newProgram, runProgram } from "../run-program.ts";
import { addAnalyze } from "./analyze/analyze.ts";
import { addAudit } from "./team/audit.ts";
import { addChats } from "./team/chats.ts";
import { addCompletion } from "./setup/completion.ts";
import { addConfig } from "./setup/config.ts";
import { addCall } from "./team/call.ts";
import { addBudget } from "./team/budget.ts";
import { addInbox } from "./team/inbox.ts";
import { addLocks } from "./team/locks.ts";
import { addSend } from "./team/send.ts";
import { addState } from "./team/state.ts";
import { addCost } from "./care/cost.ts";
import { addDoctor } from "./care/doctor.ts";
import { addEvolve } from "./evolve/evolve.ts";
import { addForget } from "./sessions/forget.ts";
import { addFiles } from "./team/files.ts";
import { addInit } from "./setup/init.ts";
import { addJoin } from "./join/join.ts";
import { addExperiments } from "./learn/experiments.ts";
import { addReview } from "./learn/review.ts";
import { addReplay } from "./learn/replay.ts";
import { addLeaders } from "./team/leaders.ts";
import { addMetrics } from "./care/metrics.ts";
import { addMutants } from "./mutants/mutants.ts";
import { addName } from "./sessions/name.ts";
import { addPause } from "./care/pause.ts";
import { addRestore } from "./recover/restore.ts";
import { addResume } from "./recover/resume.ts";
import { addSearch } from "./sessions/checkpoints.ts";
import { addSessions } from "./sessions/sessions.ts";
import { addSessionShow } from "./sessions/show.ts";
import { addService } from "./worker/service.ts";
import { addSettings } from "./team/settings.ts";
import { addStatusline } from "./setup/statusline.ts";
import { addUpdate } from "./setup/update.ts";
import { addSupervise } from "./worker/supervise.ts";
import { addTask } from "./tasks/task.ts";
import { addTokens } from "./care/tokens.ts";
import { addTransform } from "./transform/transform.ts";
import { addExport, addImport } from "./sessions/transfer.ts";
import { addUp } from "./care/up.ts";
import { addWatch } from "./team/watch.ts";
import { addWorker } from "./worker/worker.ts";
import type { Io } from "../io.ts";

type AddCommand = (program: Command, cli: Cli) => void;
type AddParent = (program: Command, cli: Cli) => Command;

/** Adds a command with those below it. */
function withBelow(addParent: AddParent, ...below: readonly AddCommand[]): AddCommand {
  return (program, cli) => {
    const parent = addParent(program, cli);
    for (const add of below) add(parent, cli);
  };
}

/** Makes a command that only has others below it. */
function group(name: string, description: string): AddParent {
  return (program) => program.command(name).description(description);
}

/** Lists a command that bin/shim.mjs starts as a program of its own. */
function launcherOnly(name: string, description: string): AddCommand {
  return (program, cli) => {
    const message = "start this through bin/shim.mjs, which has a separate program for it.";
    cli.define(program.command(name).description(description), async () => failed("not_by_launcher", message));
  };
}

/** [CL270] The commands of `shim --help`. */
const first: readonly AddCommand[] = [
  withBelow(addInit, addCompletion),
  addUp,
  withBelow(addSessions, addSessionShow, addSearch, addName, addForget, addExport, addImport),
  addResume,
  addRestore,
  addTask,
  withBelow(addWorker, addSupervise, addService),
  withBelow(
    group("team", "chats of the workspace: messages, files, locks, shared state, budgets and settings"),
    addChats,
    addSend,
    addInbox,
    addFiles,
    addLocks,
    addLeaders,
    addState,
    addWatch,
    addBudget,
    addSettings,
    addAudit,
  ),
  addJoin,
  withBelow(addCost, addTokens),
  addConfig,
  withBelow(addDoctor, addMetrics, addUpdate),
];

/** The commands that only `shim help --all` lists. */
const others: Readonly<Record<string, readonly AddCommand[]>> = {
  "Improve code:": [
    withBelow(group("code", "analyze and change a project's code"), addAnalyze, addTransform, addMutants, addEvolve),
  ],
  "Learn from records:": [
    withBelow(
      group("learn", "what the records of sessions and tasks say, and trials of settings"),
      addReview,
      addExperiments,
      addReplay,
    ),
  ],
  "Everything else:": [
    addCall,
    addPause,
    launcherOnly("demo", "a chat that works, is killed and continues, with real processes in a temporary folder"),
  ],
  "Started by clients:": [
    addStatusline,
    launcherOnly("mcp", "the MCP server of one chat, on stdio"),
    launcherOnly("hook <event>", "one hook event, as JSON on stdin"),
  ],
};

function addCommands(program: Command, cli: Cli): void {
  for (const add of first) add(program, cli);
  for (const [title, commands] of Object.entries(others)) {
    program.commandsGroup(title);
    for (const add of commands) add(program, cli);
  }
}

/** @param argv without node and script @returns the exit code, see `exitCodes` */
export function run(argv: readonly string[], io: Io): Promise<number> {
  return runProgram(argv, io, addCommands);
}

/** Makes the program with all its commands. @param complain gets what commander writes of errors */
export function build(cli: Cli, complain: (text: string) => void): Command {
  const program = newProgram(cli, complain);
  addCommands(program, cli);
  return program;
}
