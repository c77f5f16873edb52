import { dirname, join, resolve } from "node:path";
import { EdgeChatLink } from "../../local-mcp/link/edge-chat-link.ts";
import { LocalChatLink } from "../../local-mcp/link/local-chat-link.ts";
import { MachineHealth } from "../../local-mcp/automation/machine-health.ts";
import { removeOld } from "../../local-mcp/automation/old-worktrees.ts";
import { OutputFiles } from "../../local-mcp/automation/output-files.ts";
import type { Setup } from "../../local-mcp/automation/attempt.ts";
import type { ChatLink } from "../../local-mcp/link/chat-link.ts";
import { WorkerAutomation, type Summary } from "../../local-mcp/automation/worker-automation.ts";
import { WorkerConfig } from "../../local-mcp/automation/worker-config.ts";
import type { WorkerEvent } from "../../local-mcp/automation/worker-events.ts";
import { newId, type Outside } from "../../local-mcp/edge/outside.ts";
import { systemOutside } from "../../local-mcp/edge/system-outside.ts";
import { identify } from "../../local-mcp/processes.ts";
import { startSync } from "../../local-mcp/sync/start-sync.ts";
import type { Runtime } from "../../local-mcp/runtime.ts";
import { formatIssues } from "../../coordination/problems.ts";
import { omitUndefined } from "../../shared/given.ts";
import { ok, type Result } from "../../shared/result.ts";
import { failed, wrongUsage, type Answer, type Refused } from "../answer.ts";
import type { Cli, Outcome } from "../cli.ts";
import type { WorkerFlags, WorkerSource } from "../commands/worker.ts";
import { withLink, type Coordination } from "../coordination.ts";
import { inputOfFile } from "../plan-input.ts";
import { safe, safeJsonLine } from "../screen-text.ts";
import { localTime } from "../times.ts";
import { textOf } from "./worker-lines.ts";
import { setupsOf, worktreesIn, type WorkerPlan } from "./worker-setups.ts";

/** `shim worker`, to its end. [WK18] */
export async function runWorker(cli: Cli, flags: WorkerFlags, source: WorkerSource): Promise<Outcome> {
  const plan = planOf(cli, flags, source);
  if (!plan.ok) return plan;
  warnOfAll(cli, plan.value);
  return withLink(cli, (link) => work(cli, flags, link, plan.value));
}

/** [CX2] What bypasses permissions is said before anything is done so. */
function warnOfAll(cli: Cli, { config }: WorkerPlan): void {
  for (const [type, { claude }] of Object.entries(config.types)) {
    if (claude?.allowAll)
      cli.progress(`${type}: Claude Code may use every tool and asks for no permission (allowAll).`);
  }
}

const maxChars = 1_048_576;

/** As it is written: what an option says goes before it, and defaults come last. */
interface Wish {
  readonly config: object;
  readonly folder: string;
}

function planOf(cli: Cli, flags: WorkerFlags, source: WorkerSource): Result<WorkerPlan, Refused["error"]> {
  const wish = source.kind === "file" ? ofFile(cli, source.file) : ok(ofCommand(cli, flags, source));
  if (!wish.ok) return wish;
  const { concurrency, capability, drainMs } = flags;
  const config = { ...wish.value.config, ...omitUndefined({ concurrency, capabilities: capability, drainMs }) };
  const parsed = WorkerConfig.safeParse(config);
  if (!parsed.success) return wrongUsage(`${formatIssues(parsed.error)}.`);
  return ok({ config: parsed.data, folder: wish.value.folder });
}

function ofFile(cli: Cli, file: string): Result<Wish, Refused["error"]> {
  const schema = WorkerConfig;
  const form = "settings of a worker";
  const config = inputOfFile(cli, file, `the ${form}`, { schema, form, name: "the settings", maxChars });
  return config.ok ? ok({ config: config.value, folder: dirname(resolve(cli.io.cwd, file)) }) : config;
}

function ofCommand(
  cli: Cli,
  { folder, repository, base, remote, mergeInputs }: WorkerFlags,
  { type, words }: Extract<WorkerSource, { kind: "command" }>,
): Wish {
  const inputs = mergeInputs === false ? { mergeInputs } : {};
  const types = { [type]: { command: words, ...omitUndefined({ folder, repository, base, remote }), ...inputs } };
  return { config: { types }, folder: cli.io.cwd };
}

async function work(cli: Cli, flags: WorkerFlags, link: Coordination, plan: WorkerPlan): Promise<Outcome> {
  const runtime = await cli.runtime();
  const outside = systemOutside();
  const own = identify(runtime.processes, process.pid);
  if (!own) return failed("unknown_process", "this system does not tell when a process was started.");
  const { random, clock } = outside;
  const { launch } = cli.io;
  const around = { runtime, launch, machine: link.machine, own, random, monotonic: () => clock.monotonic() };
  const setups = await setupsOf(around, plan);
  if (!setups.ok) return setups;
  await tidyUp(cli, runtime);
  const worker = automation(cli, flags, { link, plan, setups: setups.value, outside });
  let asked = 0;
  const hearings = [
    cli.io.onInterrupt(() => {
      asked += 1;
      if (asked === 1) worker.drain("asked to end");
      else worker.hurry("asked to end at once");
    }),
    // Ctrl-C ends `| tee` first, and a terminal that is closed takes nothing: no reason to drop what runs.
    cli.io.onReaderGone(() => worker.drain("its output is not read any more")),
  ];
  const stopSync = startSync(runtime, own);
  try {
    const ended = await worker.run();
    return ended.ok ? ok(answerOf(flags, ended.value)) : failed(ended.error.code, `${ended.error.message}.`);
  } finally {
    await stopSync();
    for (const stop of hearings) stop();
    // Output that nobody reads must not keep the process.
    cli.io.leaveWithin(leaveMs);
  }
}

const leaveMs = 2_000;

async function tidyUp(cli: Cli, runtime: Runtime): Promise<void> {
  const gone = await removeOld(worktreesIn(runtime.paths.home), runtime);
  for (const folder of gone) cli.progress(`A worktree that was left a week ago is gone: ${folder}`);
}

interface Parts {
  readonly link: Coordination;
  readonly plan: WorkerPlan;
  readonly setups: ReadonlyMap<string, Setup>;
  readonly outside: Outside;
}

function automation(cli: Cli, flags: WorkerFlags, { link, plan, setups, outside }: Parts): WorkerAutomation {
  const { concurrency, capabilities, drainMs } = plan.config;
  const name = `worker-${link.machine.replaceAll(/[^\w.:@-]/g, "-").slice(0, 80)}-${newId(outside).slice(-12)}`;
  const { process, machine } = link;
  const chat = { chat: name, session: name, process, machine, client: "shim worker", capabilities };
  const health = new MachineHealth(outside.clock);
  const files = new OutputFiles(join(worktreesIn(cli.paths.home), "output"));
  return new WorkerAutomation(
    { chat, setups, concurrency, drainMs, maxTasks: flags.maxTasks ?? null, isOnce: flags.once === true },
    {
      link: chatLinkOf(link, outside),
      outside,
      health: () => health.check(),
      tell: (event) => tell(cli, flags.json === true, event),
      keepOutput: (task, text) => files.keep(task, text),
    },
  );
}

function chatLinkOf(link: Coordination, outside: Outside): ChatLink {
  const { edge, version } = link;
  if (edge) return new EdgeChatLink(edge, outside);
  return new LocalChatLink({ call: (name, input) => link.call(name, input), version: version ?? (() => 0) }, outside);
}

function tell({ io }: Cli, isJson: boolean, event: WorkerEvent): void {
  const at = io.now();
  if (!isJson) return io.stdout(safe(`${localTime(at)} ${textOf(event)}\n`));
  const { type, ...more } = event;
  io.stdout(`${safeJsonLine({ event: type, at, ...more })}\n`);
}

/** Ends that nobody has asked for, of a worker that was to do some tasks only. */
const bad = ["failed", "timeout", "budget_exceeded", "lost", "thrown_away", "untold"] as const;

function answerOf({ once, maxTasks }: WorkerFlags, ends: Summary): Answer {
  const told = Object.entries(ends).map(([end, count]) => `${count} ${end.replace("_", " ")}`);
  const isBounded = once === true || maxTasks !== undefined;
  return {
    data: { event: "over", ends },
    text: told.length === 0 ? "No task was done.\n" : `Tasks: ${told.join(", ")}.\n`,
    isOneLine: true,
    isFailed: isBounded && bad.some((end) => (ends[end] ?? 0) > 0),
  };
}
