import { dirname, join, resolve } from "node:path";
import { MachineHealth } from "../../../worker-runner/machine-health.ts";
import { worktreesIn } from "../../../worker-runner/work-record.ts";
import { removeOldWorktrees } from "../../../worker-runner/old-worktrees.ts";
import { OutputFiles } from "../../../worker-runner/output-files.ts";
import type { TaskSetup } from "../../../worker-runner/attempt.ts";
import { WorkerAutomation, type EndCounts } from "../../../worker-runner/worker-automation.ts";
import { WorkerConfig } from "./worker-config.ts";
import type { EmitWorkerEvent, WorkerEvent } from "../../../worker-runner/worker-events.ts";
import { newId, type Platform } from "../../../coordinator-client/edge/platform.ts";
import { nodePlatform } from "../../../coordinator-client/edge/node-platform.ts";
import { identify } from "../../../platform/processes.ts";
import { recordTakeovers } from "../../../local-mcp/sync/takeover-notices.ts";
import { startSync } from "../../../local-mcp/sync/start-sync.ts";
import { age, oneLine } from "../../../shared/format.ts";
import { formatIssues } from "../../../shared/problems.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok, type Result } from "../../../shared/result.ts";
import { failed, wrongUsage, type Answer, type CliResult, type FailedResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import type { WorkerFlags, WorkerSource } from "./worker.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { readInputFile } from "../../plan-file.ts";
import { safeText, safeJsonLine } from "../../screen-text.ts";
import { localTime } from "../../times.ts";
import { reserveForTask } from "../transform/reserve-changed.ts";
import { createSetups, type WorkerPlan } from "./worker-setups.ts";

export async function runWorker(cli: Cli, flags: WorkerFlags, source: WorkerSource): Promise<CommandResult> {
  const plan = readPlan(cli, flags, source);
  if (!plan.ok) return plan;
  warnAboutPermissions(cli, plan.value);
  return cli.withWorkspace((link) => work(cli, flags, link, plan.value));
}

/** [CX19] Warns before a run that bypasses permissions. */
function warnAboutPermissions(cli: Cli, { config }: WorkerPlan): void {
  for (const [type, { claude }] of Object.entries(config.types)) {
    if (claude?.allowAll)
      cli.progress(`${type}: Claude Code may use every tool and asks for no permission (allowAll).`);
  }
}

const maxSettingsChars = 1_048_576;

/** Layers as written: options override the file, and defaults come last. */
interface WrittenConfig {
  readonly config: object;
  readonly folder: string;
}

function readPlan(cli: Cli, flags: WorkerFlags, source: WorkerSource): Result<WorkerPlan, FailedResult["error"]> {
  const written = source.kind === "file" ? fromFile(cli, source.file) : ok(fromCommand(cli, flags, source));
  if (!written.ok) return written;
  const { concurrency, capability, drainMs } = flags;
  const config = { ...written.value.config, ...omitUndefined({ concurrency, capabilities: capability, drainMs }) };
  const parsed = WorkerConfig.safeParse(config);
  if (!parsed.success) return wrongUsage(`${formatIssues(parsed.error)}.`);
  return ok({ config: parsed.data, folder: written.value.folder });
}

function fromFile(cli: Cli, file: string): Result<WrittenConfig, FailedResult["error"]> {
  const schema = WorkerConfig;
  const form = "settings of a worker";
  const config = readInputFile(cli, file, `the ${form}`, {
    schema,
    form,
    name: "the settings",
    maxChars: maxSettingsChars,
  });
  return config.ok ? ok({ config: config.value, folder: dirname(resolve(cli.io.cwd, file)) }) : config;
}

function fromCommand(
  cli: Cli,
  { folder, repository, base, remote, mergeInputs }: WorkerFlags,
  { type, words }: Extract<WorkerSource, { kind: "command" }>,
): WrittenConfig {
  const inputs = mergeInputs === false ? { mergeInputs } : {};
  const types = { [type]: { command: words, ...omitUndefined({ folder, repository, base, remote }), ...inputs } };
  return { config: { types }, folder: cli.io.cwd };
}

async function work(cli: Cli, flags: WorkerFlags, link: Workspace, plan: WorkerPlan): Promise<CommandResult> {
  const emit: EmitWorkerEvent = (event) => printEvent(cli, flags.json === true, event);
  try {
    const ended = await doTasks(cli, flags, link, plan, emit);
    return ended.ok ? ok(toAnswer(flags, ended.value)) : ended;
  } finally {
    // Unread output must not keep the process alive.
    cli.io.leaveWithin(leaveTimeoutMs);
  }
}

const leaveTimeoutMs = 2_000;

/** Does tasks until there is none, or until it is asked to end. */
export async function doTasks(
  cli: Cli,
  flags: WorkerFlags,
  link: Workspace,
  plan: WorkerPlan,
  emit: EmitWorkerEvent,
): Promise<CliResult<EndCounts>> {
  const runtime = await cli.runtime();
  const platform = nodePlatform();
  const ownProcess = identify(runtime.processes, process.pid);
  if (!ownProcess) return failed("unknown_process", "this system does not report when a process was started.");
  const { random, clock } = platform;
  const { launch, versionOf } = cli.io;
  const deps = {
    runtime,
    launch,
    versionOf,
    machine: link.machine,
    ownProcess,
    random,
    monotonic: () => clock.monotonic(),
    reserveFiles: (top: string, paths: readonly string[], files: readonly string[]) =>
      reserveForTask(link, { top, paths }, files),
    call: link.call,
  };
  const setups = await createSetups(deps, plan);
  if (!setups.ok) return setups;
  for (const folder of await removeOldWorktrees(worktreesIn(runtime.paths.home), runtime))
    cli.progress(`A worktree that was unused for a week was removed: ${folder}`);
  const worker = automation(cli, flags, { link, plan, setups: setups.value, platform, emit });
  let interrupts = 0;
  const subscriptions = [
    cli.io.onInterrupt(() => {
      interrupts += 1;
      if (interrupts === 1) worker.drain("asked to end");
      else worker.stopNow("asked to end at once");
    }),
    // Ctrl-C ends `| tee` first, and a closed terminal reads nothing: running tasks continue.
    cli.io.onReaderGone(() => worker.drain("its output is not read any more")),
  ];
  const sync = startSync(runtime, ownProcess, recordTakeovers);
  try {
    const ended = await worker.run();
    return ended.ok ? ended : failed(ended.error.code, `${ended.error.message}.`);
  } finally {
    await sync.stop();
    for (const stop of subscriptions) stop();
  }
}

interface AutomationParts {
  readonly link: Workspace;
  readonly plan: WorkerPlan;
  readonly setups: ReadonlyMap<string, TaskSetup>;
  readonly platform: Platform;
  readonly emit: EmitWorkerEvent;
}

function automation(cli: Cli, flags: WorkerFlags, parts: AutomationParts): WorkerAutomation {
  const { link, plan, setups, platform, emit } = parts;
  const { concurrency, capabilities, drainMs } = plan.config;
  const name = `worker-${link.machine.replaceAll(/[^\w.:@-]/g, "-").slice(0, 80)}-${newId(platform).slice(-12)}`;
  const { process, machine } = link;
  const chat = { chat: name, session: name, process, machine, client: "shim worker", capabilities };
  const health = new MachineHealth(platform.clock);
  const files = new OutputFiles(join(worktreesIn(cli.paths.home), "output"));
  return new WorkerAutomation(
    { chat, setups, concurrency, drainMs, maxTasks: flags.maxTasks ?? null, isOnce: flags.once === true },
    {
      link: link.client,
      platform,
      health: () => health.check(),
      emit,
      keepOutput: (task, text) => files.save(task, text),
    },
  );
}

function printEvent({ io }: Cli, isJson: boolean, event: WorkerEvent): void {
  const at = io.now();
  if (!isJson) return io.stdout(safeText(`${localTime(at)} ${formatEvent(event)}\n`));
  const { type, ...more } = event;
  io.stdout(`${safeJsonLine({ event: type, at, ...more })}\n`);
}

/** Ends that fail the command, for a worker started for some tasks only. */
const unexpectedEnds = ["failed", "timeout", "budget_exceeded", "lost", "thrown_away", "untold"] as const;

function toAnswer({ once, maxTasks }: WorkerFlags, ends: EndCounts): Answer {
  const endCounts = Object.entries(ends).map(([end, count]) => `${count} ${end.replace("_", " ")}`);
  const isBounded = once === true || maxTasks !== undefined;
  return {
    data: { event: "over", ends },
    text: endCounts.length === 0 ? "No task was done.\n" : `Tasks: ${endCounts.join(", ")}.\n`,
    isOneLine: true,
    isFailed: isBounded && unexpectedEnds.some((end) => (ends[end] ?? 0) > 0),
  };
}

const maxEventChars = 400;

export function formatEvent(event: WorkerEvent): string {
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
