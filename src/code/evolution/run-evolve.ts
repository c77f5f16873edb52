import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { OperationContext } from "../../machine/operations/operation-context.ts";
import { withWorkspace, type Workspace } from "../../machine/operations/workspace.ts";
import type { EmitWorkerEvent } from "../../runner/worker/attempt.ts";
import { workDeps } from "../../runner/worker/machine-deps.ts";
import { diffTask, mergeTask, type MergedTask } from "../../runner/worker/task-branches.ts";
import { runTasksIn, taskDeps } from "../../runner/worker/tasks/task-type.ts";
import { removeEnded } from "../../runner/worker/worktrees.ts";
import { pluralize } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { fail, type Failure, ok, type Result } from "../../shared/result.ts";
import { run } from "../../snapshots/git.ts";
import { gitInFolder } from "../../snapshots/user-repository.ts";
import { trustOf, findTarget } from "../tool-runner/project-folder.ts";
import { parseTests } from "../tool-runner/run-tool.ts";
import { removeAbandoned, type RepositoryProject } from "../transform/worktree.ts";
import { RunLimits, type EvolveInput } from "./candidate.ts";
import {
  createEvolve,
  evolveOptions,
  EvolveSettings,
  type EvolveType,
  makePlan,
  type Plan,
} from "./evolve-executor.ts";
import {
  runTag,
  cancelTasks,
  newestRun,
  readRun,
  toTasks,
  type EvolveReport,
  Decisions,
  offeredChanges,
  type Offered,
} from "./run.ts";

interface FoundProject {
  readonly project: RepositoryProject;
  readonly folder: string;
  /** Commit that changes start from. */
  readonly base: string;
  readonly uncommitted: number;
}

/** The package in a folder of a repository. */
async function findProject({ site }: OperationContext, folder: string): Promise<Result<FoundProject, Failure>> {
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

export interface Accepted extends MergedTask {
  readonly branch: string;
  /** False: git refuses, since the branch is checked out. */
  readonly isDeleted: boolean;
}

/** Decisions of a person about the kept changes of all runs of a project. */
export interface Review {
  readonly offered: readonly Offered[];
  /** Merges it into the current branch, as a task. */
  readonly accept: (task: number) => Promise<Result<Accepted, Failure>>;
  /** The change is never proposed again. */
  readonly reject: (task: number, reason: string) => Result<Offered, Failure>;
  /** Its patch, or why there is none. */
  readonly diff: (task: number) => Promise<string>;
}

/** Reviews the project in a folder. */
export async function withReview<T>(
  context: OperationContext,
  folder: string,
  body: (review: Review) => Promise<Result<T, Failure>>,
): Promise<Result<T, Failure>> {
  const found = await findProject(context, folder);
  if (!found.ok) return found;
  return withWorkspace(context, async (workspace) => {
    const decisions = new Decisions(context.paths.home, found.value.project);
    const offered = await offeredChanges(workspace, found.value.project, decisions);
    return offered.ok ? body(toReview(context, workspace, found.value, decisions, offered.value)) : offered;
  });
}

function toReview(
  { site }: OperationContext,
  { call }: Workspace,
  { project, folder }: FoundProject,
  decisions: Decisions,
  offered: readonly Offered[],
): Review {
  const checkout = { env: site.env, folder, remote: undefined };
  const find = (task: number): Result<Offered, Failure> => {
    const found = offered.find((one) => one.task === task);
    if (found) return ok(found);
    const waiting = offered.map((one) => one.task).join(", ") || "none";
    return fail("not_found", `task ${task} offers no change that waits for a decision; these do: ${waiting}.`);
  };
  /** @param reason null: accepted */
  const decide = ({ task, candidate, rules, fingerprints }: Offered, reason: string | null): void =>
    decisions.add({ task, candidate, isAccepted: reason === null, reason, rules, fingerprints, at: site.now() });
  return {
    offered,
    accept: async (task) => {
      const one = find(task);
      if (!one.ok) return one;
      // The work of a change that the judge rejected is in no branch.
      const refused = decisions.all().filter(({ isAccepted, by }) => !isAccepted && by === undefined);
      const spoiled = one.value.dependsOn.find((before) => refused.some((past) => past.task === before));
      if (spoiled !== undefined)
        return fail(
          "contains_rejected",
          `task ${task} began with the work of task ${spoiled}, which was rejected. Reject it, or merge by hand.`,
        );
      const found = await call("tasks.get", { task });
      if (!found.ok) return found;
      const merged = await mergeTask(checkout, (input) => call("tasks.get", input), found.value, site.now());
      if (!merged.ok) return merged;
      decide(one.value, null);
      const { branch } = one.value;
      // Git refuses a branch that has commits of its own, or that is checked out.
      const git = gitInFolder(site.env, project.top);
      const { code } = await run(git, ["branch", "--quiet", "-d", "--", branch], "", [0, 1]);
      return ok({ ...merged.value, branch, isDeleted: code === 0 });
    },
    reject: (task, reason) => {
      const one = find(task);
      if (one.ok) decide(one.value, reason);
      return one;
    },
    diff: async (task) => {
      const found = await call("tasks.get", { task });
      const diff = found.ok ? await diffTask(checkout, found.value) : found;
      return diff.ok ? diff.value.diff : diff.error.message;
    },
  };
}
