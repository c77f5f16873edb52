import type { OutputOf } from "../../../contract/operations.ts";
import type { Attempt } from "../../../contract/task-views.ts";
import { age } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import type { Cli, Columns, CommandResult } from "../../cli.ts";
import type { CoordinatorLink } from "../../coordinator-link.ts";
import { historyOf } from "./task-facts.ts";
import { oneLine, table } from "../../screen-text.ts";
import { progressText } from "./task-list.ts";

type Task = OutputOf<"tasks.get">;

export async function showTask(cli: Cli, link: CoordinatorLink, task: number): Promise<CommandResult> {
  const response = await link.call("tasks.get", { task });
  if (!response.ok) return response;
  const history = await historyOf(link, task);
  if (!history.ok) return history;
  const { attempts } = history.value;
  const facts = table(toFacts(response.value), cli.io.size().columns);
  const text = `${facts}\n${cli.table(attempts, attemptColumns, "No attempt has ended.\n")}`;
  return ok({ data: { ...response.value, attempts }, text });
}

function toFacts(task: Task): [string, string][] {
  const facts: [string, string | null][] = [
    ["task", String(task.task)],
    ["type", task.type],
    ["state", stateText(task)],
    ["detail", task.detail],
    ["progress", progressText(task.progress) || null],
    ["chat", task.chat],
    ["priority", String(task.priority)],
    ["submitted", `${age(task.ageMs)} ago`],
    ["changes by itself", task.dueInMs === null ? null : `in ${age(task.dueInMs)}`],
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

const attemptColumns: Columns<Attempt> = {
  ATTEMPT: ({ attempt }) => String(attempt),
  CHAT: ({ chat }) => chat ?? "coordinator",
  END: ({ end }) => end,
  RAN: ({ ranMs }) => (ranMs === null ? "not begun" : age(ranMs)),
  ENDED: ({ endedAgeMs }) => `${age(endedAgeMs)} ago`,
  DETAIL: ({ reason, progress }) => oneLine(reason ?? (progressText(progress) || "-"), 80),
};
