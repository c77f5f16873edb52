import type { Command } from "commander";
import * as z from "zod";
import type { InputOf, OutputOf } from "../../contract/operations.ts";
import { type TaskLine, taskViewOperations } from "../../contract/task-views.ts";
import { TaskState, WorkResult } from "../../contract/tasks.ts";
import { age, pluralize, progressText } from "../../shared/format.ts";
import { ok, fail } from "../../shared/result.ts";
import { recordLines, textOf, type Shown, type Columns, wrongWords } from "../answer.ts";
import { tableView } from "../view.ts";
import { addGroup, type Cli } from "../cli.ts";
import { type Work, chatLabels, define, findChat } from "../operation-command.ts";
import { addEstimate, addSubmit } from "./task-submit.ts";
import { addWatch } from "./task-watch.ts";
import { taskOperations } from "../../contract/tasks.ts";

export function addCommand(program: Command, cli: Cli): void {
  const task = addGroup(program, "task", "tasks: submit them, see how far they are");
  addSubmit(task, cli);
  addEstimate(task, cli);
  addList(task, cli);
  define(cli, task, "show", {
    operation: "tasks.explain",
    of: taskViewOperations,
    args: ["task"],
    isLabelled: true,
    view: showView,
  });
  define(cli, task, "cancel", {
    operation: "tasks.cancel",
    of: taskOperations,
    args: ["task"],
    question: false,
    refuse: ({ state }, input) =>
      state === "cancelled" || state === "running"
        ? null
        : fail("has_ended", `task ${input.task} is ${state}; a task that has ended cannot be cancelled.`),
    view: ({ state }, _cli, { input }) => [
      `Task ${input.task} is ${state === "running" ? "running; its chat is asked to stop" : state}.`,
    ],
  });
  addWatch(task, cli);
  addDead(task, cli);
}

function addList(task: Command, cli: Cli): void {
  define(cli, task, "list", {
    operation: "tasks.list",
    of: taskViewOperations,
    usualLimit: 50,
    run: async ({ input, call }) => {
      if (input.chat === undefined) return call();
      const chat = await findChat(cli, input.chat);
      return chat.ok ? call({ chat: chat.value }) : chat;
    },
    view: async (output, _cli, { input, link }) => {
      const isAnyHeld = output.tasks.some(({ chat }) => chat !== null);
      const label = isAnyHeld ? await chatLabels(cli) : (chat: string) => chat;
      const isDead = input.state === "dead";
      return tableView<OutputOf<"tasks.list">, TaskLine>({
        rows: ({ tasks }) => tasks,
        columns: () => ({ TASK: "task", ...(isDead ? deadColumns : taskColumns(label)) }),
        empty: emptyText(input, link.where),
      })(output, cli, input);
    },
  });
}

/** Tasks that the filters leave out are there nevertheless. */
function emptyText({ limit: _limit, ...filters }: InputOf<"tasks.list">, where: string): string {
  const [filter, ...others] = Object.entries(filters).filter(([, value]) => value !== undefined);
  if (filter === undefined) return `No tasks at ${where}.`;
  return filters.state === "dead" && others.length === 0 ? "No dead tasks." : "No task fits.";
}

function taskColumns(label: (chat: string) => string): Columns<TaskLine> {
  return {
    STATE: "state",
    TYPE: "type",
    ABOUT: "about",
    PRIORITY: "priority",
    CHAT: ({ chat }) => chat && label(chat),
    FAILED: ({ failures, maxAttempts }) => `${failures}/${maxAttempts}`,
    SUBMITTED: "ageMs",
    PROGRESS: progressNote,
  };
}

const deadColumns: Columns<TaskLine> = {
  TYPE: "type",
  ABOUT: "about",
  REASON: "reason",
  FAILED: ({ failures, maxAttempts }) => `${failures}/${maxAttempts}`,
  SUBMITTED: "ageMs",
  DETAIL: "detail",
};

const endStates: ReadonlySet<TaskState> = new Set(["done", "dead", "cancelled"]);

/** Progress or the reason; the progress of an ended task says nothing. */
function progressNote({ state, progress, detail, isCancelAsked }: TaskLine): string {
  const isOver = endStates.has(state);
  const parts = [isCancelAsked && !isOver ? "asked to stop" : "", detail ?? "", isOver ? "" : progressText(progress)];
  return parts.filter((text) => text !== "").join("; ") || "-";
}

type Explained = OutputOf<"tasks.explain">;

/** First why the task is in its state, then its fields, its parts and its attempts. */
function showView(task: Explained, cli: Cli, { label }: Pick<Work<"tasks.explain">, "label">): string {
  const blocks: readonly Shown[] = [
    [...task.why, ...nextCommand(task)],
    recordLines(fieldsOf(task, label)),
    task.parts.length === 0 ? "" : cli.table(task.parts, partColumns),
    task.attempts.length === 0 ? "No attempt has ended.\n" : cli.table(task.attempts, attemptColumns(label)),
  ];
  return blocks
    .map(textOf)
    .filter((text) => text !== "")
    .join("\n");
}

function nextCommand({ task, state, reason, result, parts }: Explained): string[] {
  if (state === "dead" && reason !== "discarded")
    return [`\`shim task replay ${task}\` replays it, \`shim task discard ${task} --reason <text>\` discards it.`];
  if (state !== "done") return [];
  const { branch, base } = WorkResult.safeParse(result).data ?? {};
  // A worker names it: what a shell would read is no part of a command.
  if (branch && /^[\w./-]+$/.test(branch)) {
    const commits = base === undefined ? `HEAD...${branch}` : `${base.slice(0, 12)} ${branch}`;
    return [`\`git diff ${commits}\` shows its work, \`git merge ${branch}\` takes it.`];
  }
  return parts.some(({ branch }) => branch !== null)
    ? ["It has no branch of its own; `git merge <branch>` takes that of a part."]
    : [];
}

function fieldsOf(task: Explained, label: (chat: string) => string): Readonly<Record<string, string | null>> {
  return {
    task: String(task.task),
    type: task.type,
    state: `${task.state}${task.reason === null ? "" : ` (${task.reason})`}${task.isCancelAsked ? ", asked to stop" : ""}`,
    detail: task.detail,
    progress: progressText(task.progress) || null,
    chat: task.chat === null ? null : label(task.chat),
    priority: String(task.priority),
    submitted: `${age(task.ageMs)} ago`,
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
  };
}

function listText(values: readonly (string | number)[]): string | null {
  return values.length === 0 ? null : values.join(", ");
}

function jsonText(value: Explained["payload"]): string | null {
  return value === null ? null : JSON.stringify(value);
}

const partColumns: Columns<Explained["parts"][number]> = {
  PART: "ref",
  TASK: "task",
  TYPE: ({ type }) => type,
  STATE: "state",
  BRANCH: ({ branch }) => branch,
};

function attemptColumns(label: (chat: string) => string): Columns<Explained["attempts"][number]> {
  return {
    ATTEMPT: "attempt",
    CHAT: ({ chat }) => (chat === null ? "coordinator" : label(chat)),
    END: "end",
    RAN: ({ ranMs }) => (ranMs === null ? "not started" : age(ranMs)),
    ENDED: "endedAgeMs",
    DETAIL: ({ reason, progress }) => reason ?? (progressText(progress) || null),
  };
}

const { shape: replayShape } = taskViewOperations["tasks.replay"].input;
const filterShape = replayShape.filter.unwrap().shape;
const ReplayFields = z.object({
  task: replayShape.task,
  payload: replayShape.payload.describe("for one task: replaces its payload"),
  type: filterShape.type.describe("those of this type"),
  reason: filterShape.reason.describe("those that died for this reason"),
  tag: filterShape.tag.describe("those with this tag"),
  limit: filterShape.limit.unwrap().optional().describe("at most this many, the lowest numbers first (default: 100)"),
});

/** Commands for dead tasks. */
function addDead(task: Command, cli: Cli): void {
  addReplay(task, cli);
  define(cli, task, "discard", {
    operation: "tasks.discard",
    of: taskViewOperations,
    args: ["task"],
    question: false,
    refuse: ({ state }, input) =>
      state === "dead" ? null : fail("not_dead", `task ${input.task} is ${state}, not dead.`),
    view: (_output, _cli, { input }) => [`Task ${input.task} is discarded.`],
  });
}

function addReplay(task: Command, cli: Cli): void {
  define(cli, task, "replay", {
    operation: "tasks.replay",
    of: taskViewOperations,
    summary: "Starts a dead task again, or all dead ones that match.",
    fields: ReplayFields,
    args: ["task"],
    read: async ({ task: one, payload, ...filter }) => {
      const isFiltered = Object.keys(filter).length > 0;
      if (one !== undefined && isFiltered) return wrongWords("name a task, or give a filter, not both.");
      if (one === undefined && !isFiltered)
        return wrongWords("name a dead task, or which ones: --type, --reason, --tag, --limit.");
      if (one === undefined && payload !== undefined) return wrongWords("--payload is for one task.");
      const input = one === undefined ? { filter } : { task: one, ...(payload === undefined ? {} : { payload }) };
      return ok(input as InputOf<"tasks.replay">);
    },
    run: async ({ link, input, call }) => {
      const replayed = await call();
      if (!replayed.ok || input.task === undefined || replayed.value.tasks.length > 0) return replayed;
      const found = await link.call("tasks.get", { task: input.task });
      return found.ok ? fail("not_replayed", `task ${input.task} was not replayed: ${whyNot(found.value)}.`) : found;
    },
    view: ({ tasks }, _cli, { input }) => {
      if (input.task !== undefined) return `Task ${input.task} was replayed: ${tasks[0]?.state}.\n`;
      if (tasks.length === 0) return "No dead task that can be replayed matches.\n";
      const rows = cli.table(tasks, { TASK: "task", STATE: "state" });
      return `${pluralize(tasks.length, "task")} replayed.\n${rows}`;
    },
  });
}

function whyNot({ state, reason }: { readonly state: string; readonly reason: string | null }): string {
  if (state !== "dead") return `it is ${state}, not dead`;
  return reason === "discarded" ? "it was discarded" : "a task that it depends on is dead; replay that one first";
}
