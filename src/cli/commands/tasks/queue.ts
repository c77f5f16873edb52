import type { Command } from "commander";
import type { InputOf } from "../../../contract/operations.ts";
import type { TypeStats } from "../../../contract/task-views.ts";
import type { Json } from "../../../contract/values.ts";
import { age } from "../../../shared/format.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { wrongUsage } from "../../answer.ts";
import { withCheckedLink } from "../../checked-link.ts";
import { countUpTo, limitOption, type Cli, type CommonOptions, type CommandResult } from "../../cli.ts";
import type { CoordinatorLink } from "../../coordinator-link.ts";
import { pluralize, table } from "../../screen-text.ts";
import { parseJson } from "../../task-input.ts";
import { listDead } from "./task-list.ts";
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

export function addQueue(program: Command, cli: Cli): void {
  const command = program.command("queue").description("figures of the queue, and what to do with dead tasks");
  const stats = command.command("stats").description("by type: numbers, ages, throughput, times");
  cli.define(stats, () => withCheckedLink(cli, (link) => showStats(cli, link)));
  const dead = command.command("dead").description("dead tasks, and why").addOption(limitOption(50));
  cli.define(dead, ({ limit }: QueueOptions) => withCheckedLink(cli, (link) => listDead(cli, link, limit)));
  addReplay(command, cli);
  const discard = command
    .command("discard <task>")
    .description("give a dead task up for good")
    .requiredOption("--reason <text>", "stands in the task");
  cli.define(discard, ({ reason = "" }: QueueOptions, text: string) =>
    withTask(cli, text, (link, task) => discardTask(link, task, reason)),
  );
}

async function showStats(cli: Cli, link: CoordinatorLink): Promise<CommandResult> {
  const stats = await link.call("tasks.stats", {});
  if (!stats.ok) return stats;
  const { types, isAll } = stats.value;
  const rows = types.map((one) => [
    one.type,
    String(one.queued),
    one.oldestQueuedMs === null ? "-" : age(one.oldestQueuedMs),
    String(one.running),
    String(one.done),
    String(one.dead),
    String(one.doneLastHour),
    percentiles(one.wait),
    percentiles(one.run),
  ]);
  const head = ["TYPE", "QUEUED", "OLDEST", "RUNNING", "DONE", "DEAD", "DONE/H", "WAIT P50/P95", "RUN P50/P95"];
  const text = rows.length === 0 ? `No tasks at ${link.where}.\n` : table([head, ...rows], cli.io.size().columns);
  return ok({ data: stats.value, text: isAll ? text : `${text}Of the newest 10000 tasks only.\n` });
}

function percentiles(times: TypeStats["wait"]): string {
  return times === null ? "-" : `${age(times.p50Ms)} / ${age(times.p95Ms)}`;
}

function addReplay(queue: Command, cli: Cli): void {
  const command = queue
    .command("replay [task]")
    .description("a dead task begins anew, or all dead ones that fit")
    .option("--payload <json>", "of one task: in place of the old one")
    .option("--type <type>", "those of this type")
    .option("--reason <reason>", "those that died of this: failed, poison, expired, dependency or budget_exceeded")
    .option("--tag <tag>", "those with this tag")
    .option("--limit <n>", "at most so many, the lowest numbers first (default: 100)", countUpTo(500));
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
  return withCheckedLink(cli, (link) => replayMatching(cli, link, filter as ReplayFilter));
}

async function replayMatching(cli: Cli, link: CoordinatorLink, filter: ReplayFilter): Promise<CommandResult> {
  const replayed = await link.call("tasks.replay", { filter });
  if (!replayed.ok) return replayed;
  const { tasks } = replayed.value;
  if (tasks.length === 0) return ok({ data: replayed.value, text: "No dead task that can begin anew fits.\n" });
  const rows = tasks.map(({ task, state }) => [String(task), state]);
  const text = `${pluralize(tasks.length, "task")} ${tasks.length === 1 ? "begins" : "begin"} anew.\n`;
  return ok({ data: replayed.value, text: text + table([["TASK", "STATE"], ...rows], cli.io.size().columns) });
}

async function replayTask(cli: Cli, text: string, written: string | undefined): Promise<CommandResult> {
  const payload = written === undefined ? null : parseJson(written, "--payload");
  if (payload && !payload.ok) return payload;
  const input = payload ? { payload: payload.value } : {};
  return withTask(cli, text, (link, task) => replayOne(link, task, input));
}

async function replayOne(
  link: CoordinatorLink,
  task: number,
  input: { readonly payload?: Json },
): Promise<CommandResult> {
  const replayed = await link.call("tasks.replay", { task, ...input });
  if (!replayed.ok) return replayed;
  const [first] = replayed.value.tasks;
  if (first) return ok({ data: replayed.value, text: `Task ${task} begins anew: ${first.state}.\n` });
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
  return reason === "discarded" ? "it is discarded" : "one that it depends on is dead; replay that one first";
}

async function discardTask(link: CoordinatorLink, task: number, reason: string): Promise<CommandResult> {
  const discarded = await link.call("tasks.discard", { task, reason });
  if (!discarded.ok) return discarded;
  return discarded.value.state === "dead"
    ? ok({ data: discarded.value, text: `Task ${task} is discarded.\n` })
    : ok({ data: discarded.value, text: `Task ${task} is ${discarded.value.state}, not dead.\n`, isFailed: true });
}
