import { dirname } from "node:path";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { formatIssues } from "../../../shared/problems.ts";
import { ok } from "../../../shared/result.ts";
import { runTasks } from "../../../worker-runner/tasks/run-tasks.ts";
import type { EndCounts } from "../../../worker-runner/worker-automation.ts";
import { wrongUsage, type Answer, type CliResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import { eventText, untilAskedToEnd } from "../../long-program.ts";
import { formatEvent } from "./format-worker-event.ts";
import { makeExecutor, readWorkerConfig, WorkerConfig } from "./worker-config.ts";
import type { WorkerInput } from "./worker.ts";

export async function runWorker(cli: Cli, input: WorkerInput, isJson: boolean): Promise<CommandResult> {
  const config = readConfig(cli, input);
  if (!config.ok) return config;
  const { once: isOnce, maxTasks = null, config: file } = input;
  // [CX19]
  for (const [type, { claude }] of Object.entries(config.value.types))
    if (claude?.allowAll)
      cli.progress(`${type}: Claude Code may use every tool and asks for no permission (allowAll).`);
  const ended = await untilAskedToEnd(cli.io, (signals) =>
    runTasks(cli.context, {
      ...config.value,
      ...signals,
      isOnce,
      maxTasks,
      folder: file === undefined ? cli.io.cwd : dirname(file),
      makeExecutor,
      emit: (event) => cli.io.stdout(eventText(cli, isJson, event, (one) => [formatEvent(one)])),
    }),
  );
  return ended.ok ? ok(toAnswer(ended.value, isOnce || maxTasks !== null)) : ended;
}

/** Options override the file, and defaults come last. */
function readConfig(cli: Cli, input: WorkerInput): CliResult<WorkerConfig> {
  const { config: file, concurrency, capabilities, drainMs } = input;
  const written = file === undefined ? fromCommand(input) : fromFile(cli, file, input);
  if (!written.ok) return written;
  const config = { ...written.value, ...omitUndefined({ concurrency, capabilities, drainMs }) };
  const parsed = WorkerConfig.safeParse(config);
  return parsed.success ? ok(parsed.data) : wrongUsage(`${formatIssues(parsed.error)}.`);
}

function fromFile(cli: Cli, file: string, { type, command, mergeInputs, ...input }: WorkerInput): CliResult<object> {
  const { folder, repository, base, remote } = input;
  const isDouble = !mergeInputs || command.length > 0;
  if (isDouble || (type ?? folder ?? repository ?? base ?? remote) !== undefined)
    return wrongUsage("with --config the file names the types, their folders and their commands; give no other.");
  return readWorkerConfig(cli, file);
}

function fromCommand({ type, command, folder, repository, base, remote, mergeInputs }: WorkerInput): CliResult<object> {
  if (type === undefined) return wrongUsage("give --config, or --type and its command after --.");
  if (command.length === 0)
    return wrongUsage(`give the command after --: \`shim worker --type ${type.slice(0, 64)} -- npm test\`.`);
  const inputs = mergeInputs ? {} : { mergeInputs };
  return ok({ types: { [type]: { command, ...omitUndefined({ folder, repository, base, remote }), ...inputs } } });
}

/** Ends that fail the command, for a worker started for some tasks only. */
const unexpectedEnds = ["failed", "timeout", "budget_exceeded", "lost", "thrown_away", "untold"] as const;

function toAnswer(ends: EndCounts, isBounded: boolean): Answer {
  const endCounts = Object.entries(ends).map(([end, count]) => `${count} ${end.replace("_", " ")}`);
  return {
    data: { event: "over", ends },
    text: endCounts.length === 0 ? "No task was done.\n" : `Tasks: ${endCounts.join(", ")}.\n`,
    isOneLine: true,
    isFailed: isBounded && unexpectedEnds.some((end) => (ends[end] ?? 0) > 0),
  };
}
