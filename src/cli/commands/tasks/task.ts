import type { Command } from "commander";
import type { OutputOf } from "../../../contract/operations.ts";
import { ok } from "../../../shared/result.ts";
import type { Answer } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { taskNumber } from "../../task-input.ts";
import { addSchedules } from "./schedules.ts";
import { addTaskList } from "./task-list.ts";
import { showTask } from "./task-show.ts";
import { addSubmit } from "./task-submit.ts";
import { showTaskTree } from "./task-tree.ts";
import { watchAll, watchTask } from "./task-watch.ts";
import type { WorkOptions } from "./task-work.ts";

interface ReasonOptions extends CommonOptions {
  readonly reason: string;
}

export function addTask(program: Command, cli: Cli): Command {
  const command = program.command("task").description("tasks: submit them, see how far they are");
  addSubmit(command, cli);
  addSchedules(command, cli);
  addTaskList(command, cli);
  const show = command.command("show <task>").description("one task: why it is in its state, its fields and attempts");
  cli.define(show, (_options: CommonOptions, text: string) =>
    withTask(cli, text, (link, task) => showTask(cli, link, task)),
  );
  const tree = command.command("tree [task]").description("dependencies and parts of a task, or of every open one");
  cli.define(tree, (_options: CommonOptions, text?: string) => {
    if (text === undefined) return cli.withWorkspace((link) => showTaskTree(cli, link, null));
    return withTask(cli, text, (link, task) => showTaskTree(cli, link, task));
  });
  addWork(command, cli);
  const cancel = command
    .command("cancel <task>")
    .description("end a task; the chat that runs it is asked to stop")
    .requiredOption("--reason <text>", "stored in the task");
  cli.define(cancel, ({ reason }: ReasonOptions, text: string) =>
    withTask(cli, text, (link, task) => cancelTask(link, task, reason)),
  );
  const watch = command.command("watch [task]").description("state and progress of a task, or of all, until the end");
  cli.define(watch, ({ json }: CommonOptions, text?: string) => {
    const isJson = json === true;
    if (text === undefined) return cli.withWorkspace((link) => watchAll(cli, link, isJson));
    return withTask(cli, text, (link, task) => watchTask(cli, link, task, isJson));
  });
  return command;
}

function addWork(command: Command, cli: Cli): void {
  for (const { name, description, body } of [
    { name: "diff", description: "what a task has changed, as a patch", body: "diffTask" },
    { name: "log", description: "the commits of a task", body: "logTask" },
    {
      name: "merge",
      description: "merge a task, or the parts of a job, into the branch you are on",
      body: "mergeTask",
    },
  ] as const) {
    const subcommand = command
      .command(`${name} <task>`)
      .description(description)
      .option("--remote <name>", "fetch missing commits from this remote");
    if (name !== "merge") subcommand.option("--all", "also what the task started with: the work of its dependencies");
    cli.define(subcommand, (options: WorkOptions, text: string) =>
      withTask(cli, text, async (link, task) => {
        const work = await import("./task-work.ts");
        return work[body](cli, link, task, options);
      }),
    );
  }
}

export async function withTask(
  cli: Cli,
  text: string,
  body: (link: Workspace, task: number) => Promise<CommandResult>,
): Promise<CommandResult> {
  const task = taskNumber(text);
  return task.ok ? cli.withWorkspace((link) => body(link, task.value)) : task;
}

async function cancelTask(link: Workspace, task: number, reason: string): Promise<CommandResult> {
  const done = await link.call("tasks.cancel", { task, reason });
  return done.ok ? ok(cancelled(task, done.value)) : done;
}

function cancelled(task: number, data: OutputOf<"tasks.cancel">): Answer {
  if (data.state === "cancelled") return { data, text: `Task ${task} is cancelled.\n` };
  if (data.state === "running") return { data, text: `Task ${task} is running; its chat is asked to stop.\n` };
  return { data, text: `Task ${task} is ${data.state}; a task that has ended cannot be cancelled.\n`, isFailed: true };
}
