import type { Command } from "commander";
import type { OutputOf } from "../../../contract/operations.ts";
import { TaskState } from "../../../contract/tasks.ts";
import type { TaskLine } from "../../../contract/task-views.ts";
import { age, oneLine } from "../../../shared/format.ts";
import { progressText } from "../../../shared/progress-text.ts";
import { failed } from "../../answer.ts";
import { chatLabels, findChat } from "../../chat-names.ts";
import type { Cli, Columns } from "../../cli.ts";
import { linesView, tableView, treeLines } from "../../views.ts";
import { defineWork } from "../../workspace-command.ts";
import { showView } from "./show.ts";

/** Adds the commands that every queue has. */
export function addCommand(task: Command, cli: Cli): void {
  addList(task, cli);
  defineWork(cli, task, "show", {
    operation: "tasks.explain",
    args: ["task"],
    isLabelled: true,
    view: showView,
  });
  addTree(task, cli);
  defineWork(cli, task, "cancel", {
    operation: "tasks.cancel",
    args: ["task"],
    isAsked: false,
    refuse: ({ state }, input) =>
      state === "cancelled" || state === "running"
        ? null
        : failed("has_ended", `task ${input.task} is ${state}; a task that has ended cannot be cancelled.`),
    view: linesView(({ state }, _cli, { input }) => [
      `Task ${input.task} is ${state === "running" ? "running; its chat is asked to stop" : state}.`,
    ]),
  });
}

function addList(task: Command, cli: Cli): void {
  defineWork(cli, task, "list", {
    operation: "tasks.list",
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
        columns: ({ tasks }) => ({ ...firstColumns(tasks), ...(isDead ? deadColumns : taskColumns(label)) }),
        empty: isDead ? "No dead tasks." : `No tasks at ${link.where}.`,
      })(output, cli, input);
    },
  });
}

/** The schedule, where any of the tasks has one. */
function firstColumns(tasks: readonly TaskLine[]): Columns<TaskLine> {
  const number: Columns<TaskLine> = { TASK: ({ task }) => String(task) };
  const isAny = tasks.some(({ schedule }) => schedule !== null);
  return isAny ? { ...number, SCHEDULE: ({ schedule }) => schedule ?? "-" } : number;
}

function taskColumns(label: (chat: string) => string): Columns<TaskLine> {
  return {
    STATE: ({ state }) => state,
    TYPE: ({ type }) => type,
    PRIORITY: ({ priority }) => String(priority),
    CHAT: ({ chat }) => (chat === null ? "-" : label(chat)),
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

/** [CL87] Progress or the reason; the progress of an ended task says nothing. */
function progressNote({ state, progress, detail, isCancelAsked }: TaskLine): string {
  const isOver = endStates.has(state);
  const parts = [isCancelAsked && !isOver ? "asked to stop" : "", detail ?? "", isOver ? "" : progressText(progress)];
  return parts.filter((text) => text !== "").join("; ") || "-";
}

const maxTreeTasks = 1_000;

/** [CL107] */
function addTree(task: Command, cli: Cli): void {
  defineWork(cli, task, "tree", {
    operation: "tasks.tree",
    args: ["task"],
    fixed: { limit: maxTreeTasks },
    view: ({ roots, tasks, isMore }, _cli, { link }) => {
      if (roots.length === 0) return `No task is open at ${link.where}.\n`;
      const byNumber = new Map(tasks.map((one) => [one.task, one]));
      const parts = Map.groupBy(tasks, ({ parent }) => parent);
      const lines = treeLines(roots, {
        below: (one) => {
          const inner = [...(byNumber.get(one)?.dependsOn ?? []), ...(parts.get(one) ?? []).map((part) => part.task)];
          return [...new Set(inner)].toSorted((a, b) => a - b);
        },
        text: (one) => {
          const node = byNumber.get(one);
          if (!node) return `${one} ${isMore ? "left out" : "no longer kept"}`;
          return `${one} ${node.type}${node.ref === null ? "" : ` (${oneLine(node.ref, 60)})`}: ${node.state}`;
        },
      });
      const more = isMore ? [`There are more than ${maxTreeTasks} tasks; the rest is left out.`] : [];
      return [...lines, ...more].map((line) => `${line}\n`).join("");
    },
  });
}
