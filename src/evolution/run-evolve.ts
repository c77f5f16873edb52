import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { NewTask } from "../contract/tasks.ts";
import { nodePlatform } from "../coordinator-client/edge/node-platform.ts";
import type { HostContext } from "../local-mcp/host/host.ts";
import { withWorkspace, type Workspace } from "../local-mcp/host/workspace.ts";
import { newId } from "../coordinator-client/edge/platform.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { age, pluralize } from "../shared/format.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";
import { ok, type Result } from "../shared/result.ts";
import { trustOf } from "../tool-runner/project-folder.ts";
import { parseTests } from "../transform/run-transform.ts";
import { removeAbandoned, type RepositoryProject } from "../transform/worktree.ts";
import { removeEnded, workDeps } from "../worker-runner/worktrees.ts";
import { runTasksIn, taskDeps } from "../worker-runner/tasks/task-type.ts";
import { findTarget } from "../worker-runner/work-git.ts";
import type { EmitWorkerEvent } from "../worker-runner/attempt.ts";
import { JudgeRules, RunLimits, type EvolveInput } from "./candidate.ts";
import { createEvolve, evolveOptions, EvolveSettings, type EvolveType } from "./evolve-executor.ts";
import { makePlan, nothingJudged, type Plan } from "./plan.ts";
import { projectId, RunFiles, type RunFile } from "./run-files.ts";
import { cancelTasks, readRun, toTasks, type EvolveReport } from "./run.ts";

export interface FoundProject {
  readonly project: RepositoryProject;
  readonly folder: string;
  /** Commit that changes start from. */
  readonly base: string;
  readonly uncommitted: number;
  readonly files: RunFiles;
}

/** The package in a folder of a repository. */
export async function findProject(
  { site, paths }: HostContext,
  folder: string,
): Promise<Result<FoundProject, Failure>> {
  const target = await findTarget(site.env, folder, []);
  if (!target.ok) return target;
  const {
    top,
    repository,
    base,
    paths: [prefix = ""],
    uncommitted,
  } = target.value;
  const project = { top, repository, prefix };
  const path = join(top, prefix);
  if (!existsSync(join(path, "package.json"))) return fail("bad_input", `there is no package.json in ${path}.`);
  return ok({ project, folder: path, base, uncommitted, files: new RunFiles(paths.home, project) });
}

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

/** A run of a project, in its workspace. */
interface Session {
  readonly context: HostContext;
  readonly input: EvolveInput;
  readonly run: Run;
  readonly found: FoundProject;
  readonly workspace: Workspace;
  readonly type: EvolveType;
}

/** [EV17] Plans, submits, works and reports; an unfinished run is continued. */
export async function evolve(context: HostContext, input: EvolveInput, run: Run): Promise<Result<Evolved, Failure>> {
  const found = await findProject(context, input.folder ?? run.cwd);
  if (!found.ok) return found;
  const made = typeOf(context, input, run, found.value);
  if (!made.ok) return made;
  const { name, type } = made.value;
  const { files, folder, base } = found.value;
  return withWorkspace<Evolved>(context, async (workspace) => {
    const session = { context, input, run, found: found.value, workspace, type };
    const open = files.runs().find(({ report }) => report?.isEnded !== true);
    if (open && !input.dryRun) {
      const since = age(context.site.now() - open.at);
      context.progress?.(`Continuing the run of ${since} ago; \`shim code evolve stop\` ends it.`);
      return workOn(session, open);
    }
    const plan = await planRun(session);
    if (!plan.ok) return plan;
    const { budgetCost, budgetTokens: tokens, timeLimitMs: timeMs, maxRejected } = input;
    const costMicros = budgetCost === undefined ? undefined : Math.round(budgetCost * 1_000_000);
    const limits = RunLimits.parse(omitUndefined({ timeMs, tokens, costMicros, maxRejected }));
    const planned = { kind: "planned", plan: plan.value, limits, folder } as const;
    const { candidates, facts } = plan.value;
    if (input.dryRun || candidates.length === 0) return ok(planned);
    run.onPlan(planned);
    const rules = JudgeRules.parse({ allowsApi: input.allowApi });
    const stored: RunFile = {
      version: 1,
      requestId: `evolve-${newId(nodePlatform())}`,
      type: name,
      base,
      at: context.site.now(),
      tasks: toTasks(candidates, { type: name, rules, limits, facts }).map((one) => NewTask.parse(one)),
      job: null,
      tests: type.evolve?.tests ?? null,
      report: null,
    };
    // Stored first: a repeat after a crash is the same request.
    files.saveRun(stored);
    return workOn(session, stored);
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

async function planRun({ context, input, run, found, workspace, type }: Session): Promise<Result<Plan, Failure>> {
  const { retry, only = [], maxTasks } = input;
  const { base, uncommitted, folder, project } = found;
  const { signal } = run;
  const deps = await taskDeps(context, workspace);
  if (!deps.ok) return deps;
  context.progress?.(`Analysing ${folder} at ${base.slice(0, 12)}, and running its tests twice ...`);
  if (uncommitted > 0)
    context.progress?.(`Changes that are not committed are left out: ${pluralize(uncommitted, "file")}.`);
  const options = await evolveOptions(deps.value, type, project.top);
  const past = options.decisions();
  const decisions = retry ? { ...past, judged: nothingJudged } : past;
  const plan = await makePlan({ ...options, decisions }, { commit: base, signal, only, maxTasks });
  if (plan.ok) return plan;
  return signal.aborted
    ? fail("stopped", "it was stopped.")
    : fail("not_judged", `nothing was changed: ${plan.error}.`);
}

const pollMs = 1_000;

async function workOn(session: Session, stored: RunFile): Promise<Result<Evolved, Failure>> {
  const { context, input, run, found, workspace, type } = session;
  const { signal, emit, cwd } = run;
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
    const { report, isReported } = state.value;
    if (signal.aborted || (report.isEnded && isReported)) return finish(session, submitted.value, report);
    await pause(pollMs, undefined, { signal }).catch(() => undefined);
  }
}

/** The same request again has the same answer. */
async function submit(
  { call }: Workspace,
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
  { context, run: { signal }, found: { files, project } }: Session,
  run: RunFile,
  report: EvolveReport,
): Promise<Result<Evolved, Failure>> {
  const deps = await workDeps(context);
  if (!deps.ok) return deps;
  await removeAbandoned(deps.value);
  const ended = report.tried.filter(({ outcome }) => outcome !== "open" && outcome !== "running");
  const tasks = new Set(ended.map(({ task }) => task));
  await removeEnded(deps.value.home, deps.value, { ...project, tasks, since: run.at });
  files.saveRun({ ...run, report });
  return ok({ kind: "reported", report, isInterrupted: signal.aborted });
}

/** The report of the newest run, as it is now. */
export function newestReport(context: HostContext, folder: string): Promise<Result<EvolveReport, Failure>> {
  return withNewest(context, folder, async ({ call }, { job, report }) => {
    const state = await readRun(call, job);
    if (state.ok) return ok(state.value.report);
    return report ? ok(report) : state;
  });
}

/** Cancels the open tasks of the newest run. */
export function stopNewest(context: HostContext, folder: string): Promise<Result<{ readonly job: number }, Failure>> {
  return withNewest(context, folder, async ({ call }, { job }) => {
    const state = await readRun(call, job);
    if (!state.ok) return state;
    await cancelTasks(call, state.value.report.tried, ["open", "running"], "a person stopped the run");
    return ok({ job });
  });
}

async function withNewest<T>(
  context: HostContext,
  folder: string,
  body: (workspace: Workspace, run: RunFile & { readonly job: number }) => Promise<Result<T, Failure>>,
): Promise<Result<T, Failure>> {
  const found = await findProject(context, folder);
  if (!found.ok) return found;
  const [run] = found.value.files.runs();
  if (!run || run.job === null)
    return fail("not_found", "there is no run in this project yet: `shim code evolve` starts one.");
  const { job } = run;
  return withWorkspace(context, (workspace) => body(workspace, { ...run, job }));
}
