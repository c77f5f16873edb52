import type { Command } from "commander";
import { failed } from "../answer.ts";
import type { Cli } from "../cli.ts";
import type { Io } from "../io.ts";
import { newProgram, runProgram } from "../run-program.ts";

/** Loads a module that adds one command, or a few that belong together. */
type Load<Added> = () => Promise<{ readonly addCommand: (parent: Command, cli: Cli) => Added }>;

interface Parent {
  readonly load: Load<Command>;
  readonly below: Commands;
}

/** By name; what a command needs is loaded when it is typed or listed. */
type Commands = Readonly<Record<string, Load<void> | Parent>>;

/** [CL270] The commands of `shim --help`. */
const first: Commands = {
  init: {
    load: () => import("./setup/init.ts"),
    below: {
      completion: () => import("./setup/completion.ts"),
    },
  },
  up: () => import("./care/up.ts"),
  sessions: {
    load: () => import("./sessions/sessions.ts"),
    below: {
      show: () => import("./sessions/show.ts"),
      search: () => import("./sessions/checkpoints.ts"),
      name: () => import("./sessions/name.ts"),
      forget: () => import("./sessions/forget.ts"),
      export: () => import("./sessions/transfer.ts"),
    },
  },
  resume: () => import("./recover/resume.ts"),
  restore: () => import("./recover/restore.ts"),
  task: {
    load: group("task", "tasks: submit them, see how far they are"),
    below: {
      submit: () => import("./tasks/submit.ts"),
      estimate: () => import("./tasks/estimate.ts"),
      schedules: () => import("./tasks/schedules.ts"),
      list: () => import("./tasks/task.ts"),
      diff: () => import("./tasks/branches.ts"),
      watch: () => import("./tasks/watch.ts"),
      stats: () => import("./tasks/dead-tasks.ts"),
      routing: () => import("./tasks/routing.ts"),
    },
  },
  worker: {
    load: () => import("./worker/worker.ts"),
    below: {
      supervise: () => import("./worker/supervise.ts"),
      service: () => import("./worker/service.ts"),
    },
  },
  team: {
    load: group("team", "chats of the workspace: messages, files, locks, shared state, budgets and settings"),
    below: {
      chats: () => import("./team/chats.ts"),
      send: () => import("./team/send.ts"),
      inbox: () => import("./team/inbox.ts"),
      files: () => import("./team/files.ts"),
      locks: () => import("./team/locks.ts"),
      leaders: () => import("./team/leaders.ts"),
      state: () => import("./team/state.ts"),
      watch: () => import("./team/watch.ts"),
      budget: () => import("./team/budget.ts"),
      settings: () => import("./team/settings.ts"),
      audit: () => import("./team/audit.ts"),
    },
  },
  join: () => import("./join/join.ts"),
  cost: {
    load: () => import("./care/cost.ts"),
    below: {
      tokens: () => import("./care/tokens.ts"),
    },
  },
  config: () => import("./setup/config.ts"),
  doctor: {
    load: () => import("./care/doctor.ts"),
    below: {
      metrics: () => import("./care/metrics.ts"),
      update: () => import("./setup/update.ts"),
    },
  },
};

/** The commands that only `shim help --all` lists, by the title of their group. */
const others: Readonly<Record<string, Commands>> = {
  "Improve code:": {
    code: {
      load: group("code", "analyze and change a project's code"),
      below: {
        analyze: () => import("./analyze/analyze.ts"),
        transform: () => import("./transform/transform.ts"),
        mutants: () => import("./mutants/mutants.ts"),
        evolve: () => import("./evolve/evolve.ts"),
      },
    },
  },
  "Learn from records:": {
    learn: {
      load: group("learn", "what the records of sessions and tasks say, and trials of settings"),
      below: {
        review: () => import("./learn/review.ts"),
        experiments: () => import("./learn/experiments.ts"),
        replay: () => import("./learn/replay.ts"),
      },
    },
  },
  "Everything else:": {
    call: () => import("./team/call.ts"),
    host: () => import("./care/host.ts"),
    pause: () => import("./care/pause.ts"),
    demo: ofLauncher("demo", "a chat that works, is killed and continues, with real processes in a temporary folder"),
  },
  "Started by clients:": {
    statusline: () => import("./setup/statusline.ts"),
    mcp: ofLauncher("mcp", "the MCP server of one chat, on stdio"),
    hook: ofLauncher("hook <event>", "one hook event, as JSON on stdin"),
  },
};

/** Makes a command that only has others below it. */
function group(name: string, description: string): Load<Command> {
  return async () => ({ addCommand: (parent) => parent.command(name).description(description) });
}

/** Lists a command that bin/shim.mjs starts as a program of its own. */
function ofLauncher(name: string, description: string): Load<void> {
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

/** Makes the program with all its commands. @param complain gets what commander writes of errors */
export async function build(cli: Cli, complain: (text: string) => void): Promise<Command> {
  const program = newProgram(cli, complain);
  await addGroups(program, cli, true);
  return program;
}

/** Adds the commands that a command line may mean, which is all where its first word is none. */
async function addNeeded(program: Command, cli: Cli, [word = "--help", ...words]: readonly string[]): Promise<void> {
  if (word === "--version" || word === "-V") return;
  // Completions list all.
  if (Object.hasOwn(named, word) && words[0] !== "completion") await addCommands(program, cli, named, [word, ...words]);
  else await addGroups(program, cli, word !== "--help" && word !== "-h");
}

async function addGroups(program: Command, cli: Cli, isWithBelow: boolean): Promise<void> {
  for (const [title, commands] of Object.entries({ "": first, ...others })) {
    program.commandsGroup(title);
    await addCommands(program, cli, commands, isWithBelow ? [] : null);
  }
}

/** @param words null: nothing below these commands */
async function addCommands(
  parent: Command,
  cli: Cli,
  commands: Commands,
  words: readonly string[] | null,
): Promise<void> {
  const [word = "", ...rest] = words ?? [];
  const isNamed = Object.hasOwn(commands, word);
  for (const [name, one] of Object.entries(commands)) {
    if (isNamed && name !== word) continue;
    if (typeof one === "function") (await one()).addCommand(parent, cli);
    else {
      const { addCommand } = await one.load();
      const added = addCommand(parent, cli);
      if (words !== null) await addCommands(added, cli, one.below, isNamed ? rest : []);
    }
  }
}
