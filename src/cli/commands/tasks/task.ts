import type { Command } from "commander";
import type { OutputOf } from "../../../contract/operations.ts";
import { ok } from "../../../shared/result.ts";
import type { Answer } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult, Columns } from "../../cli.ts";
import { chatLabels } from "../team/chat-names.ts";
import { withCheckedLink, type CoordinatorLink } from "../../coordinator-link.ts";
import { taskNumber } from "../../task-input.ts";
import { addSchedules } from "./schedules.ts";
import { addTaskList, progressText } from "./task-list.ts";
import { addSubmit } from "./task-submit.ts";
import { showTaskTree } from "./task-tree.ts";
import { watchAll, watchTask } from "./task-watch.ts";
import type { WorkOptions } from "./task-work.ts";
import type { Attempt } from "../../../contract/task-views.ts";
import { age } from "../../../shared/format.ts";
import { historyOf } from "./task-facts.ts";
import { oneLine, table } from "../../screen-text.ts";

interface ReasonOptions extends CommonOptions {
  readonly reason: string;
}

export function addTask(program: Command, cli: Cli): void {
  const command = program.command("task").description("tasks: submit them, see how far they are");
  addSubmit(command, cli);
  addSchedules(command, cli);
  addTaskList(command, cli);
  const show = command.command("show <task>").description("one task, with its attempts");
  cli.define(show, (_options: CommonOptions, text: string) =>
    withTask(cli, text, (link, task) => showTask(cli, link, task)),
  );
  const tree = command.command("tree [task]").description("dependencies and parts of a task, or of every open one");
  cli.define(tree, (_options: CommonOptions, text?: string) => {
    if (text === undefined) return withCheckedLink(cli, (link) => showTaskTree(cli, link, null));
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
    if (text === undefined) return withCheckedLink(cli, (link) => watchAll(cli, link, isJson));
    return withTask(cli, text, (link, task) => watchTask(cli, link, task, isJson));
  });
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
  body: (link: CoordinatorLink, task: number) => Promise<CommandResult>,
): Promise<CommandResult> {
  const task = taskNumber(text);
  return task.ok ? withCheckedLink(cli, (link) => body(link, task.value)) : task;
}

async function cancelTask(link: CoordinatorLink, task: number, reason: string): Promise<CommandResult> {
  const done = await link.call("tasks.cancel", { task, reason });
  return done.ok ? ok(cancelled(task, done.value)) : done;
}

function cancelled(task: number, data: OutputOf<"tasks.cancel">): Answer {
  if (data.state === "cancelled") return { data, text: `Task ${task} is cancelled.\n` };
  if (data.state === "running") return { data, text: `Task ${task} is running; its chat is asked to stop.\n` };
  return { data, text: `Task ${task} is ${data.state}; a task that has ended cannot be cancelled.\n`, isFailed: true };
}

type Task = OutputOf<"tasks.get">;

async function showTask(cli: Cli, link: CoordinatorLink, task: number): Promise<CommandResult> {
  const response = await link.call("tasks.get", { task });
  if (!response.ok) return response;
  const history = await historyOf(link, task);
  if (!history.ok) return history;
  const { attempts } = history.value;
  const label = await chatLabels(cli, link);
  const facts = table(toFacts(response.value, label), cli.io.size().columns);
  const text = `${facts}\n${cli.table(attempts, attemptColumns(label), "No attempt has ended.\n")}`;
  return ok({ data: { ...response.value, attempts }, text });
}

function toFacts(task: Task, label: (chat: string) => string): [string, string][] {
  const facts: [string, string | null][] = [
    ["task", String(task.task)],
    ["type", task.type],
    ["state", stateText(task)],
    ["detail", task.detail],
    ["progress", progressText(task.progress) || null],
    ["chat", task.chat === null ? null : label(task.chat)],
    ["priority", String(task.priority)],
    ["submitted", `${age(task.ageMs)} ago`],
    ["schedule", task.schedule],
    ["due", task.dueInMs === null ? null : `in ${age(task.dueInMs)}`],
    ["failed", `${task.failures} of ${task.maxAttempts}; stalls ${task.stalls}, chats lost ${task.lostChats}`],
    ["depends on", listText(task.dependsOn)],
    ["parent", task.parent === null ? null : String(task.parent)],
    ["capabilities", listText(task.capabilities)],
    ["affinity", task.affinity],
    ["tags", listText(task.tags)],
    ["payload", jsonText(task.payload)],
    ["checkpoint", jsonText(task.checkpoint)],
    ["result", jsonText(task.result)],
  ];
  return facts.flatMap(([name, value]) => (value === null ? [] : [[name, oneLine(value, maxShownChars)]]));
}

const maxShownChars = 1_000;

function stateText({ state, reason, isCancelAsked }: Task): string {
  return `${state}${reason === null ? "" : ` (${reason})`}${isCancelAsked ? ", asked to stop" : ""}`;
}

function listText(values: readonly (string | number)[]): string | null {
  return values.length === 0 ? null : values.join(", ");
}

function jsonText(value: Task["payload"]): string | null {
  return value === null ? null : JSON.stringify(value);
}

function attemptColumns(label: (chat: string) => string): Columns<Attempt> {
  return {
    ATTEMPT: ({ attempt }) => String(attempt),
    CHAT: ({ chat }) => (chat === null ? "coordinator" : label(chat)),
    END: ({ end }) => end,
    RAN: ({ ranMs }) => (ranMs === null ? "not started" : age(ranMs)),
    ENDED: ({ endedAgeMs }) => `${age(endedAgeMs)} ago`,
    DETAIL: ({ reason, progress }) => oneLine(reason ?? (progressText(progress) || "-"), 80),
  };
}
