import { existsSync } from "node:fs";
import { join } from "node:path";
import { maxUsage, zeroUsage } from "../../contract/budgets.ts";
import type { OperationContext } from "../../machine/context/operation-context.ts";
import { withWorkspace } from "../../machine/sharing/operations/workspace.ts";
import { taskDeps } from "../../runner/worker/tasks/task-type.ts";
import { pluralize } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { createBranch, gitInFolder } from "../../snapshots/user-repository.ts";
import { findTarget, trustOf } from "../tool-runner/project-folder.ts";
import { parseTests } from "../tool-runner/run-tool.ts";
import { removeAbandoned, type RepositoryProject } from "../transform/worktree.ts";
import { describe, RunLimits, type Candidate, type EvolveInput } from "./candidate.ts";
import { makeChange, type ChangeOptions } from "./change.ts";
import { evolveOptions, makePlan, type EvolveSettings, type Plan } from "./plan.ts";
import { branchName, sharing, stopReason, toReport, type Change, type EvolveReport, type Run } from "./run.ts";

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

/** Plans a run, tries its changes one by one, and reports. What is kept has a branch at once. */
export async function evolve(
  context: OperationContext,
  input: EvolveInput,
  call: EvolveCall,
): Promise<Result<Evolved>> {
  const found = await findProject(context, input.folder ?? call.cwd);
  if (!found.ok) return found;
  const { project, folder } = found.value;
  const settings = settingsOf(context, input, call, project);
  if (!settings.ok) return settings;
  return withWorkspace<Evolved>(context, async (workspace) => {
    const deps = await taskDeps(context, workspace);
    if (!deps.ok) return deps;
    const options = evolveOptions(deps.value, project, settings.value);
    if (!options.ok) return options;
    const plan = await planRun(context, options.value, found.value, input, call.signal);
    if (!plan.ok) return plan;
    const { budgetCost, timeLimitMs: timeMs } = input;
    const costMicros = budgetCost === undefined ? undefined : Math.round(budgetCost * 1_000_000);
    const limits = RunLimits.parse(omitUndefined({ timeMs, costMicros }));
    const planned = { kind: "planned", plan: plan.value, limits, folder } as const;
    const { candidates, facts } = plan.value;
    if (input.dryRun || candidates.length === 0) return ok(planned);
    call.onPlan(planned);
    const run = { startedAt: deps.value.now(), allowsApi: input.allowApi, limits, facts, changes: [] };
    return ok(await workOn(context, options.value, candidates, run, call.signal));
  });
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

async function workOn(
  context: OperationContext,
  options: ChangeOptions,
  candidates: readonly Candidate[],
  run: Run,
  signal: AbortSignal,
): Promise<Evolved> {
  const { deps } = options;
  let stopped: string | null = null;
  for (const [at, candidate] of candidates.entries()) {
    stopped = signal.aborted ? "a person stopped it" : stopReason(run, deps.now());
    if (stopped !== null) break;
    const [number, dependsOn] = [at + 1, sharing(candidates, at)];
    context.progress?.(`Change ${number}: ${describe(candidate)}`);
    const change = await tryChange(context, options, run, { number, candidate, dependsOn }, signal);
    run.changes.push(change);
    context.progress?.(`Change ${number}: ${change.outcome}`);
  }
  await removeAbandoned(deps);
  return { kind: "reported", report: toReport(run, stopped, deps.now()), isInterrupted: signal.aborted };
}

async function tryChange(
  context: OperationContext,
  options: ChangeOptions,
  run: Run,
  change: Pick<Change, "number" | "candidate" | "dependsOn">,
  signal: AbortSignal,
): Promise<Change> {
  const { deps, project } = options;
  const leftMs = run.startedAt + run.limits.timeMs - deps.now();
  let used = zeroUsage;
  const since = deps.monotonic();
  const made = await makeChange({
    options,
    run,
    change,
    signal: AbortSignal.any([signal, AbortSignal.timeout(leftMs)]),
    onNote: (note) => context.progress?.(`Change ${change.number}: ${note}`),
    onUsage: (usage) => (used = maxUsage(used, usage)),
  });
  const { commit = null, findings = null, ...rest } = made;
  const branch = commit === null ? null : branchName(change.candidate, commit);
  if (branch !== null && commit !== null) await createBranch(gitInFolder(deps.env, project.top), branch, commit);
  return {
    ...change,
    ...rest,
    commit,
    findings,
    branch,
    used: { ...used, wallMs: Math.round(deps.monotonic() - since) },
  };
}
