import { dirname } from "node:path";
import * as z from "zod";
import { TaskType } from "../../contract/tasks.ts";
import { Label } from "../../contract/values.ts";
import type { WorkerEvent } from "../../runner/worker/attempt.ts";
import { runTasks, TypeSettings } from "../../runner/worker/tasks/task-type.ts";
import type { EndCounts } from "../../runner/worker/worker-automation.ts";
import { age, oneLine } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { formatIssues } from "../../shared/bad-input.ts";
import { ok, type Result } from "../../shared/result.ts";
import { type Answer, wrongUsage, wrongWords } from "../answer.ts";
import type { Cli, CommandResult } from "../cli.ts";
import { eventText, untilAskedToEnd } from "../long-program.ts";
import { readSettings } from "../plan-file.ts";
import type { WorkerInput } from "./worker-input.ts";

const maxEventChars = 400;

function formatEvent(event: WorkerEvent): string {
  return oneLine(describeEvent(event), maxEventChars);
}

function describeEvent(event: WorkerEvent): string {
  if ("task" in event) return `task ${event.task} (${event.taskType}) ${describeTask(event)}`;
  switch (event.type) {
    case "registered":
      return `works as ${event.chat} on ${event.taskTypes.join(", ")}`;
    case "backoff":
    case "waiting":
    case "draining":
      return describePause(event);
    case "problem":
      return `problem: ${event.message}`;
  }
}

function describePause(event: Extract<WorkerEvent, { readonly type: "backoff" | "waiting" | "draining" }>): string {
  if (event.type === "draining") return `takes nothing new (${event.reason}); ${event.running} still running`;
  if (event.type === "waiting")
    return `${event.reason}; takes no task of the type ${event.taskType} for ${age(event.forMs)}`;
  return `${event.failures} attempts failed in a row; taking nothing new for ${seconds(event.forMs)}`;
}

function describeTask(event: Extract<WorkerEvent, { readonly task: number }>): string {
  switch (event.type) {
    case "began":
      return `started${event.isContinued ? " where the previous attempt stopped" : ""}, attempt ${event.attempt}, in ${event.folder}`;
    case "progress":
      return [event.percent === null ? "" : `${event.percent} %`, event.note ?? ""].filter(Boolean).join(" ");
    case "note":
      return event.message;
    case "ended":
      return describeEnd(event);
  }
}

function describeEnd({ end, state, reason, wallMs }: Extract<WorkerEvent, { type: "ended" }>): string {
  const newState = state === null || state === end ? "" : `, now ${state}`;
  return `${end.replace("_", " ")} after ${seconds(wallMs)}${newState}${reason === null ? "" : `: ${reason}`}`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}

export async function runWorker(cli: Cli, input: WorkerInput, isJson: boolean): Promise<CommandResult> {
  const config = readConfig(cli, input);
  if (!config.ok) return config;
  const { once: isOnce, maxTasks = null, config: file } = input;
  for (const [type, { claude }] of Object.entries(config.value.types))
    if (claude?.allowAll)
      cli.progress(`${type}: Claude Code may use every tool and asks for no permission (allowAll).`);
  const ended = await untilAskedToEnd(cli, (signals) =>
    runTasks(cli.context, {
      ...config.value,
      ...signals,
      isOnce,
      maxTasks,
      folder: file === undefined ? cli.io.cwd : dirname(file),
      emit: (event) => cli.io.stdout(eventText(cli, isJson, event, (one) => [formatEvent(one)])),
    }),
  );
  return ended.ok ? ok(toAnswer(ended.value, isOnce || maxTasks !== null)) : ended;
}

/** Options override the file, and defaults come last. */
function readConfig(cli: Cli, input: WorkerInput): Result<WorkerConfig> {
  const { config: file, concurrency, capabilities, drainMs } = input;
  const written = file === undefined ? fromCommand(input) : fromFile(cli, file, input);
  if (!written.ok) return written;
  const config = { ...written.value, ...omitUndefined({ concurrency, capabilities, drainMs }) };
  const parsed = WorkerConfig.safeParse(config);
  return parsed.success ? ok(parsed.data) : wrongUsage(`${formatIssues(parsed.error)}.`);
}

function fromFile(cli: Cli, file: string, { type, command, ...input }: WorkerInput): Result<object> {
  const { folder, repository, base, remote } = input;
  if (command.length > 0 || (type ?? folder ?? repository ?? base ?? remote) !== undefined)
    return wrongUsage("with --config the file names the types, their folders and their commands; give no other.");
  return readSettings(cli, file, WorkerConfig, "settings of a worker");
}

function fromCommand({ type, command, folder, repository, base, remote }: WorkerInput): Result<object> {
  if (type === undefined) return wrongWords("give --config, or --type and its command after --.");
  if (command.length === 0)
    return wrongUsage(`give the command after --: \`shim worker --type ${type.slice(0, 64)} -- npm test\`.`);
  return ok({ types: { [type]: { command, ...omitUndefined({ folder, repository, base, remote }) } } });
}

/** Ends that fail the command, for a worker started for some tasks only. */
const unexpectedEnds = ["failed", "timeout", "budget_exceeded", "lost", "thrown_away", "unreported"] as const;

function toAnswer(ends: EndCounts, isBounded: boolean): Answer {
  const endCounts = Object.entries(ends).map(([end, count]) => `${count} ${end.replace("_", " ")}`);
  return {
    data: { event: "over", ends },
    text: endCounts.length === 0 ? "No task was done.\n" : `Tasks: ${endCounts.join(", ")}.\n`,
    isOneLine: true,
    isFailed: isBounded && unexpectedEnds.some((end) => (ends[end] ?? 0) > 0),
  };
}

/** Settings of a worker: what it does with the tasks of each type. */
const WorkerConfig = z.strictObject({
  concurrency: z.int().min(1).max(100).default(1),
  capabilities: z.array(Label).max(50).default([]),
  drainMs: z.int().min(0).max(86_400_000).default(60_000),
  types: z
    .record(z.string(), TypeSettings)
    .refine((types) => Object.keys(types).every((type) => TaskType.safeParse(type).success), {
      message: "a type of tasks has 1 to 64 letters, digits and . : _ -",
    })
    .refine((types) => Object.keys(types).length > 0, "name a type of tasks")
    .refine((types) => Object.keys(types).length <= 50, "at most 50 types of tasks"),
});
type WorkerConfig = z.infer<typeof WorkerConfig>;
