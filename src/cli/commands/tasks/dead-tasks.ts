import type { Command } from "commander";
import * as z from "zod";
import type { InputOf } from "../../../contract/operations.ts";
import { taskViewOperations, type TypeStats } from "../../../contract/task-views.ts";
import { age, pluralize } from "../../../shared/format.ts";
import { ok } from "../../../shared/result.ts";
import { failed, wrongUsage } from "../../answer.ts";
import type { Cli } from "../../cli.ts";
import { linesView, tableView } from "../../views.ts";
import { defineWork } from "../../workspace-command.ts";

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

/** Figures by type, and what can be done with dead tasks. */
export function addCommand(task: Command, cli: Cli): void {
  defineWork(cli, task, "stats", {
    operation: "tasks.stats",
    view: tableView({
      rows: ({ types }) => types,
      columns: () => ({
        TYPE: ({ type }) => type,
        QUEUED: ({ queued }) => String(queued),
        OLDEST: ({ oldestQueuedMs }) => (oldestQueuedMs === null ? "-" : age(oldestQueuedMs)),
        RUNNING: ({ running }) => String(running),
        DONE: ({ done }) => String(done),
        DEAD: ({ dead }) => String(dead),
        "DONE/H": ({ doneLastHour }) => String(doneLastHour),
        "WAIT P50/P95": ({ wait }) => percentiles(wait),
        "RUN P50/P95": ({ run }) => percentiles(run),
      }),
      empty: "No tasks.",
      notes: ({ isAll }) => (isAll ? [] : ["Of the newest 10000 tasks only."]),
    }),
  });
  addReplay(task, cli);
  defineWork(cli, task, "discard", {
    operation: "tasks.discard",
    args: ["task"],
    isAsked: false,
    refuse: ({ state }, input) =>
      state === "dead" ? null : failed("not_dead", `task ${input.task} is ${state}, not dead.`),
    view: linesView((_output, _cli, { input }) => [`Task ${input.task} is discarded.`]),
  });
}

function percentiles(times: TypeStats["wait"]): string {
  return times === null ? "-" : `${age(times.p50Ms)} / ${age(times.p95Ms)}`;
}

function addReplay(task: Command, cli: Cli): void {
  defineWork(cli, task, "replay", {
    operation: "tasks.replay",
    summary: "Starts a dead task again, or all dead ones that match.",
    fields: ReplayFields,
    args: ["task"],
    read: async ({ task: one, payload, ...filter }) => {
      const isFiltered = Object.keys(filter).length > 0;
      if (one !== undefined && isFiltered) return wrongUsage("name a task, or give a filter, not both.");
      if (one === undefined && !isFiltered)
        return wrongUsage("name a dead task, or which ones: --type, --reason, --tag, --limit.");
      if (one === undefined && payload !== undefined) return wrongUsage("--payload is for one task.");
      const input = one === undefined ? { filter } : { task: one, ...(payload === undefined ? {} : { payload }) };
      return ok(input as InputOf<"tasks.replay">);
    },
    run: async ({ link, input, call }) => {
      const replayed = await call();
      if (!replayed.ok || input.task === undefined || replayed.value.tasks.length > 0) return replayed;
      const found = await link.call("tasks.get", { task: input.task });
      return found.ok ? failed("not_replayed", `task ${input.task} was not replayed: ${whyNot(found.value)}.`) : found;
    },
    view: ({ tasks }, _cli, { input }) => {
      if (input.task !== undefined) return `Task ${input.task} was replayed: ${tasks[0]?.state}.\n`;
      if (tasks.length === 0) return "No dead task that can be replayed matches.\n";
      const rows = cli.table(tasks, { TASK: (one) => String(one.task), STATE: ({ state }) => state });
      return `${pluralize(tasks.length, "task")} replayed.\n${rows}`;
    },
  });
}

function whyNot({ state, reason }: { readonly state: string; readonly reason: string | null }): string {
  if (state !== "dead") return `it is ${state}, not dead`;
  return reason === "discarded" ? "it was discarded" : "a task that it depends on is dead; replay that one first";
}
