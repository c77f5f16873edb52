import type { Command } from "commander";
import * as z from "zod";
import { Later } from "../../../contract/machine/forms.ts";
import type { InputOf } from "../../../contract/operations.ts";
import { scheduleOperations, type Schedule } from "../../../contract/schedules.ts";
import { TaskType } from "../../../contract/tasks.ts";
import { age } from "../../../shared/format.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import type { Cli } from "../../cli.ts";
import { linesView, tableView } from "../../views.ts";
import { defineWork } from "../../workspace-command.ts";
import { readTask, taskFields } from "./task-fields.ts";

const { cron, overlap, missed, maxRuns } = scheduleOperations["schedules.create"].input.shape;
const ScheduleFields = z.object({
  cron,
  type: TaskType.describe("type of the task"),
  timeZone: z.string().optional().describe("of the times, such as Europe/Berlin (default: the one of this machine)"),
  name: z.string().optional().describe("name of the schedule (default: the type)"),
  overlap: overlap.unwrap().optional().describe("while its last task has not ended (default: skip)"),
  missed: missed.unwrap().optional().describe("for times that nothing handled (default: once)"),
  endAt: Later.optional().describe("no time after it (30d, 2026-12-24)"),
  maxRuns: maxRuns.describe("end after this many tasks"),
  ...taskFields,
});

export function addCommand(task: Command, cli: Cli): void {
  const schedules = task
    .command("schedules")
    .description("schedules of tasks: add, list, pause, resume, run or delete them");
  defineWork(cli, schedules, "add", {
    operation: "schedules.create",
    fields: ScheduleFields,
    args: ["cron"],
    read: async ({ cron: times, timeZone, name, overlap: policy, missed: late, endAt, maxRuns: max, ...given }) => {
      const found = await readTask(cli, given);
      if (!found.ok) return found;
      const zone = timeZone ?? new Intl.DateTimeFormat().resolvedOptions().timeZone;
      const others = omitUndefined({ overlap: policy, missed: late, endAt, maxRuns: max });
      const input = { name: name ?? given["type"], cron: times, timeZone: zone, task: found.value, ...others };
      return ok(input as InputOf<"schedules.create">);
    },
    view: linesView(({ schedule: { name, type, timeZone }, nextTimes }) => [
      `Schedule ${name} submits a task of type ${type}, in the time of ${timeZone}.`,
      `Next: ${nextTimes.map((at) => zoneTime(at, timeZone)).join(", ")}`,
    ]),
  });
  defineWork(cli, schedules, "list", {
    operation: "schedules.list",
    isDefault: true,
    view: tableView({
      rows: (output) => output.schedules,
      columns: () => ({
        NAME: ({ name }) => name,
        CRON: (one) => one.cron,
        ZONE: ({ timeZone }) => timeZone,
        TYPE: ({ type }) => type,
        NEXT: ({ nextAt, timeZone, state }) => (nextAt === null ? state : zoneTime(nextAt, timeZone)),
        RUNS: (one) => (one.maxRuns === null ? String(one.runs) : `${one.runs}/${one.maxRuns}`),
        LAST: (one) => lastText(one, cli.io.now()),
      }),
      empty: "No schedules.",
    }),
  });
  for (const verb of ["pause", "resume"] as const)
    defineWork(cli, schedules, verb, {
      operation: `schedules.${verb}`,
      args: ["name"],
      view: linesView(({ schedule: { name, state, nextAt, timeZone } }) => [
        `Schedule ${name} is ${state}${nextAt === null ? "" : `; next: ${zoneTime(nextAt, timeZone)} (${timeZone})`}.`,
      ]),
    });
  defineWork(cli, schedules, "run", {
    operation: "schedules.run",
    args: ["name"],
    view: linesView((submitted) => [`Task ${submitted.task} is ${submitted.state}.`]),
  });
  defineWork(cli, schedules, "delete", {
    operation: "schedules.delete",
    args: ["name"],
    isAsked: false,
    view: linesView((_output, _cli, { input: { name } }) => [`Schedule ${name} is deleted; its tasks stay.`]),
  });
}

/** `2026-11-20 03:00`, by the clock of the zone. */
function zoneTime(at: number, timeZone: string): string {
  return new Intl.DateTimeFormat("sv", { timeZone, dateStyle: "short", timeStyle: "short" }).format(at);
}

function lastText({ last, lastTask }: Schedule, now: number): string {
  if (last === null) return "-";
  const detail = last.outcome === "submitted" ? `task ${lastTask}` : last.detail;
  return `${last.outcome} ${age(now - last.at)} ago: ${detail}`;
}
