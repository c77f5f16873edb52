import type { Command } from "commander";
import { failed } from "../answer.ts";
import type { Cli } from "../cli.ts";
import { newProgram, runProgram } from "../run-program.ts";
import { addAnalyze } from "./analyze/analyze.ts";
import { addAudit } from "./team/audit.ts";
import { addChats } from "./team/chats.ts";
import { addCheckpoints, addSearch } from "./sessions/checkpoints.ts";
import { addCompletion } from "./setup/completion.ts";
import { addConfig } from "./setup/config.ts";
import { addCall } from "./team/call.ts";
import { addBudget } from "./team/budget.ts";
import { addInbox } from "./team/inbox.ts";
import { addLease } from "./team/lease.ts";
import { addSend } from "./team/send.ts";
import { addState } from "./team/state.ts";
import { addCost } from "./care/cost.ts";
import { addDoctor } from "./care/doctor.ts";
import { addEdge } from "./edge/edge.ts";
import { addEvolve } from "./evolve/evolve.ts";
import { addExplain } from "./tasks/explain.ts";
import { addForget } from "./care/forget.ts";
import { addFiles } from "./team/files.ts";
import { addInit, addUninstall } from "./setup/init.ts";
import { addJob } from "./tasks/job.ts";
import { addExperiments } from "./learn/experiments.ts";
import { addKaizen } from "./learn/kaizen.ts";
import { addReplay } from "./learn/replay.ts";
import { addLead } from "./team/lead.ts";
import { addMetrics } from "./care/metrics.ts";
import { addMutants } from "./mutants/mutants.ts";
import { addName } from "./sessions/name.ts";
import { addOpportunities } from "./learn/opportunities.ts";
import { addPause } from "./care/pause.ts";
import { addQueue } from "./tasks/queue.ts";
import { addRestore } from "./recover/restore.ts";
import { addResume } from "./recover/resume.ts";
import { addSessions } from "./sessions/sessions.ts";
import { addService } from "./run/service.ts";
import { addSettings } from "./team/settings.ts";
import { addStatusline } from "./setup/statusline.ts";
import { addUpdate } from "./setup/update.ts";
import { addSupervise } from "./run/supervise.ts";
import { addTask } from "./tasks/task.ts";
import { addRouting } from "./tasks/routing.ts";
import { addTokens } from "./care/tokens.ts";
import { addTransform } from "./transform/transform.ts";
import { addTopic } from "./team/topic.ts";
import { addExport, addImport } from "./care/transfer.ts";
import { addUp } from "./care/up.ts";
import { addWatch } from "./team/watch.ts";
import { addWorker } from "./run/worker.ts";
import type { Io } from "../io.ts";

type AddCommand = (program: Command, cli: Cli) => void;

/** Lists a command that bin/shim.mjs starts as a program of its own. */
function launcherOnly(name: string, description: string): AddCommand {
  return (program, cli) => {
    const message = "start this through bin/shim.mjs, which has a separate program for it.";
    cli.define(program.command(name).description(description), async () => failed("not_by_launcher", message));
  };
}

const groups: Readonly<Record<string, readonly AddCommand[]>> = {
  "Set up:": [
    addInit,
    addUp,
    launcherOnly("demo", "a chat that works, is killed and continues, with real processes in a temporary folder"),
    addUpdate,
    addCompletion,
    addUninstall,
  ],
  "Inspect and recover:": [addSessions, addCheckpoints, addSearch, addResume, addRestore, addExplain, addName],
  "Work as a team:": [
    addChats,
    addLease,
    addLead,
    addState,
    addSend,
    addTopic,
    addInbox,
    addFiles,
    addWatch,
    addTask,
    addJob,
    addQueue,
    addRouting,
    addWorker,
    addSupervise,
    addService,
    addBudget,
    addCost,
    addTokens,
    addSettings,
    addAudit,
    addCall,
    addEdge,
  ],
  "Improve code:": [addAnalyze, addTransform, addMutants, addEvolve],
  "Learn from records:": [addOpportunities, addKaizen, addReplay, addExperiments],
  "Maintain:": [addDoctor, addMetrics, addConfig, addPause, addForget, addExport, addImport],
  "Started by clients:": [
    addStatusline,
    launcherOnly("mcp", "the MCP server of one chat, on stdio"),
    launcherOnly("hook <event>", "one hook event, as JSON on stdin"),
  ],
};

function addCommands(program: Command, cli: Cli): void {
  for (const [title, commands] of Object.entries(groups)) {
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
