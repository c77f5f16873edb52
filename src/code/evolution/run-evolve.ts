import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { OperationContext } from "../../machine/operations/operation-context.ts";
import { withWorkspace, type Workspace } from "../../machine/operations/workspace.ts";
import { fail, type Failure, ok, type Result } from "../../shared/result.ts";
import { pluralize } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { trustOf } from "../tool-runner/project-folder.ts";
import { parseTests } from "../tool-runner/project-tests.ts";
import { removeAbandoned, type RepositoryProject } from "../transform/worktree.ts";
import { removeEnded } from "../../runner/worker/worktrees.ts";
import { workDeps } from "../../runner/worker/machine-deps.ts";
import { runTasksIn, taskDeps } from "../../runner/worker/tasks/task-type.ts";
import { findTarget } from "../tool-runner/work-target.ts";
import type { EmitWorkerEvent } from "../../runner/worker/attempt.ts";
import { RunLimits, type EvolveInput } from "./candidate.ts";
import { runTag, cancelTasks, newestRun, readRun, toTasks, type EvolveReport } from "./run.ts";
import { createEvolve, evolveOptions, EvolveSettings, type EvolveType } from "./evolve-executor.ts";
import { makePlan, type Plan } from "./plan.ts";

export interface FoundProject {
  readonly project: RepositoryProject;
  readonly folder: string;
  /** Commit that changes start from. */
  readonly base: string;
  readonly uncommitted: number;
}

/** The package in a folder of a repository. */
export async function findProject({ site }: OperationContext, folder: string): Promise<Result<FoundProject, Failure>> {
  const target = await findTarget(site.env, folder, []);
  if (!target.ok) return target;
  const { top, repository, base, paths, uncommitted } = target.value;
  const [prefix = ""] = paths;
  const path = join(top, prefix);
  if (!existsSync(join(path, "package.json"))) return fail("bad_input", `there is no package.json in ${path}.`);
  return ok({ project: { top, repository, prefix }, folder: path, base, uncommitted });
}

export interface Planned {
  readonly kind: "planned";
  readonly plan: Plan;
  readonly limits: RunLimits;
  readonly folder: string;
}

export type Evolved =
  | Planned
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

/** A run of a project, in its workspace. */
interface Session {
  readonly context: OperationContext;
  readonly run: Run;
  readonly found: FoundProject;
  readonly workspace: Workspace;
  readonly type: EvolveType;
}

/** Plans, submits, works and reports; an unfinished run is continued. */
export async function evolve(
  context: OperationContext,
  input: EvolveInput,
  run: Run,
): Promise<Result<Evolved, Failure>> {
  const found = await findProject(context, input.folder ?? run.cwd);
  if (!found.ok) return found;
  const type = typeOf(context, input, run, found.value);
  if (!type.ok) return type;
  const { project, folder } = found.value;
  return withWorkspace<Evolved>(context, async (workspace) => {
    const session = { context, run, found: found.value, workspace, type: type.value };
    const newest = await newestRun(workspace, project);
    if (!newest.ok) return newest;
    if (newest.value?.isOpen && !input.dryRun) {
      context.progress?.(`Continuing run ${newest.value.job}; \`shim code evolve stop\` ends it.`);
      return workOn(session, newest.value);
    }
    const plan = await planRun(session, input);
    if (!plan.ok) return plan;
    const { budgetCost, timeLimitMs: timeMs } = input;
    const costMicros = budgetCost === undefined ? undefined : Math.round(budgetCost * 1_000_000);
    const limits = RunLimits.parse(omitUndefined({ timeMs, costMicros }));
    const planned = { kind: "planned", plan: plan.value, limits, folder } as const;
    const { candidates, facts } = plan.value;
    if (input.dryRun || candidates.length === 0) return ok(planned);
    run.onPlan(planned);
    const tag = runTag(project);
    const name = run.written?.name ?? tag;
    const tasks = toTasks(candidates, { type: name, tag, allowsApi: input.allowApi, limits, facts });
    const submitted = await workspace.call("tasks.submit", { tasks });
    if (!submitted.ok) return submitted;
    const job = submitted.value.tasks.at(-1)?.task;
    if (job === undefined) throw new Error("a run has a task that reports");
    return workOn(session, { job, type: name });
  });
}

/** The type of a worker that does the run's tasks here. */
function typeOf(
  { paths }: OperationContext,
  { trust, tests: words }: EvolveInput,
  { written }: Run,
  { project, base }: FoundProject,
): Result<EvolveType, Failure> {
  const trusted = trustOf(paths.config, project.top, trust);
  if (!trusted.ok) return trusted;
  if (!trusted.value)
    return fail(
      "not_trusted",
      "changes are judged by the project's own tools and tests, which run its code. --trust allows that this time, and the setting analysis.trusted always.",
    );
  const tests = words === undefined ? ok(undefined) : parseTests(words);
  if (!tests.ok) return tests;
  const own = omitUndefined({ project: project.prefix || undefined, tests: tests.value });
  const settings = EvolveSettings.parse({ ...written?.type.evolve, trust: true, ...own });
  return ok({ ...written?.type, evolve: settings, repository: project.top, base });
}

async function planRun(
  { context, run, found, workspace, type }: Session,
  { retry: isRetry, only = [], maxTasks }: EvolveInput,
): Promise<Result<Plan, Failure>> {
  const { base, uncommitted, folder, project } = found;
  const { signal } = run;
  const deps = await taskDeps(context, workspace);
  if (!deps.ok) return deps;
  context.progress?.(`Analysing ${folder} at ${base.slice(0, 12)}, and running its tests twice ...`);
  if (uncommitted > 0)
    context.progress?.(`Changes that are not committed are left out: ${pluralize(uncommitted, "file")}.`);
  const options = await evolveOptions(deps.value, type, project.top);
  const plan = await makePlan(options, { commit: base, signal, only, maxTasks, isRetry });
  if (plan.ok) return plan;
  return signal.aborted
    ? fail("stopped", "it was stopped.")
    : fail("not_judged", `nothing was changed: ${plan.error}.`);
}

const pollMs = 1_000;

async function workOn(
  session: Session,
  { job, type: name }: { readonly job: number; readonly type: string },
): Promise<Result<Evolved, Failure>> {
  const { context, run, workspace, type } = session;
  const { signal, emit, cwd } = run;
  const work = { types: { [name]: type }, concurrency: 1, capabilities: [], drainMs: 0, maxTasks: null, isOnce: true };
  for (;;) {
    const turn = { ...work, folder: cwd, makeExecutor: createEvolve, emit, endSignal: signal };
    const done = await runTasksIn<EvolveType>(context, workspace, turn);
    if (!done.ok) return done;
    const state = await readRun(workspace, job);
    if (!state.ok) return state;
    const { report, isReported } = state.value;
    if (signal.aborted || (report.isEnded && isReported)) return finish(session, report);
    await pause(pollMs, undefined, { signal }).catch(() => undefined);
  }
}

async function finish(
  { context, run: { signal }, found: { project } }: Session,
  report: EvolveReport,
): Promise<Result<Evolved, Failure>> {
  const deps = await workDeps(context);
  if (!deps.ok) return deps;
  await removeAbandoned(deps.value);
  const ended = report.tried.filter(({ outcome }) => outcome !== "open" && outcome !== "running");
  const tasks = new Set(ended.map(({ task }) => task));
  const since = context.site.now() - report.ageMs;
  await removeEnded(deps.value, { ...project, tasks, since });
  return ok({ kind: "reported", report, isInterrupted: signal.aborted });
}

/** The report of the newest run, as it is now. */
export function newestReport(context: OperationContext, folder: string): Promise<Result<EvolveReport, Failure>> {
  return withNewest(context, folder, (_workspace, report) => Promise.resolve(ok(report)));
}

/** Cancels the open tasks of the newest run. */
export function stopNewest(
  context: OperationContext,
  folder: string,
): Promise<Result<{ readonly job: number }, Failure>> {
  return withNewest(context, folder, async (workspace, { tried, job }) => {
    await cancelTasks(workspace, tried, ["open", "running"], "a person stopped the run");
    return ok({ job });
  });
}

async function withNewest<T>(
  context: OperationContext,
  folder: string,
  body: (workspace: Workspace, report: EvolveReport) => Promise<Result<T, Failure>>,
): Promise<Result<T, Failure>> {
  const found = await findProject(context, folder);
  if (!found.ok) return found;
  return withWorkspace(context, async (workspace) => {
    const newest = await newestRun(workspace, found.value.project);
    if (!newest.ok) return newest;
    if (newest.value === null)
      return fail("not_found", "there is no run in this project yet: `shim code evolve` starts one.");
    const state = await readRun(workspace, newest.value.job);
    return state.ok ? body(workspace, state.value.report) : state;
  });
}
