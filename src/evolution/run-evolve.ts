import { setTimeout as pause } from "node:timers/promises";
import { NewTask } from "../contract/tasks.ts";
import { newId } from "../coordinator-client/edge/platform.ts";
import { nodePlatform } from "../coordinator-client/edge/node-platform.ts";
import type { HostContext } from "../local-mcp/host/handlers.ts";
import { withWorkspace, type ClientWorkspace } from "../local-mcp/host/workspace.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { age, pluralize } from "../shared/format.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";
import { ok, type Result } from "../shared/result.ts";
import { trustOf } from "../tool-runner/project-folder.ts";
import { removeAbandoned } from "../transform/throwaway-worktree.ts";
import { parseTests } from "../transform/transform-project.ts";
import { removeEnded } from "../worker-runner/worktrees.ts";
import { runTasksIn, taskDeps } from "../worker-runner/tasks/run-tasks.ts";
import { workDeps } from "../worker-runner/work-deps.ts";
import type { EmitWorkerEvent } from "../worker-runner/worker-events.ts";
import { JudgeRules, RunLimits } from "./candidate.ts";
import { createEvolve, evolveOptions, type EvolveType } from "./create-evolve.ts";
import type { EvolveInput } from "./evolve-input.ts";
import { EvolveSettings } from "./evolve-settings.ts";
import { findProject, type FoundProject } from "./find-project.ts";
import { makePlan, type Plan } from "./make-plan.ts";
import { toTasks } from "./plan-tasks.ts";
import { toReport, type EvolveReport } from "./report.ts";
import { projectId, type RunFile } from "./run-files.ts";
import { cancelOpen, isOpen, readRun, type RunState } from "./run-state.ts";

export interface Planned {
  readonly kind: "planned";
  readonly plan: Plan;
  readonly limits: RunLimits;
  readonly folder: string;
}

export type Evolved =
  | Planned
  /** For workers of that type. */
  | { readonly kind: "submitted"; readonly job: number; readonly type: string }
  | { readonly kind: "reported"; readonly report: EvolveReport; readonly isInterrupted: boolean };

export interface Run {
  /** Type of a worker's settings, with its name. */
  readonly written: { readonly name: string; readonly type: EvolveType } | null;
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly emit: EmitWorkerEvent;
  /** Gets the plan before work begins. */
  readonly onPlan: (planned: Planned) => void;
}

/** [EV17] Plans, submits, works and reports; an unfinished run is continued. */
export async function evolve(context: HostContext, input: EvolveInput, run: Run): Promise<Result<Evolved, Failure>> {
  const found = await findProject(context, input.folder ?? run.cwd);
  if (!found.ok) return found;
  const made = typeOf(context, input, run, found.value);
  if (!made.ok) return made;
  const { name, type } = made.value;
  const { files } = found.value;
  return withWorkspace<Evolved>(context, async (workspace) => {
    const open = files.runs().find(({ report }) => report?.isEnded !== true);
    if (open && !input.dryRun) {
      const since = age(context.site.now() - open.at);
      context.progress?.(`Continuing the run of ${since} ago; \`shim code evolve stop\` ends it.`);
      return workOn({ context, input, run, workspace, found: found.value }, type, open);
    }
    const plan = await planRun(context, input, { ...found.value, workspace, type, signal: run.signal });
    if (!plan.ok) return plan;
    const limits = toLimits(input);
    const planned = { kind: "planned", plan: plan.value, limits, folder: found.value.folder } as const;
    const { candidates, facts } = plan.value;
    if (input.dryRun || candidates.length === 0) return ok(planned);
    run.onPlan(planned);
    const rules = JudgeRules.parse({ allowsApi: input.allowApi });
    const stored: RunFile = {
      version: 1,
      requestId: `evolve-${newId(nodePlatform())}`,
      type: name,
      base: found.value.base,
      at: context.site.now(),
      tasks: toTasks(candidates, { type: name, rules, limits, facts }).map((one) => NewTask.parse(one)),
      job: null,
      tests: type.evolve?.tests ?? null,
      report: null,
    };
    // Stored first: a repeat after a crash is the same request.
    files.saveRun(stored);
    return workOn({ context, input, run, workspace, found: found.value }, type, stored);
  });
}

/** The type of a worker that does the run's tasks here. */
function typeOf(
  { paths }: HostContext,
  { trust, tests }: EvolveInput,
  { written }: Run,
  { project, base }: FoundProject,
): Result<NonNullable<Run["written"]>, Failure> {
  const trusted = trustOf(paths.config, project.top, trust);
  if (!trusted.ok) return trusted;
  if (!trusted.value)
    return fail(
      "not_trusted",
      "changes are judged by the project's own tools and tests, which run its code. --trust allows that this time, and the setting analysis.trusted always.",
    );
  const words = parseTests(tests);
  if (!words.ok) return words;
  const own = { project: project.prefix || undefined, tests: words.value === "script" ? undefined : words.value };
  const settings = EvolveSettings.parse({ ...written?.type.evolve, trust: true, ...omitUndefined(own) });
  const type = { ...written?.type, evolve: settings, repository: project.top, base };
  return ok({ name: written?.name ?? `evolve.${projectId(project)}`, type });
}

function toLimits({ budgetCost, budgetTokens, timeLimitMs, maxRejected }: EvolveInput): RunLimits {
  const costMicros = budgetCost === undefined ? undefined : Math.round(budgetCost * 1_000_000);
  return RunLimits.parse(omitUndefined({ timeMs: timeLimitMs, tokens: budgetTokens, costMicros, maxRejected }));
}

interface Planning extends FoundProject {
  readonly workspace: ClientWorkspace;
  readonly type: EvolveType;
  readonly signal: AbortSignal;
}

async function planRun(
  context: HostContext,
  { retry, only = [], maxTasks }: EvolveInput,
  { base, uncommitted, folder, project, workspace, type, signal }: Planning,
): Promise<Result<Plan, Failure>> {
  const deps = await taskDeps(context, workspace);
  if (!deps.ok) return deps;
  context.progress?.(`Analysing ${folder} at ${base.slice(0, 12)}, and running its tests twice ...`);
  if (uncommitted > 0)
    context.progress?.(`Changes that are not committed are left out: ${pluralize(uncommitted, "file")}.`);
  const options = await evolveOptions(deps.value, type, project.top);
  const past = options.decisions();
  const decisions = retry ? { ...past, judged: { candidates: new Set<string>(), findings: new Set<string>() } } : past;
  const plan = await makePlan({ ...options, decisions }, { commit: base, signal, only, maxTasks });
  if (plan.ok) return plan;
  return signal.aborted
    ? fail("stopped", "it was stopped.")
    : fail("not_judged", `nothing was changed: ${plan.error}.`);
}

interface OpenRun {
  readonly context: HostContext;
  readonly input: EvolveInput;
  readonly run: Run;
  readonly workspace: ClientWorkspace;
  readonly found: FoundProject;
}

const pollMs = 1_000;

async function workOn(open: OpenRun, type: EvolveType, stored: RunFile): Promise<Result<Evolved, Failure>> {
  const { context, input, workspace, found } = open;
  const { signal, emit, cwd } = open.run;
  const submitted = await submit(workspace, found, stored);
  if (!submitted.ok) return submitted;
  const { job, base, tests } = submitted.value;
  if (!input.work) return ok({ kind: "submitted", job, type: stored.type });
  // The tests are those of the run, also when another command continues it.
  const settings = EvolveSettings.parse({ ...type.evolve, ...(tests ? { tests } : {}) });
  const types = { [stored.type]: { ...type, evolve: settings, base } };
  const work = { types, concurrency: 1, capabilities: [], drainMs: 0, maxTasks: null, isOnce: true, folder: cwd };
  for (;;) {
    const turn = { ...work, makeExecutor: createEvolve, emit, endSignal: signal };
    const done = await runTasksIn<EvolveType>(context, workspace, turn);
    if (!done.ok) return done;
    const state = await readRun(workspace.call, job);
    if (!state.ok) return state;
    const isOver = !state.value.changes.some(isOpen) && !isOpen(state.value);
    if (signal.aborted || isOver) return finish(open, submitted.value, state.value);
    await pause(pollMs, undefined, { signal }).catch(() => undefined);
  }
}

/** The same request again has the same answer. */
async function submit(
  { call }: ClientWorkspace,
  { files }: FoundProject,
  run: RunFile,
): Promise<Result<RunFile & { readonly job: number }, Failure>> {
  if (run.job !== null) return ok({ ...run, job: run.job });
  const submitted = await call("tasks.submit", { tasks: run.tasks, requestId: run.requestId });
  if (!submitted.ok) return submitted;
  const job = submitted.value.tasks.at(-1)?.task;
  if (job === undefined) throw new Error("a run has a task that reports");
  const stored = { ...run, job };
  files.saveRun(stored);
  return ok(stored);
}

async function finish(
  { context, run: { signal }, found: { files, project } }: OpenRun,
  run: RunFile,
  state: RunState,
): Promise<Result<Evolved, Failure>> {
  const deps = await workDeps(context);
  if (!deps.ok) return deps;
  await removeAbandoned(deps.value);
  const ended = state.changes.filter((one) => !isOpen(one)).map(({ task }) => task);
  await removeEnded(deps.value.home, deps.value, { ...project, tasks: new Set(ended), since: run.at });
  const report = toReport(state);
  files.saveRun({ ...run, report });
  return ok({ kind: "reported", report, isInterrupted: signal.aborted });
}

/** The report of the newest run, as it is now. */
export function newestReport(context: HostContext, folder: string): Promise<Result<EvolveReport, Failure>> {
  return withNewest(context, folder, async ({ call }, { job, report }) => {
    const state = await readRun(call, job);
    if (state.ok) return ok(toReport(state.value));
    return report ? ok(report) : state;
  });
}

/** Cancels the open tasks of the newest run. */
export function stopNewest(context: HostContext, folder: string): Promise<Result<{ readonly job: number }, Failure>> {
  return withNewest(context, folder, async ({ call }, { job }) => {
    const run = await readRun(call, job);
    if (!run.ok) return run;
    await cancelOpen(call, run.value, "a person stopped the run");
    for (const { task, state } of run.value.changes)
      if (state === "running") await call("tasks.cancel", { task, reason: "stopped: a person stopped the run" });
    return ok({ job });
  });
}

async function withNewest<T>(
  context: HostContext,
  folder: string,
  body: (workspace: ClientWorkspace, run: RunFile & { readonly job: number }) => Promise<Result<T, Failure>>,
): Promise<Result<T, Failure>> {
  const found = await findProject(context, folder);
  if (!found.ok) return found;
  const [run] = found.value.files.runs();
  if (!run || run.job === null)
    return fail("not_found", "there is no run in this project yet: `shim code evolve` starts one.");
  const { job } = run;
  return withWorkspace(context, (workspace) => body(workspace, { ...run, job }));
}
