import type { Command } from "commander";
import type { InputOf } from "../../../contract/operations.ts";
import { TaskState, type Progress } from "../../../contract/tasks.ts";
import type { TaskLine } from "../../../contract/task-views.ts";
import { age, oneLine } from "../../../shared/format.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { shortIds } from "../../../shared/short-id.ts";
import { enumOption, limitOption, type Cli, type Columns, type CommonOptions, type CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { taskOption } from "../../task-input.ts";
import { allChats, findChat } from "../../chat-names.ts";

type TaskFilter = Omit<InputOf<"tasks.list">, "limit" | "cursor">;
type ListOptions = CommonOptions & TaskFilter & { readonly limit?: number };

const defaultLimit = 50;

export function addTaskList(task: Command, cli: Cli): void {
  const command = task
    .command("list")
    .description("tasks by number")
    .addOption(enumOption("--state <state>", TaskState))
    .option("--type <type>", "only of this type")
    .option("--chat <chat>", "only tasks of this chat")
    .option("--tag <tag>", "only with this tag")
    .option("--schedule <name>", "only of this schedule")
    .option("--parent <task>", "only direct parts of this task", taskOption)
    .addOption(limitOption(defaultLimit));
  cli.define(command, ({ state, type, chat, tag, schedule, parent, limit }: ListOptions) =>
    cli.withWorkspace(async (link) => {
      const holder = chat === undefined ? ok(undefined) : await findChat(cli, chat);
      if (!holder.ok) return holder;
      const filter = omitUndefined({ state, type, chat: holder.value, tag, schedule, parent });
      return listTasks(cli, link, filter, limit);
    }),
  );
}

async function listTasks(
  cli: Cli,
  link: Workspace,
  filter: TaskFilter,
  max: number = defaultLimit,
): Promise<CommandResult> {
  const listed = await link.list("tasks.list", filter, { max });
  if (!listed.ok) return listed;
  const { tasks, cursor } = listed.value;
  const isDead = filter.state === "dead";
  const columns = isDead ? deadColumns : taskColumns(await shortChats(link, tasks));
  const empty = isDead ? "No dead tasks.\n" : `No tasks at ${link.where}.\n`;
  const text = cli.table(tasks, { ...firstColumns(tasks), ...columns }, empty);
  return ok({ data: listed.value, text: cursor === null ? text : `${text}There are more; --limit shows them.\n` });
}

/** The schedule, where any of the tasks has one. */
function firstColumns(tasks: readonly TaskLine[]): Columns<TaskLine> {
  const number: Columns<TaskLine> = { TASK: ({ task }) => String(task) };
  const isAny = tasks.some(({ schedule }) => schedule !== null);
  return isAny ? { ...number, SCHEDULE: ({ schedule }) => schedule ?? "-" } : number;
}

function taskColumns(shortChat: (chat: string) => string): Columns<TaskLine> {
  return {
    STATE: ({ state }) => state,
    TYPE: ({ type }) => type,
    PRIORITY: ({ priority }) => String(priority),
    CHAT: ({ chat }) => (chat === null ? "-" : shortChat(chat)),
    FAILED: ({ failures, maxAttempts }) => `${failures}/${maxAttempts}`,
    SUBMITTED: ({ ageMs }) => `${age(ageMs)} ago`,
    PROGRESS: (task) => oneLine(progressNote(task), 60),
  };
}

const deadColumns: Columns<TaskLine> = {
  TYPE: ({ type }) => type,
  REASON: ({ reason }) => reason ?? "-",
  FAILED: ({ failures, maxAttempts }) => `${failures}/${maxAttempts}`,
  SUBMITTED: ({ ageMs }) => `${age(ageMs)} ago`,
  DETAIL: ({ detail }) => oneLine(detail ?? "-", 80),
};

const endStates: ReadonlySet<TaskState> = new Set(["done", "dead", "cancelled"]);

/** [CL87] Shows progress or the reason; the progress of an ended task says nothing. */
function progressNote({ state, progress, detail, isCancelAsked }: TaskLine): string {
  const isOver = endStates.has(state);
  const parts = [isCancelAsked && !isOver ? "asked to stop" : "", detail ?? "", isOver ? "" : progressText(progress)];
  return parts.filter((text) => text !== "").join("; ") || "-";
}

/** The list of tasks is useful without the list of chats. */
async function shortChats(link: Workspace, tasks: readonly TaskLine[]): Promise<(chat: string) => string> {
  if (tasks.every(({ chat }) => chat === null)) return (chat) => chat;
  const chats = await allChats(link);
  return chats.ok ? shortIds(chats.value.map(({ chat }) => chat)) : (chat) => chat;
}

export function progressText(progress: Progress | null): string {
  const { percent, note } = progress ?? {};
  return [percent === undefined ? "" : `${Math.round(percent)} %`, note ?? ""].filter((text) => text !== "").join(" ");
}
