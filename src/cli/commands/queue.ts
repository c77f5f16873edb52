import type { Command } from "commander";
import type { TypeStats } from "../../contract/task-views.ts";
import type { Json } from "../../contract/values.ts";
import { age } from "../../local-mcp/recovery/brief.ts";
import { ok } from "../../shared/result.ts";
import { withCheckedLink } from "../checked-link.ts";
import { count, type Cli, type Common, type Outcome } from "../cli.ts";
import type { Coordination } from "../coordination.ts";
import { table } from "../screen-text.ts";
import { jsonIn } from "../task-input.ts";
import { listDead } from "./task-list.ts";
import { ofTask } from "./task.ts";

interface QueueOptions extends Common {
  readonly limit?: number;
  readonly payload?: string;
  readonly reason?: string;
}

export function addQueue(program: Command, cli: Cli): void {
  const command = program.command("queue").description("figures of the queue, and what to do with dead tasks");
  const stats = command.command("stats").description("by type: numbers, ages, throughput, times");
  cli.define(stats, () => withCheckedLink(cli, (link) => showStats(cli, link)));
  const dead = command
    .command("dead")
    .description("dead tasks, and why")
    .option("--limit <n>", "at most so many (default: 50)", count);
  cli.define(dead, ({ limit }: QueueOptions) => withCheckedLink(cli, (link) => listDead(cli, link, limit)));
  const replay = command
    .command("replay <task>")
    .description("a dead task begins anew")
    .option("--payload <json>", "in place of the old one");
  cli.define(replay, ({ payload }: QueueOptions, text: string) => replayTask(cli, text, payload));
  const discard = command
    .command("discard <task>")
    .description("give a dead task up for good")
    .requiredOption("--reason <text>", "stands in the task");
  cli.define(discard, ({ reason = "" }: QueueOptions, text: string) =>
    ofTask(cli, text, (link, task) => discardTask(link, task, reason)),
  );
}

async function showStats(cli: Cli, link: Coordination): Promise<Outcome> {
  const found = await link.call("tasks.stats", {});
  if (!found.ok) return found;
  const { types, isAll } = found.value;
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
  return ok({ data: found.value, text: isAll ? text : `${text}Of the newest 10000 tasks only.\n` });
}

function percentiles(times: TypeStats["wait"]): string {
  return times === null ? "-" : `${age(times.p50Ms)} / ${age(times.p95Ms)}`;
}

async function replayTask(cli: Cli, text: string, given: string | undefined): Promise<Outcome> {
  const payload = given === undefined ? null : jsonIn(given, "--payload");
  if (payload && !payload.ok) return payload;
  const input = payload ? { payload: payload.value } : {};
  return ofTask(cli, text, (link, task) => replayIt(link, task, input));
}

async function replayIt(link: Coordination, task: number, input: { readonly payload?: Json }): Promise<Outcome> {
  const done = await link.call("tasks.replay", { task, ...input });
  if (!done.ok) return done;
  const [first] = done.value.tasks;
  if (first) return ok({ data: done.value, text: `Task ${task} begins anew: ${first.state}.\n` });
  const found = await link.call("tasks.get", { task });
  if (!found.ok) return found;
  return ok({ data: done.value, text: `Task ${task} was not replayed: ${whyNot(found.value)}.\n`, isFailed: true });
}

function whyNot({ state, reason }: { readonly state: string; readonly reason: string | null }): string {
  if (state !== "dead") return `it is ${state}, not dead`;
  return reason === "discarded" ? "it is discarded" : "one that it depends on is dead; replay that one first";
}

async function discardTask(link: Coordination, task: number, reason: string): Promise<Outcome> {
  const done = await link.call("tasks.discard", { task, reason });
  if (!done.ok) return done;
  return done.value.state === "dead"
    ? ok({ data: done.value, text: `Task ${task} is discarded.\n` })
    : ok({ data: done.value, text: `Task ${task} is ${done.value.state}, not dead.\n`, isFailed: true });
}
