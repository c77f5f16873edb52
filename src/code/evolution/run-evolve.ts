import { existsSync } from "node:fs";
import { join } from "node:path";
import type { OperationContext } from "../../machine/context/operation-context.ts";
import { withWorkspace } from "../../machine/sharing/operations/workspace.ts";
import { LockedError, withLock } from "../../platform/process-lock.ts";
import { mergeWorks, type MergedTask } from "../../runner/worker/task-branches.ts";
import { taskDeps } from "../../runner/worker/tasks/task-type.ts";
import { maxUsage } from "../../contract/budgets.ts";
import { pluralize } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { readDiff } from "../../snapshots/commit-work.ts";
import { run as runGit } from "../../snapshots/git.ts";
import { createBranch, gitInFolder } from "../../snapshots/user-repository.ts";
import { trustOf, findTarget } from "../tool-runner/project-folder.ts";
import { parseTests } from "../tool-runner/run-tool.ts";
import { removeAbandoned, type RepositoryProject } from "../transform/worktree.ts";
import { describe, RunLimits, type EvolveInput } from "./candidate.ts";
import { makeChange, type ChangeOptions } from "./change.ts";
import { evolveOptions, EvolveSettings, makePlan, type Plan } from "./plan.ts";
import {
  offeredChanges,
  ProjectRuns,
  stopReason,
  stopRun,
  toDecision,
  toReport,
  toRun,
  type Change,
  type EvolveReport,
  type Offered,
  type Run,
} from "./run.ts";

interface FoundProject {
  readonly project: RepositoryProject;
  readonly folder: string;
  /** Commit that changes start from. */
  readonly base: string;
  readonly uncommitted: number;
}

/** The package in a folder of a repository. */
async function findProject({ site }: OperationContext, folder: string): Promise<Result<FoundProject>> {
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

export interface EvolveCall {
  readonly settings: EvolveSettings;
  readonly cwd: string;
  readonly signal: AbortSignal;
  /** Gets the plan before work begins. */
  readonly onPlan: (planned: Planned) => void;
}

/** Plans a run, tries its changes one by one, and reports; continues an unfinished run. */
export async function evolve(
  context: OperationContext,
  input: EvolveInput,
  call: EvolveCall,
): Promise<Result<Evolved>> {
  const found = await findProject(context, input.folder ?? call.cwd);
  if (!found.ok) return found;
  const { project } = found.value;
  const settings = settingsOf(context, input, call, project);
  if (!settings.ok) return settings;
  return withWorkspace<Evolved>(context, async (workspace) => {
    const deps = await taskDeps(context, workspace);
    if (!deps.ok) return deps;
    const options = evolveOptions(deps.value, project, settings.value);
    if (!options.ok) return options;
    return exclusively(context, options.value.runs, () =>
      planAndWork(context, options.value, found.value, input, call),
    );
  });
}

/** Long enough to break the lock of a process that has died. */
const lockWaitMs = 500;

/** @param body has the runs of the project for itself */
async function exclusively<T>(
  context: OperationContext,
  runs: ProjectRuns,
  body: () => Promise<Result<T>>,
): Promise<Result<T>> {
  const { processes } = await context.runtime();
  try {
    return await withLock(runs.lock, processes, AbortSignal.timeout(lockWaitMs), body);
  } catch (error) {
    if (!(error instanceof LockedError)) throw error;
    return fail("in_use", "another `shim code evolve` is at work in this project: end it with Ctrl-C first.");
  }
}

async function planAndWork(
  context: OperationContext,
  options: ChangeOptions,
  found: FoundProject,
  input: EvolveInput,
  call: EvolveCall,
): Promise<Result<Evolved>> {
  const { runs } = options;
  const newest = runs.newest();
  if (newest?.endedAt === null && !input.dryRun) {
    context.progress?.(`Continuing run ${newest.run}; \`shim code evolve stop\` ends it.`);
    return workOn(context, options, newest, call.signal);
  }
  const plan = await planRun(context, options, found, input, call.signal);
  if (!plan.ok) return plan;
  const { budgetCost, timeLimitMs: timeMs } = input;
  const costMicros = budgetCost === undefined ? undefined : Math.round(budgetCost * 1_000_000);
  const limits = RunLimits.parse(omitUndefined({ timeMs, costMicros }));
  const planned = { kind: "planned", plan: plan.value, limits, folder: found.folder } as const;
  const { candidates, facts } = plan.value;
  if (input.dryRun || candidates.length === 0) return ok(planned);
  call.onPlan(planned);
  const startedAt = options.deps.now();
  const run = toRun(runs, candidates, { startedAt, allowsApi: input.allowApi, limits, facts });
  runs.put(run);
  return workOn(context, options, run, call.signal);
}

/** Choices of the user for the run; the code that is changed makes none of them. */
function settingsOf(
  { paths }: OperationContext,
  { trust, tests: words }: EvolveInput,
  { settings }: EvolveCall,
  { top }: RepositoryProject,
): Result<EvolveSettings> {
  const trusted = trustOf(paths.config, top, trust);
  if (!trusted.ok) return trusted;
  if (!trusted.value)
    return fail(
      "not_trusted",
      "changes are judged by the project's own tools and tests, which run its code. --trust allows that this time, and the setting analysis.trusted always.",
    );
  const tests = words === undefined ? ok(undefined) : parseTests(words);
  return tests.ok ? ok({ ...settings, ...omitUndefined({ tests: tests.value }) }) : tests;
}

async function planRun(
  context: OperationContext,
  options: ChangeOptions,
  { base, uncommitted, folder }: FoundProject,
  { retry: isRetry, only = [], maxTasks }: EvolveInput,
  signal: AbortSignal,
): Promise<Result<Plan>> {
  context.progress?.(`Analysing ${folder} at ${base.slice(0, 12)}, and running its tests twice ...`);
  if (uncommitted > 0)
    context.progress?.(`Changes that are not committed are left out: ${pluralize(uncommitted, "file")}.`);
  const plan = await makePlan(options, { commit: base, signal, only, maxTasks, isRetry });
  if (plan.ok) return plan;
  return signal.aborted
    ? fail("stopped", "it was stopped.")
    : fail("not_judged", `nothing was changed: ${plan.error}.`);
}

/** The loop of a run: each change is stored before the next one begins. */
async function workOn(
  context: OperationContext,
  options: ChangeOptions,
  begun: Run,
  signal: AbortSignal,
): Promise<Result<Evolved>> {
  const { deps, runs } = options;
  let run = begun;
  const store = (next: Run): void => runs.put((run = next));
  for (const { number } of begun.changes) {
    const change = run.changes.find((one) => one.number === number);
    // A process that died may have stored a change that was kept, and not made its branch.
    if (change?.outcome === "kept" && change.decided === null) await offer(options, change);
    if (change?.outcome !== "open" || signal.aborted) continue;
    const reason = stopReason(run, deps.now());
    if (reason !== null) {
      store(stopRun(run, reason, deps.now()));
      break;
    }
    context.progress?.(`Change ${number}: ${describe(change.candidate)}`);
    const made = await tryChange(context, options, run, change, signal);
    store({ ...run, changes: run.changes.map((one) => (one.number === number ? made : one)) });
    if (made.outcome === "kept") await offer(options, made);
  }
  if (run.endedAt === null && run.changes.every(({ outcome }) => outcome !== "open"))
    store({ ...run, endedAt: deps.now() });
  await removeAbandoned(deps);
  return ok({ kind: "reported", report: toReport(run, deps.now()), isInterrupted: signal.aborted });
}

async function tryChange(
  context: OperationContext,
  options: ChangeOptions,
  run: Run,
  change: Change,
  signal: AbortSignal,
): Promise<Change> {
  const { deps } = options;
  const leftMs = run.startedAt + run.limits.timeMs - deps.now();
  let { used } = change;
  const since = deps.monotonic();
  const made = await makeChange({
    options,
    run,
    change,
    signal: AbortSignal.any([signal, AbortSignal.timeout(leftMs)]),
    onNote: (note) => context.progress?.(`Change ${change.number}: ${note}`),
    onUsage: (usage) => (used = maxUsage(used, usage)),
  });
  const wallMs = change.used.wallMs + Math.round(deps.monotonic() - since);
  const tried = { ...change, ...made, used: { ...used, wallMs } };
  if (made.outcome !== "open") context.progress?.(`Change ${change.number}: ${made.outcome}`);
  return tried;
}

/** Makes the branch of a change that was kept, unless it is there. */
async function offer({ deps, project }: ChangeOptions, { branch, commit }: Change): Promise<void> {
  if (branch !== null && commit !== null) await createBranch(gitInFolder(deps.env, project.top), branch, commit);
}

/** The report of the newest run, as it is now. */
export function newestReport(context: OperationContext, folder: string): Promise<Result<EvolveReport>> {
  return withNewest(context, folder, (_runs, run) => Promise.resolve(ok(toReport(run, context.site.now()))));
}

/** Ends the newest run: what is open is not tried. */
export function stopNewest(context: OperationContext, folder: string): Promise<Result<{ readonly run: number }>> {
  return withNewest(context, folder, (runs, { run }) =>
    exclusively(context, runs, () => {
      const newest = runs.newest();
      if (newest?.endedAt === null) runs.put(stopRun(newest, "a person stopped the run", context.site.now()));
      return Promise.resolve(ok({ run }));
    }),
  );
}

async function withNewest<T>(
  context: OperationContext,
  folder: string,
  body: (runs: ProjectRuns, run: Run) => Promise<Result<T>>,
): Promise<Result<T>> {
  const found = await findProject(context, folder);
  if (!found.ok) return found;
  const runs = new ProjectRuns(context.paths.home, found.value.project);
  const newest = runs.newest();
  if (newest === null) return fail("not_found", "there is no run in this project yet: `shim code evolve` starts one.");
  return body(runs, newest);
}

export interface Accepted extends MergedTask {
  readonly branch: string;
  /** False: git refuses, since the branch is checked out. */
  readonly isDeleted: boolean;
}

/** Decisions of a person about the kept changes of all runs of a project. */
export interface Review {
  readonly offered: readonly Offered[];
  /** Merges it into the current branch. */
  readonly accept: (change: number) => Promise<Result<Accepted>>;
  /** The change is never proposed again. */
  readonly reject: (change: number, reason: string) => Result<Offered>;
  /** Its patch. */
  readonly diff: (change: number) => Promise<string>;
}

/** Reviews the project in a folder. */
export async function withReview<T>(
  context: OperationContext,
  folder: string,
  body: (review: Review) => Promise<Result<T>>,
): Promise<Result<T>> {
  const found = await findProject(context, folder);
  if (!found.ok) return found;
  const runs = new ProjectRuns(context.paths.home, found.value.project);
  return exclusively(context, runs, () => body(toReview(context, runs, found.value)));
}

function toReview({ site }: OperationContext, runs: ProjectRuns, { project, folder }: FoundProject): Review {
  const offered = offeredChanges(runs);
  const git = gitInFolder(site.env, project.top);
  const find = (change: number): Result<Offered> => {
    const found = offered.find((one) => one.number === change);
    if (found) return ok(found);
    const waiting = offered.map((one) => one.number).join(", ") || "none";
    return fail("not_found", `change ${change} does not wait for a decision; these do: ${waiting}.`);
  };
  /** @param reason null: accepted */
  const decide = ({ number, candidate }: Offered, reason: string | null): void => {
    const decided = reason === null ? "accepted" : "rejected";
    const run = runs.all().find(({ changes }) => changes.some((one) => one.number === number));
    const changes = run?.changes.map((one) => (one.number === number ? ({ ...one, decided } as const) : one)) ?? [];
    if (run) runs.put({ ...run, changes });
    runs.addDecision({ ...toDecision(candidate), isAccepted: reason === null, reason, at: site.now() });
  };
  return {
    offered,
    accept: async (change) => {
      const one = find(change);
      if (!one.ok) return one;
      const { number: task, branch, commit, dependsOn } = one.value;
      // The work of a change that the judge rejected is in no branch.
      const changes = runs.all().flatMap((run) => run.changes);
      const spoiled = dependsOn.find((before) =>
        changes.some(({ number, decided }) => number === before && decided === "rejected"),
      );
      if (spoiled !== undefined)
        return fail(
          "contains_rejected",
          `change ${change} began with the work of change ${spoiled}, which was rejected. Reject it, or merge by hand.`,
        );
      const checkout = { env: site.env, folder, remote: undefined };
      const merged = await mergeWorks(checkout, task, [{ task, branch, commit, machine: null }], site.now());
      if (!merged.ok) return merged;
      decide(one.value, null);
      // Git refuses a branch that has commits of its own, or that is checked out.
      const { code } = await runGit(git, ["branch", "--quiet", "-d", "--", branch], "", [0, 1]);
      return ok({ ...merged.value, branch, isDeleted: code === 0 });
    },
    reject: (change, reason) => {
      const one = find(change);
      if (one.ok) decide(one.value, reason);
      return one;
    },
    diff: async (change) => {
      const one = find(change);
      return one.ok ? (await readDiff(git, one.value.start, one.value.commit)).diff : one.error.message;
    },
  };
}
