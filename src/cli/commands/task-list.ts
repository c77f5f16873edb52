import { TaskState, type Progress } from "../../contract/tasks.ts";
import type { InputOf, OutputOf } from "../../contract/operations.ts";
import type { TaskLine } from "../../contract/task-views.ts";
import { age } from "../../local-mcp/recovery/brief.ts";
import { ok, type Result } from "../../shared/result.ts";
import { wrongUsage, type Refused } from "../answer.ts";
import type { Cli, Common, Outcome } from "../cli.ts";
import type { Coordination } from "../coordination.ts";
import { oneLine, table } from "../screen-text.ts";

export interface ListOptions extends Common {
  readonly state?: string;
  readonly type?: string;
  readonly chat?: string;
  readonly tag?: string;
  readonly parent?: number;
  readonly limit?: number;
}

type Filter = Omit<InputOf<"tasks.list">, "limit" | "cursor">;

export async function listTasks(cli: Cli, link: Coordination, options: ListOptions): Promise<Outcome> {
  const { state } = options;
  const wanted = TaskState.optional().safeParse(state);
  if (!wanted.success) {
    return wrongUsage(`"${state?.slice(0, 60)}" is no state: ${TaskState.options.join(", ")}.`);
  }
  const listed = await pages(link, filterOf(options, wanted.data), options.limit ?? usualLimit);
  if (!listed.ok) return listed;
  const rows = listed.value.tasks.map((task) => [
    String(task.task),
    task.state,
    task.type,
    String(task.priority),
    task.chat ?? "-",
    `${task.failures}/${task.maxAttempts}`,
    `${age(task.ageMs)} ago`,
    oneLine(newsOf(task), 60),
  ]);
  const head = ["TASK", "STATE", "TYPE", "PRIORITY", "CHAT", "FAILED", "SUBMITTED", "PROGRESS"];
  const text = rows.length === 0 ? `No tasks at ${link.where}.\n` : table([head, ...rows], cli.io.size().columns);
  return ok({ data: listed.value, text: text + rest(listed.value.cursor) });
}

function filterOf({ type, chat, tag, parent }: ListOptions, state: TaskState | undefined): Filter {
  return {
    ...(state === undefined ? {} : { state }),
    ...(type === undefined ? {} : { type }),
    ...(chat === undefined ? {} : { chat }),
    ...(tag === undefined ? {} : { tag }),
    ...(parent === undefined ? {} : { parent }),
  };
}

const usualLimit = 50;
const mostInPage = 200;

/** A page may be short, or empty, and still not the last one. */
async function pages(
  link: Coordination,
  filter: Filter,
  limit: number,
): Promise<Result<OutputOf<"tasks.list">, Refused["error"]>> {
  const tasks: TaskLine[] = [];
  for (let cursor: string | null = ""; ;) {
    const page: Result<OutputOf<"tasks.list">, Refused["error"]> = await link.call("tasks.list", {
      ...filter,
      limit: Math.min(limit - tasks.length, mostInPage),
      ...(cursor === "" ? {} : { cursor }),
    });
    if (!page.ok) return page;
    tasks.push(...page.value.tasks);
    ({ cursor } = page.value);
    if (cursor === null || tasks.length >= limit) return ok({ tasks, cursor });
  }
}

/** What is not shown is said. */
function rest(cursor: string | null): string {
  return cursor === null ? "" : "There are more; --limit shows them.\n";
}

/** How far it is, or why it is not. */
function newsOf({ progress, detail, isCancelAsked }: TaskLine): string {
  const told = [isCancelAsked ? "told to stop" : "", detail ?? "", progressText(progress)];
  return told.filter((text) => text !== "").join("; ") || "-";
}

export function progressText(progress: Progress | null): string {
  const { percent, note } = progress ?? {};
  return [percent === undefined ? "" : `${Math.round(percent)} %`, note ?? ""].filter((text) => text !== "").join(" ");
}

export async function listDead(cli: Cli, link: Coordination, limit: number = usualLimit): Promise<Outcome> {
  const listed = await pages(link, { state: "dead" }, limit);
  if (!listed.ok) return listed;
  const rows = listed.value.tasks.map((task) => [
    String(task.task),
    task.type,
    task.reason ?? "-",
    `${task.failures}/${task.maxAttempts}`,
    `${age(task.ageMs)} ago`,
    oneLine(task.detail ?? "-", 80),
  ]);
  const head = ["TASK", "TYPE", "REASON", "FAILED", "SUBMITTED", "DETAIL"];
  const text = rows.length === 0 ? "No dead tasks.\n" : table([head, ...rows], cli.io.size().columns);
  return ok({ data: listed.value, text: text + rest(listed.value.cursor) });
}
