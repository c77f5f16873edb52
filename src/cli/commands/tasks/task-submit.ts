import { Option, type Command } from "commander";
import type { InputOf, OutputOf } from "../../../contract/operations.ts";
import { defaultMaxBodyBytes } from "../../../contract/protocol.ts";
import type { Json } from "../../../contract/json.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import {
  digitOption,
  durationOption,
  parseJson,
  readJsonFile,
  readJsonInput,
  taskListOption,
  textListOption,
} from "../../task-input.ts";
import { taskOperations } from "../../../contract/tasks.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";

type ScheduledTask = InputOf<"schedules.create">["task"];
type NewTask = InputOf<"tasks.submit">["tasks"][number];
type SubmittedTask = OutputOf<"tasks.submit">["tasks"][number];

/** Options of a single task, also of one that a schedule submits. */
export interface TaskOptions extends CommonOptions {
  readonly payload?: string;
  readonly payloadFile?: string;
  readonly priority?: number;
  readonly capability?: readonly string[];
  readonly delay?: number;
  readonly tag?: readonly string[];
}

interface SubmitOptions extends TaskOptions {
  readonly graph?: string;
  readonly dependsOn?: readonly number[];
  readonly key?: string;
  readonly estimate?: boolean;
  readonly model?: string;
}

const singleTaskOptions = [
  "payload",
  "payloadFile",
  "priority",
  "capability",
  "delay",
  "dependsOn",
  "key",
  "tag",
  "estimate",
];

export function addSubmit(task: Command, cli: Cli): void {
  const command = task
    .command("submit [type] [-]")
    .description("submit a task (-: payload from stdin), or a graph of tasks")
    .addOption(
      new Option("--graph <file>", "a list of tasks in YAML or JSON, with ref and dependsOn").conflicts(
        singleTaskOptions,
      ),
    );
  addTaskOptions(command)
    .option("--depends-on <tasks...>", "start only after these are done", taskListOption)
    .option("--key <key>", "a task with the same key is submitted only once")
    .option("--estimate", "submit nothing; print the tokens, the price and the complexity of the payload")
    .option("--model <id>", "with --estimate: the model that reads it");
  cli.define(command, (options: SubmitOptions, type?: string, dash?: string) => submit(cli, options, type, dash));
}

export function addTaskOptions(command: Command): Command {
  return command
    .option("--payload <json>", "what the task is about")
    .option("--payload-file <file>", "the same, from a file (-: from stdin)")
    .option("--priority <n>", "0 to 9; 9 goes first (default: 5)", digitOption(0, 9))
    .option("--capability <names...>", "only a chat that has them all takes it", textListOption)
    .option("--delay <duration>", "start no sooner than after this time (30s, 15m, 2h)", durationOption)
    .option("--tag <tags...>", "to find it by", textListOption);
}

async function submit(cli: Cli, options: SubmitOptions, type?: string, dash?: string): Promise<CommandResult> {
  const { graph } = options;
  if (graph !== undefined) {
    if (type !== undefined) return wrongUsage("with --graph the file names the types; give no other.");
    return submitGraph(cli, graph);
  }
  if (type === undefined) return wrongUsage("name a type (`shim task submit build`), or a --graph.");
  if (dash !== undefined && dash !== "-") return wrongUsage(`only - may follow the type, not "${dash.slice(0, 60)}".`);
  const read = await readTask(cli, type, options, dash);
  return read.ok ? submitTask(cli, options, read.value) : read;
}

async function submitTask(cli: Cli, options: SubmitOptions, given: ScheduledTask): Promise<CommandResult> {
  const { estimate = false, model, dependsOn, key } = options;
  if (model !== undefined && !estimate)
    return wrongUsage("--model is for --estimate: a worker's settings name its model.");
  if (estimate) {
    const { estimateTask } = await import("./task-estimate.ts");
    return estimateTask(cli, given.type, given.payload ?? null, model ?? null);
  }
  const task = { ...given, ...omitUndefined({ dependsOn: dependsOn && [...dependsOn], dedupeKey: key }) };
  return cli.withWorkspace(async (link) => {
    const done = await link.call("tasks.submit", { tasks: [task] });
    return done.ok ? ok({ data: done.value, text: done.value.tasks.map(submittedText).join("") }) : done;
  });
}

async function readPayload(
  cli: Cli,
  { payload, payloadFile }: TaskOptions,
  dash: string | undefined,
): Promise<CliResult<Json | undefined>> {
  const given = [payload, payloadFile, dash].filter((one) => one !== undefined);
  if (given.length > 1) return wrongUsage("give one payload: --payload, --payload-file or -.");
  if (payload !== undefined) return parseJson(payload, "--payload");
  const file = dash ?? payloadFile;
  if (file === undefined) return ok(undefined);
  return file === "-" ? readJsonInput(cli) : readJsonFile(cli, file);
}

/** @param dash "-": the payload is read from stdin */
export async function readTask(
  cli: Cli,
  type: string,
  options: TaskOptions,
  dash?: string,
): Promise<CliResult<ScheduledTask>> {
  const payload = await readPayload(cli, options, dash);
  if (!payload.ok) return payload;
  const { priority, capability, delay, tag } = options;
  const capabilities = capability && [...capability];
  const fields = { payload: payload.value, priority, capabilities, delayMs: delay, tags: tag && [...tag] };
  return ok({ type, ...omitUndefined(fields) });
}

function submittedText({ task, state, isDuplicate }: SubmittedTask): string {
  if (!isDuplicate) return `Task ${task} is ${state}.\n`;
  return `Task ${task} has this key already: ${state ?? "it is no longer kept"}. Nothing was submitted.\n`;
}

const { input, maxBodyBytes = defaultMaxBodyBytes } = taskOperations["tasks.submit"];

/** [CL45] Submits all tasks or none. [CL50] Errors of the file come with their line. */
async function submitGraph(cli: Cli, file: string): Promise<CommandResult> {
  // The parser of plans is large, and few commands need it.
  const { readInputFile } = await import("../../plan-file.ts");
  const tasks = readInputFile(cli, file, "a plan", {
    schema: input.shape.tasks,
    form: "array of tasks",
    name: "tasks",
    maxChars: maxBodyBytes,
  });
  return tasks.ok ? cli.withWorkspace((link) => submitAll(cli, link, tasks.value)) : tasks;
}

async function submitAll(cli: Cli, link: Workspace, tasks: readonly NewTask[]): Promise<CommandResult> {
  const submitted = await link.call("tasks.submit", { tasks: [...tasks] });
  if (!submitted.ok) return submitted;
  const rows = submitted.value.tasks.map((one, at) => ({ ...tasks[at], ...one }));
  const text = cli.table(rows, {
    TASK: ({ task }) => String(task),
    REF: ({ ref }) => ref ?? "-",
    TYPE: ({ type }) => type ?? "-",
    STATE: ({ state, isDuplicate }) => `${state ?? "no longer kept"}${isDuplicate ? " (already there)" : ""}`,
  });
  return ok({ data: submitted.value, text });
}
