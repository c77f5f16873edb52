import type { OutputOf } from "../../../contract/operations.ts";
import { age, oneLine } from "../../../shared/format.ts";
import { progressText } from "../../../shared/progress-text.ts";
import type { Cli, Columns } from "../../cli.ts";
import { linesView, recordView } from "../../views.ts";
import type { Work } from "../../workspace-command.ts";

type Explained = OutputOf<"tasks.explain">;

/** [CL275] First why the task is in its state, then its fields, its parts and its attempts. */
export function showView(task: Explained, cli: Cli, { label }: Pick<Work<"tasks.explain">, "label">): string {
  const blocks = [
    whyView(task, cli, null),
    fieldsView(task, cli, label),
    task.parts.length === 0 ? "" : cli.table(task.parts, partColumns),
    task.attempts.length === 0 ? "No attempt has ended.\n" : cli.table(task.attempts, attemptColumns(label)),
  ];
  return blocks.filter((text) => text !== "").join("\n");
}

const whyView = linesView<Explained>((task) => [...task.why, ...nextCommand(task)]);

function nextCommand({ task, state, reason, result, parts }: Explained): string[] {
  if (state === "dead" && reason !== "discarded")
    return [`\`shim task replay ${task}\` replays it, \`shim task discard ${task} --reason <text>\` discards it.`];
  if (state !== "done") return [];
  const isBranch = typeof result === "object" && result !== null && "branch" in result && result["branch"] !== null;
  if (isBranch) return [`\`shim task diff ${task}\` shows its work, \`shim task merge ${task}\` merges it.`];
  return parts.some(({ branch }) => branch !== null)
    ? [`It has no branch of its own; \`shim task merge ${task}\` merges those of its parts.`]
    : [];
}

const fieldsView = recordView<Explained, (chat: string) => string>((task, _cli, label) => ({
  task: String(task.task),
  type: task.type,
  state: `${task.state}${task.reason === null ? "" : ` (${task.reason})`}${task.isCancelAsked ? ", asked to stop" : ""}`,
  detail: task.detail,
  progress: progressText(task.progress) || null,
  chat: task.chat === null ? null : label(task.chat),
  priority: String(task.priority),
  submitted: `${age(task.ageMs)} ago`,
  schedule: task.schedule,
  due: task.dueInMs === null ? null : `in ${age(task.dueInMs)}`,
  failed: `${task.failures} of ${task.maxAttempts}; stalls ${task.stalls}, chats lost ${task.lostChats}`,
  "depends on": listText(task.dependsOn),
  parent: task.parent === null ? null : String(task.parent),
  capabilities: listText(task.capabilities),
  affinity: task.affinity,
  tags: listText(task.tags),
  payload: jsonText(task.payload),
  checkpoint: jsonText(task.checkpoint),
  result: jsonText(task.result),
}));

function listText(values: readonly (string | number)[]): string | null {
  return values.length === 0 ? null : values.join(", ");
}

function jsonText(value: Explained["payload"]): string | null {
  return value === null ? null : JSON.stringify(value);
}

const partColumns: Columns<Explained["parts"][number]> = {
  PART: ({ ref }) => ref ?? "-",
  TASK: ({ task }) => String(task),
  TYPE: ({ type }) => type,
  STATE: ({ state }) => state,
  BRANCH: ({ branch }) => branch ?? "-",
};

function attemptColumns(label: (chat: string) => string): Columns<Explained["attempts"][number]> {
  return {
    ATTEMPT: ({ attempt }) => String(attempt),
    CHAT: ({ chat }) => (chat === null ? "coordinator" : label(chat)),
    END: ({ end }) => end,
    RAN: ({ ranMs }) => (ranMs === null ? "not started" : age(ranMs)),
    ENDED: ({ endedAgeMs }) => `${age(endedAgeMs)} ago`,
    DETAIL: ({ reason, progress }) => oneLine(reason ?? (progressText(progress) || "-"), 80),
  };
}
