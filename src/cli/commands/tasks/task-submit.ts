import { withCheckedLink } from "../../coordinator-link.ts";
import { InvalidArgumentError, Option, type Command } from "commander";
import type { InputOf, OutputOf } from "../../../contract/operations.ts";
import type { Json } from "../../../contract/values.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok, type Result } from "../../../shared/result.ts";
import { wrongUsage, type FailedResult } from "../../answer.ts";
import type { Cli, CommonOptions, CommandResult } from "../../cli.ts";
import {
  digitOption,
  parseJson,
  readJsonFile,
  readJsonInput,
  taskListOption,
  textListOption,
} from "../../task-input.ts";
import { parseDuration } from "../../times.ts";

type NewTask = InputOf<"tasks.submit">["tasks"][number];
type SubmittedTask = OutputOf<"tasks.submit">["tasks"][number];

interface SubmitOptions extends CommonOptions {
  readonly graph?: string;
  readonly payload?: string;
  readonly payloadFile?: string;
  readonly priority?: number;
  readonly capability?: readonly string[];
  readonly delay?: number;
  readonly dependsOn?: readonly number[];
  readonly key?: string;
  readonly tag?: readonly string[];
}

const singleTaskOptions = ["payload", "payloadFile", "priority", "capability", "delay", "dependsOn", "key", "tag"];

export function addSubmit(task: Command, cli: Cli): void {
  const command = task
    .command("submit [type] [-]")
    .description("submit a task, with the payload from stdin where - stands, or a graph of them")
    .addOption(
      new Option("--graph <file>", "a list of tasks in YAML or JSON, with ref and dependsOn").conflicts(
        singleTaskOptions,
      ),
    )
    .option("--payload <json>", "what the task is about")
    .option("--payload-file <file>", "the same, from a file (-: from stdin)")
    .option("--priority <n>", "0 to 9; 9 goes first (default: 5)", digitOption(0, 9))
    .option("--capability <names...>", "only a chat that has them all takes it", textListOption)
    .option("--delay <duration>", "not before so long (30s, 15m, 2h)", duration)
    .option("--depends-on <tasks...>", "not before these are done", taskListOption)
    .option("--key <key>", "a second task under the same key is the first one")
    .option("--tag <tags...>", "to find it by", textListOption);
  cli.define(command, (options: SubmitOptions, type?: string, dash?: string) => submit(cli, options, type, dash));
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new InvalidArgumentError("Give a duration (30s, 15m, 2h, 1d).");
  return ms;
}

async function submit(cli: Cli, options: SubmitOptions, type?: string, dash?: string): Promise<CommandResult> {
  const { graph } = options;
  if (graph !== undefined) {
    if (type !== undefined) return wrongUsage("with --graph the file names the types; give no other.");
    // The parser of plans is large, and no other command needs it.
    const { submitGraph } = await import("./submit-graph.ts");
    return submitGraph(cli, graph);
  }
  if (type === undefined) return wrongUsage("name a type (`shim task submit build`), or a --graph.");
  if (dash !== undefined && dash !== "-") return wrongUsage(`only - may follow the type, not "${dash.slice(0, 60)}".`);
  const payload = await readPayload(cli, options, dash);
  if (!payload.ok) return payload;
  const task = newTask(type, options, payload.value);
  return withCheckedLink(cli, async (link) => {
    const done = await link.call("tasks.submit", { tasks: [task] });
    return done.ok ? ok({ data: done.value, text: done.value.tasks.map(submittedText).join("") }) : done;
  });
}

async function readPayload(
  cli: Cli,
  { payload, payloadFile }: SubmitOptions,
  dash: string | undefined,
): Promise<Result<Json | undefined, FailedResult["error"]>> {
  const given = [payload, payloadFile, dash].filter((one) => one !== undefined);
  if (given.length > 1) return wrongUsage("give one payload: --payload, --payload-file or -.");
  if (payload !== undefined) return parseJson(payload, "--payload");
  const file = dash ?? payloadFile;
  if (file === undefined) return ok(undefined);
  return file === "-" ? readJsonInput(cli) : readJsonFile(cli, file);
}

function newTask(type: string, options: SubmitOptions, payload: Json | undefined): NewTask {
  const { priority, capability, delay, dependsOn, key, tag } = options;
  const fields = {
    payload,
    priority,
    capabilities: capability && [...capability],
    delayMs: delay,
    dependsOn: dependsOn && [...dependsOn],
    dedupeKey: key,
    tags: tag && [...tag],
  };
  return { type, ...omitUndefined(fields) };
}

function submittedText({ task, state, isDuplicate }: SubmittedTask): string {
  if (!isDuplicate) return `Task ${task} is ${state}.\n`;
  return `Task ${task} has this key already: ${state ?? "it is no longer kept"}. Nothing was submitted.\n`;
}
