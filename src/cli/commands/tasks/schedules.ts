import { type Command, InvalidArgumentError } from "commander";
import { MissedTimes, Overlap, type Schedule } from "../../../contract/schedules.ts";
import { age } from "../../../shared/format.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { countUpTo, enumOption, type Cli, type Columns, type CommandResult, type CommonOptions } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { parseDuration, parseTime } from "../../times.ts";
import { addTaskOptions, readTask, type TaskOptions } from "./task-submit.ts";

interface ScheduleOptions extends TaskOptions {
  readonly type: string;
  readonly tz?: string;
  readonly name?: string;
  readonly overlap?: Schedule["overlap"];
  readonly missed?: Schedule["missed"];
  readonly until?: number;
  readonly maxRuns?: number;
}

export function addSchedules(task: Command, cli: Cli): void {
  const schedules = task
    .command("schedules")
    .description("schedules of tasks: add, list, pause, resume, run or delete them");
  const command = schedules
    .command("add <cron>")
    .description('submit a task again and again, at the times of a cron expression ("0 3 * * *")')
    .requiredOption("--type <type>", "type of the task")
    .option("--tz <zone>", "time zone of the times, such as Europe/Berlin (default: the one of this machine)")
    .option("--name <name>", "name of the schedule (default: the type)")
    .addOption(enumOption("--overlap <policy>", Overlap, ": while its last task has not ended (default: skip)"))
    .addOption(enumOption("--missed <policy>", MissedTimes, ": for times that nothing handled (default: once)"))
    .option("--until <time>", "no time after it (30d, 2026-12-24)", untilOption(cli))
    .option("--max-runs <n>", "end after this many tasks", countUpTo(1_000_000));
  addTaskOptions(command);
  cli.define(command, (options: ScheduleOptions, cron: string) => create(cli, options, cron));
  addList(schedules, cli);
}

function addList(schedules: Command, cli: Cli): void {
  const list = schedules
    .command("list", { isDefault: true })
    .description("all schedules, with next time and last result");
  cli.define(list, () => cli.withWorkspace((link) => listSchedules(cli, link)));
  for (const { verb, description, body } of [
    { verb: "pause", description: "let its times pass without a task", body: pause },
    { verb: "resume", description: "continue with its next time", body: resume },
    { verb: "run", description: "submit its task now", body: runNow },
    { verb: "delete", description: "delete it; its tasks stay", body: remove },
  ]) {
    const command = schedules.command(`${verb} <name>`).description(description);
    cli.define(command, (_options: CommonOptions, name: string) => cli.withWorkspace((link) => body(link, name)));
  }
}

/** A duration from now on, a day (its last moment), or ISO 8601. */
function untilOption(cli: Cli): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text);
    const at = ms === null ? parseTime(text, cli.io.now(), "last") : cli.io.now() + ms;
    if (at === null) throw new InvalidArgumentError("Give a duration (30d, 12h) or a date (2026-12-24).");
    return at;
  };
}

async function create(cli: Cli, options: ScheduleOptions, cron: string): Promise<CommandResult> {
  const { type, name = type, tz, overlap, missed, until, maxRuns } = options;
  const task = await readTask(cli, type, options);
  if (!task.ok) return task;
  const timeZone = tz ?? new Intl.DateTimeFormat().resolvedOptions().timeZone;
  const optional = omitUndefined({ overlap, missed, endAt: until, maxRuns });
  return cli.withWorkspace(async (link) => {
    const done = await link.call("schedules.create", { name, cron, timeZone, task: task.value, ...optional });
    if (!done.ok) return done;
    const times = done.value.nextTimes.map((at) => zoneTime(at, timeZone)).join(", ");
    const text = `Schedule ${name} submits a task of type ${type}, in the time of ${timeZone}.\nNext: ${times}\n`;
    return ok({ data: done.value, text });
  });
}

/** `2026-11-20 03:00`, by the clock of the zone. */
function zoneTime(at: number, timeZone: string): string {
  return new Intl.DateTimeFormat("sv", { timeZone, dateStyle: "short", timeStyle: "short" }).format(at);
}

async function listSchedules(cli: Cli, link: Workspace): Promise<CommandResult> {
  const listed = await link.call("schedules.list", {});
  if (!listed.ok) return listed;
  const text = cli.table(listed.value.schedules, columns(cli.io.now()), `No schedules at ${link.where}.\n`);
  return ok({ data: listed.value, text });
}

function columns(now: number): Columns<Schedule> {
  return {
    NAME: ({ name }) => name,
    CRON: ({ cron }) => cron,
    ZONE: ({ timeZone }) => timeZone,
    TYPE: ({ type }) => type,
    NEXT: ({ nextAt, timeZone, state }) => (nextAt === null ? state : zoneTime(nextAt, timeZone)),
    RUNS: ({ runs, maxRuns }) => (maxRuns === null ? String(runs) : `${runs}/${maxRuns}`),
    LAST: (schedule) => lastText(schedule, now),
  };
}

function lastText({ last, lastTask }: Schedule, now: number): string {
  if (last === null) return "-";
  const detail = last.outcome === "submitted" ? `task ${lastTask}` : last.detail;
  return `${last.outcome} ${age(Math.max(0, now - last.at))} ago: ${detail}`;
}

async function pause(link: Workspace, name: string): Promise<CommandResult> {
  const done = await link.call("schedules.pause", { name });
  return done.ok ? ok({ data: done.value, text: `Schedule ${name} is ${done.value.schedule.state}.\n` }) : done;
}

async function resume(link: Workspace, name: string): Promise<CommandResult> {
  const done = await link.call("schedules.resume", { name });
  if (!done.ok) return done;
  const { nextAt, timeZone, state } = done.value.schedule;
  const next = nextAt === null ? "" : `; next: ${zoneTime(nextAt, timeZone)} (${timeZone})`;
  return ok({ data: done.value, text: `Schedule ${name} is ${state}${next}.\n` });
}

async function runNow(link: Workspace, name: string): Promise<CommandResult> {
  const done = await link.call("schedules.run", { name });
  return done.ok ? ok({ data: done.value, text: `Task ${done.value.task} is ${done.value.state}.\n` }) : done;
}

async function remove(link: Workspace, name: string): Promise<CommandResult> {
  const done = await link.call("schedules.delete", { name });
  return done.ok ? ok({ data: done.value, text: `Schedule ${name} is deleted; its tasks stay.\n` }) : done;
}
