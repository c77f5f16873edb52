import { TaskState, type Progress } from "../../../contract/tasks.ts";
import type { InputOf, OutputOf } from "../../../contract/operations.ts";
import type { TaskLine } from "../../../contract/task-views.ts";
import { age } from "../../../shared/format.ts";
import { ok, type Result } from "../../../shared/result.ts";
import { shortIds } from "../../../shared/short-id.ts";
import { wrongUsage, type FailedResult } from "../../answer.ts";
import { allChats, findChat } from "../team/chat-names.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import type { CoordinatorLink } from "../../coordinator-link.ts";
import { oneLine, table } from "../../screen-text.ts";

export interface ListOptions extends CommonOptions {
  readonly state?: string;
  readonly type?: string;
  readonly chat?: string;
  readonly tag?: string;
  readonly parent?: number;
  readonly limit?: number;
}

type TaskFilter = Omit<InputOf<"tasks.list">, "limit" | "cursor">;

export async function listTasks(cli: Cli, link: CoordinatorLink, options: ListOptions): Promise<CommandResult> {
  const { state } = options;
  const parsedState = TaskState.optional().safeParse(state);
  if (!parsedState.success) {
    return wrongUsage(`"${state?.slice(0, 60)}" is no state: ${TaskState.options.join(", ")}.`);
  }
  const chat = options.chat === undefined ? ok(undefined) : await findChat(cli, link, options.chat);
  if (!chat.ok) return chat;
  const filter = toFilter({ ...options, ...(chat.value === undefined ? {} : { chat: chat.value }) }, parsedState.data);
  const tasks = await fetchTasks(link, filter, options.limit ?? defaultLimit);
  if (!tasks.ok) return tasks;
  const short = await shortChats(link, tasks.value.tasks);
  const rows = tasks.value.tasks.map((task) => [
    String(task.task),
    task.state,
    task.type,
    String(task.priority),
    task.chat === null ? "-" : short(task.chat),
    `${task.failures}/${task.maxAttempts}`,
    `${age(task.ageMs)} ago`,
    oneLine(progressNote(task), 60),
  ]);
  const head = ["TASK", "STATE", "TYPE", "PRIORITY", "CHAT", "FAILED", "SUBMITTED", "PROGRESS"];
  const text = rows.length === 0 ? `No tasks at ${link.where}.\n` : table([head, ...rows], cli.io.size().columns);
  return ok({ data: tasks.value, text: text + moreText(tasks.value.cursor) });
}

function toFilter({ type, chat, tag, parent }: ListOptions, state: TaskState | undefined): TaskFilter {
  return {
    ...(state === undefined ? {} : { state }),
    ...(type === undefined ? {} : { type }),
    ...(chat === undefined ? {} : { chat }),
    ...(tag === undefined ? {} : { tag }),
    ...(parent === undefined ? {} : { parent }),
  };
}

const defaultLimit = 50;
const maxPerPage = 200;

/** A short or empty page may still not be the last one. */
async function fetchTasks(
  link: CoordinatorLink,
  filter: TaskFilter,
  limit: number,
): Promise<Result<OutputOf<"tasks.list">, FailedResult["error"]>> {
  const tasks: TaskLine[] = [];
  for (let cursor: string | null = ""; ;) {
    const page: Result<OutputOf<"tasks.list">, FailedResult["error"]> = await link.call("tasks.list", {
      ...filter,
      limit: Math.min(limit - tasks.length, maxPerPage),
      ...(cursor === "" ? {} : { cursor }),
    });
    if (!page.ok) return page;
    tasks.push(...page.value.tasks);
    ({ cursor } = page.value);
    if (cursor === null || tasks.length >= limit) return ok({ tasks, cursor });
  }
}

function moreText(cursor: string | null): string {
  return cursor === null ? "" : "There are more; --limit shows them.\n";
}

const endStates: ReadonlySet<TaskState> = new Set(["done", "dead", "cancelled"]);

/** [CL87] Shows progress or the reason; the progress of an ended task says nothing. */
function progressNote({ state, progress, detail, isCancelAsked }: TaskLine): string {
  const isOver = endStates.has(state);
  const parts = [isCancelAsked && !isOver ? "asked to stop" : "", detail ?? "", isOver ? "" : progressText(progress)];
  return parts.filter((text) => text !== "").join("; ") || "-";
}

/** The list of tasks is useful without the list of chats. */
async function shortChats(link: CoordinatorLink, tasks: readonly TaskLine[]): Promise<(chat: string) => string> {
  if (tasks.every(({ chat }) => chat === null)) return (chat) => chat;
  const chats = await allChats(link);
  return chats.ok ? shortIds(chats.value.map(({ chat }) => chat)) : (chat) => chat;
}

export function progressText(progress: Progress | null): string {
  const { percent, note } = progress ?? {};
  return [percent === undefined ? "" : `${Math.round(percent)} %`, note ?? ""].filter((text) => text !== "").join(" ");
}

export async function listDead(cli: Cli, link: CoordinatorLink, limit: number = defaultLimit): Promise<CommandResult> {
  const tasks = await fetchTasks(link, { state: "dead" }, limit);
  if (!tasks.ok) return tasks;
  const rows = tasks.value.tasks.map((task) => [
    String(task.task),
    task.type,
    task.reason ?? "-",
    `${task.failures}/${task.maxAttempts}`,
    `${age(task.ageMs)} ago`,
    oneLine(task.detail ?? "-", 80),
  ]);
  const head = ["TASK", "TYPE", "REASON", "FAILED", "SUBMITTED", "DETAIL"];
  const text = rows.length === 0 ? "No dead tasks.\n" : table([head, ...rows], cli.io.size().columns);
  return ok({ data: tasks.value, text: text + moreText(tasks.value.cursor) });
}
