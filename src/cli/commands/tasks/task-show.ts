import type { Attempt } from "../../../contract/task-views.ts";
import { age, oneLine } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import type { Cli, Columns, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { table } from "../../screen-text.ts";
import { chatLabels } from "../../chat-names.ts";
import { explainTask } from "./explain-task.ts";
import { readFacts, type Task } from "./task-facts.ts";
import { progressText } from "./task-list.ts";

/** [CL275] First why the task is in its state, then its fields and its attempts. */
export async function showTask(cli: Cli, link: Workspace, number: number): Promise<CommandResult> {
  const facts = await readFacts(link, number);
  if (!facts.ok) return facts;
  const { task, ...others } = facts.value;
  const why = explainTask(facts.value, cli.io.now());
  const label = await chatLabels(cli);
  const parts = [
    `${why.join("\n")}\n`,
    table(toFacts(task, label), cli.io.size().columns),
    cli.table(others.attempts, attemptColumns(label), "No attempt has ended.\n"),
  ];
  return ok({ data: { ...task, ...others, why }, text: parts.join("\n") });
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
