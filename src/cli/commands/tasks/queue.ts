import type { Command } from "commander";
import type { InputOf } from "../../../contract/operations.ts";
import type { TypeStats } from "../../../contract/task-views.ts";
import type { Json } from "../../../contract/json.ts";
import { age, pluralize } from "../../../shared/format.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { wrongUsage } from "../../answer.ts";
import { countUpTo, type Cli, type Columns, type CommonOptions, type CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { parseJson } from "../../task-input.ts";
import { withTask } from "./task.ts";

interface QueueOptions extends CommonOptions {
  readonly limit?: number;
  readonly payload?: string;
  readonly reason?: string;
}

interface ReplayOptions extends QueueOptions {
  readonly type?: string;
  readonly tag?: string;
}

type ReplayFilter = NonNullable<InputOf<"tasks.replay">["filter"]>;

export function addQueue(task: Command, cli: Cli): void {
  const stats = task.command("stats").description("by type: numbers, ages, throughput, times");
  cli.define(stats, () => cli.withWorkspace((link) => showStats(cli, link)));
  addReplay(task, cli);
  const discard = task
    .command("discard <task>")
    .description("give up a dead task for good")
    .requiredOption("--reason <text>", "stored in the task");
  cli.define(discard, ({ reason = "" }: QueueOptions, text: string) =>
    withTask(cli, text, (link, task) => discardTask(link, task, reason)),
  );
}

async function showStats(cli: Cli, link: Workspace): Promise<CommandResult> {
  const stats = await link.call("tasks.stats", {});
  if (!stats.ok) return stats;
  const { types, isAll } = stats.value;
  const text = cli.table(types, statsColumns, `No tasks at ${link.where}.\n`);
  return ok({ data: stats.value, text: isAll ? text : `${text}Of the newest 10000 tasks only.\n` });
}

const statsColumns: Columns<TypeStats> = {
  TYPE: ({ type }) => type,
  QUEUED: ({ queued }) => String(queued),
  OLDEST: ({ oldestQueuedMs }) => (oldestQueuedMs === null ? "-" : age(oldestQueuedMs)),
  RUNNING: ({ running }) => String(running),
  DONE: ({ done }) => String(done),
  DEAD: ({ dead }) => String(dead),
  "DONE/H": ({ doneLastHour }) => String(doneLastHour),
  "WAIT P50/P95": ({ wait }) => percentiles(wait),
  "RUN P50/P95": ({ run }) => percentiles(run),
};

function percentiles(times: TypeStats["wait"]): string {
  return times === null ? "-" : `${age(times.p50Ms)} / ${age(times.p95Ms)}`;
}

function addReplay(task: Command, cli: Cli): void {
  const command = task
    .command("replay [task]")
    .description("start a dead task again, or all dead ones that match")
    .option("--payload <json>", "for one task: replaces its payload")
    .option("--type <type>", "those of this type")
    .option(
      "--reason <reason>",
      "those that died for this reason: failed, poison, expired, dependency or budget_exceeded",
    )
    .option("--tag <tag>", "those with this tag")
    .option("--limit <n>", "at most this many, the lowest numbers first (default: 100)", countUpTo(500));
  cli.define(command, (options: ReplayOptions, text?: string) => replay(cli, options, text));
}

function replay(cli: Cli, { payload, type, reason, tag, limit }: ReplayOptions, text?: string): Promise<CommandResult> {
  const filter = omitUndefined({ type, reason, tag, limit });
  const isFiltered = Object.keys(filter).length > 0;
  if (text !== undefined) {
    if (!isFiltered) return replayTask(cli, text, payload);
    return Promise.resolve(wrongUsage("name a task, or give a filter, not both."));
  }
  if (!isFiltered)
    return Promise.resolve(wrongUsage("name a dead task, or which ones: --type, --reason, --tag, --limit."));
  if (payload !== undefined) return Promise.resolve(wrongUsage("--payload is for one task."));
  return cli.withWorkspace((link) => replayMatching(cli, link, filter as ReplayFilter));
}

async function replayMatching(cli: Cli, link: Workspace, filter: ReplayFilter): Promise<CommandResult> {
  const replayed = await link.call("tasks.replay", { filter });
  if (!replayed.ok) return replayed;
  const { tasks } = replayed.value;
  if (tasks.length === 0) return ok({ data: replayed.value, text: "No dead task that can be replayed matches.\n" });
  const rows = cli.table(tasks, { TASK: ({ task }) => String(task), STATE: ({ state }) => state });
  const text = `${pluralize(tasks.length, "task")} replayed.\n`;
  return ok({ data: replayed.value, text: text + rows });
}

async function replayTask(cli: Cli, text: string, written: string | undefined): Promise<CommandResult> {
  const payload = written === undefined ? null : parseJson(written, "--payload");
  if (payload && !payload.ok) return payload;
  const input = payload ? { payload: payload.value } : {};
  return withTask(cli, text, (link, task) => replayOne(link, task, input));
}

async function replayOne(link: Workspace, task: number, input: { readonly payload?: Json }): Promise<CommandResult> {
  const replayed = await link.call("tasks.replay", { task, ...input });
  if (!replayed.ok) return replayed;
  const [first] = replayed.value.tasks;
  if (first) return ok({ data: replayed.value, text: `Task ${task} was replayed: ${first.state}.\n` });
  const found = await link.call("tasks.get", { task });
  if (!found.ok) return found;
  return ok({
    data: replayed.value,
    text: `Task ${task} was not replayed: ${notReplayedText(found.value)}.\n`,
    isFailed: true,
  });
}

function notReplayedText({ state, reason }: { readonly state: string; readonly reason: string | null }): string {
  if (state !== "dead") return `it is ${state}, not dead`;
  return reason === "discarded" ? "it was discarded" : "a task that it depends on is dead; replay that one first";
}

async function discardTask(link: Workspace, task: number, reason: string): Promise<CommandResult> {
  const discarded = await link.call("tasks.discard", { task, reason });
  if (!discarded.ok) return discarded;
  return discarded.value.state === "dead"
    ? ok({ data: discarded.value, text: `Task ${task} is discarded.\n` })
    : ok({ data: discarded.value, text: `Task ${task} is ${discarded.value.state}, not dead.\n`, isFailed: true });
}
