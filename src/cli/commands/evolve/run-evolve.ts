import { pluralize } from "../../../shared/format.ts";
import { dirname, resolve } from "node:path";
import { nodePlatform } from "../../../coordinator-client/edge/node-platform.ts";
import { newId } from "../../../coordinator-client/edge/platform.ts";
import { JudgeRules, RunLimits } from "../../../evolution/candidate.ts";
import { EvolveSettings } from "../../../evolution/evolve-settings.ts";
import { makePlan, type Plan } from "../../../evolution/make-plan.ts";
import { toTasks } from "../../../evolution/plan-tasks.ts";
import { EvolveReport, toReport } from "../../../evolution/report.ts";
import { projectId, type RunFile } from "../../../evolution/run-files.ts";
import { cancelOpen, isOpen, readRun, type RunState } from "../../../evolution/run-state.ts";
import { NewTask } from "../../../contract/tasks.ts";
import { identify } from "../../../platform/processes.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { exitCodes, failed, interrupted, notFound, wrongUsage, type CliResult } from "../../answer.ts";
import type { Cli, CommandResult } from "../../cli.ts";
import type { Workspace } from "../../../local-mcp/host/host.ts";
import { readInputFile } from "../../plan-file.ts";
import { removeEnded } from "../../../worker-runner/old-worktrees.ts";
import { removeAbandoned } from "../../../transform/throwaway-worktree.ts";
import { worktreesIn } from "../../../worker-runner/work-record.ts";
import { doTasks, formatEvent } from "../worker/run-worker.ts";
import { WorkerConfig, type TypeConfig } from "../worker/worker-config.ts";
import { isProjectTrusted, parseTests } from "../transform/run-transform.ts";
import { evolveOptions } from "../worker/create-evolve.ts";
import type { EvolveFlags } from "./evolve.ts";
import { formatPlan, formatReport } from "./format-evolve.ts";
import { findProject, type FoundProject } from "./project.ts";

const defaultMaxTasks = 10;
const pollMs = 1_000;

/** [EV17] Plans, submits, works and reports; an unfinished run is continued. */
export async function evolve(cli: Cli, flags: EvolveFlags, folder: string): Promise<CommandResult> {
  const found = await findProject(cli, folder);
  if (!found.ok) return found;
  const settings = await readSettings(cli, flags, found.value);
  if (!settings.ok) return settings;
  return cli.withWorkspace(async (link) => {
    const open = found.value.files.runs().find(({ report }) => report?.isEnded !== true);
    if (open && !flags.dryRun) {
      cli.progress(`Continuing the run of ${cli.ago(open.at)}; \`shim code evolve stop\` ends it.`);
      return workOn(cli, flags, link, { ...found.value, config: settings.value.config, run: open });
    }
    const plan = await planRun(cli, flags, link, found.value, settings.value);
    if (!plan.ok) return plan;
    const text = formatPlan(plan.value, settings.value.limits, found.value);
    if (flags.dryRun || plan.value.candidates.length === 0) return ok({ data: plan.value, text, isVerbatim: true });
    cli.io.stderr(cli.verbatim(text));
    const run = newRun(cli, flags, found.value, settings.value, plan.value);
    // Stored first: a repeat after a crash is the same request.
    found.value.files.saveRun(run);
    return workOn(cli, flags, link, { ...found.value, config: settings.value.config, run });
  });
}

interface Settings {
  readonly type: string;
  readonly config: TypeConfig;
  readonly folder: string;
  readonly limits: RunLimits;
}

async function readSettings(cli: Cli, flags: EvolveFlags, found: FoundProject): Promise<CliResult<Settings>> {
  const trusted = await isProjectTrusted(cli, flags, found.project.top);
  if (!trusted.ok) return trusted;
  if (!trusted.value) return notTrusted;
  const tests = parseTests(flags.tests);
  if (!tests.ok) return tests;
  const written = readConfigFile(cli, flags.config);
  if (!written.ok) return written;
  const { top, prefix } = found.project;
  const { type, config, folder } = written.value ?? {
    type: `evolve.${projectId(found.project)}`,
    config: {},
    folder: cli.io.cwd,
  };
  const given = typeof tests.value === "string" ? undefined : tests.value;
  const project = prefix === "" ? undefined : prefix;
  const own = omitUndefined({ tests: given && [...given], project });
  const evolve = EvolveSettings.parse({ ...config.evolve, trust: true, ...own });
  return ok({
    type,
    config: { ...config, evolve, repository: top, base: found.base },
    folder,
    limits: toLimits(flags),
  });
}

const notTrusted = failed(
  "not_trusted",
  "changes are judged by the project's own tools and tests, which run its code. --trust allows that this time, and the setting analysis.trusted always.",
);

function toLimits({ budgetCost, budgetTokens, timeLimit, maxRejected }: EvolveFlags): RunLimits {
  const costMicros = budgetCost === undefined ? undefined : Math.round(budgetCost * 1_000_000);
  return RunLimits.parse(omitUndefined({ timeMs: timeLimit, tokens: budgetTokens, costMicros, maxRejected }));
}

const maxSettingsChars = 1_048_576;

interface WrittenType {
  readonly type: string;
  readonly config: TypeConfig;
  readonly folder: string;
}

/** The type that the file gives to the tool evolve. */
function readConfigFile(cli: Cli, file: string | undefined): CliResult<WrittenType | null> {
  if (file === undefined) return ok(null);
  const form = "settings of a worker";
  const rest = { schema: WorkerConfig, form, name: "the settings", maxChars: maxSettingsChars };
  const read = readInputFile(cli, file, `the ${form}`, rest);
  if (!read.ok) return read;
  const types = Object.entries(WorkerConfig.parse(read.value).types);
  const [type, config] = types.find(([, { evolve: settings }]) => settings !== undefined) ?? [];
  if (type === undefined || config === undefined) return wrongUsage(`${file} has no type with \`evolve\`.`);
  return ok({ type, config, folder: dirname(resolve(cli.io.cwd, file)) });
}

async function planRun(
  cli: Cli,
  flags: EvolveFlags,
  link: Workspace,
  { base, uncommitted, folder }: FoundProject,
  settings: Settings,
): Promise<CliResult<Plan>> {
  const runtime = await cli.runtime();
  const ownProcess = identify(runtime.processes, process.pid);
  if (!ownProcess) return failed("unknown_process", "this system does not report when a process was started.");
  const { random, clock } = nodePlatform();
  const deps = {
    runtime,
    launch: cli.io.launch,
    versionOf: cli.io.versionOf,
    machine: link.machine,
    ownProcess,
    random,
    monotonic: () => clock.monotonic(),
    reserveFiles: () => Promise.resolve(ok(() => Promise.resolve())),
    call: link.call,
  };
  cli.progress(`Analysing ${folder} at ${base.slice(0, 12)}, and running its tests twice ...`);
  if (uncommitted > 0) cli.progress(`Changes that are not committed are left out: ${pluralize(uncommitted, "file")}.`);
  const options = await evolveOptions(deps, settings.config, settings.folder);
  const decisions = options.decisions();
  const signal = cli.io.interrupted();
  const plan = await makePlan(
    {
      ...options,
      decisions: flags.retry ? { ...decisions, judged: { candidates: new Set(), findings: new Set() } } : decisions,
    },
    { commit: base, signal, only: [...(flags.only ?? [])], maxTasks: flags.maxTasks ?? defaultMaxTasks },
  );
  if (!plan.ok && signal.aborted) return interrupted;
  return plan.ok ? plan : failed("not_judged", `nothing was changed: ${plan.error}.`);
}

function newRun(
  cli: Cli,
  { allowApi = false }: EvolveFlags,
  { base }: FoundProject,
  { type, config, limits }: Settings,
  { candidates, facts }: Plan,
): RunFile {
  const rules = JudgeRules.parse({ allowsApi: allowApi });
  const tasks = toTasks(candidates, { type, rules, limits, facts }).map((one) => NewTask.parse(one));
  const requestId = `evolve-${newId(nodePlatform())}`;
  const tests = config.evolve?.tests ?? null;
  return { version: 1, requestId, type, base, at: cli.io.now(), tasks, job: null, tests, report: null };
}

interface OpenRun extends FoundProject {
  readonly config: TypeConfig;
  readonly run: RunFile;
}

async function workOn(cli: Cli, flags: EvolveFlags, link: Workspace, open: OpenRun): Promise<CommandResult> {
  const submitted = await submit(link, open);
  if (!submitted.ok) return submitted;
  const { run } = submitted.value;
  if (flags.work === false) {
    const text = `Job ${run.job} is submitted, for workers with \`evolve\` and the type ${run.type}.\n`;
    return ok({ data: { job: run.job, type: run.type }, text });
  }
  const plan = { config: toConfig(open.config, run), folder: cli.io.cwd };
  const signal = cli.io.interrupted();
  for (;;) {
    const done = await doTasks(cli, { once: true }, link, plan, (event) => cli.progress(formatEvent(event)));
    if (!done.ok) return done;
    const state = await readRun(link.call, run.job);
    if (!state.ok) return state;
    const isOver = !state.value.changes.some(isOpen) && !isOpen(state.value);
    if (signal.aborted || isOver) return finish(cli, { ...open, run }, state.value, signal.aborted);
    await cli.io.wait(pollMs, signal);
  }
}

/** The tests are those of the run, also when another command continues it. */
function toConfig(config: TypeConfig, { type, base, tests }: RunFile): WorkerConfig {
  const evolve = { ...config.evolve, ...(tests ? { tests } : {}) };
  return WorkerConfig.parse({ types: { [type]: { ...config, evolve, base } }, drainMs: 0 });
}

async function finish(
  cli: Cli,
  { files, run, project }: OpenRun,
  state: RunState,
  isInterrupted: boolean,
): Promise<CommandResult> {
  const { env, processes, paths } = await cli.runtime();
  const home = worktreesIn(paths.home);
  await removeAbandoned({ env, processes, home });
  const ended = state.changes.filter((one) => !isOpen(one)).map(({ task }) => task);
  await removeEnded(home, { env, processes }, { ...project, tasks: new Set(ended), since: run.at });
  const report = toReport(state);
  files.saveRun({ ...run, report });
  return answer(report, isInterrupted);
}

/** The same request again has the same answer. */
async function submit(
  link: Workspace,
  { run, files }: OpenRun,
): Promise<CliResult<{ readonly run: RunFile & { readonly job: number } }>> {
  if (run.job !== null) return ok({ run: { ...run, job: run.job } });
  const submitted = await link.call("tasks.submit", { tasks: run.tasks, requestId: run.requestId });
  if (!submitted.ok) return submitted;
  const job = submitted.value.tasks.at(-1)?.task;
  if (job === undefined) throw new Error("a run has a task that reports");
  const stored = { ...run, job };
  files.saveRun(stored);
  return ok({ run: stored });
}

function answer(report: EvolveReport, isInterrupted: boolean): CommandResult {
  const data = EvolveReport.parse(report);
  return ok({
    data,
    text: formatReport(report),
    isVerbatim: true,
    exit: isInterrupted ? exitCodes.interrupted : exitCodes.ok,
  });
}

export async function showReport(cli: Cli, folder: string): Promise<CommandResult> {
  return withNewest(cli, folder, async (_link, report) => answer(report, false));
}

export async function stopRun(cli: Cli, folder: string): Promise<CommandResult> {
  return withNewest(cli, folder, async (link, report) => {
    const state = await readRun(link.call, report.job);
    if (!state.ok) return state;
    await cancelOpen(link.call, state.value, "a person stopped the run");
    for (const { task, state: now } of state.value.changes)
      if (now === "running") await link.call("tasks.cancel", { task, reason: "stopped: a person stopped the run" });
    return ok({ data: { job: report.job }, text: `The open tasks of job ${report.job} are cancelled.\n` });
  });
}

async function withNewest(
  cli: Cli,
  folder: string,
  body: (link: Workspace, report: EvolveReport) => Promise<CommandResult>,
): Promise<CommandResult> {
  const found = await findProject(cli, folder);
  if (!found.ok) return found;
  const [run] = found.value.files.runs();
  if (!run || run.job === null) return notFound("there is no run in this project yet: `shim code evolve` starts one.");
  const { job } = run;
  return cli.withWorkspace(async (link) => {
    const state = await readRun(link.call, job);
    if (state.ok) return body(link, toReport(state.value));
    return run.report ? body(link, run.report) : state;
  });
}
