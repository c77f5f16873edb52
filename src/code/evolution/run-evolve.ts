import { existsSync, realpathSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { maxUsage, zeroUsage } from "../../contract/budgets.ts";
import type { OperationContext } from "../../machine/context/operation-context.ts";
import { isOnPath } from "../../platform/program-path.ts";
import { claudeExecutor } from "../../runner/worker/client/claude-executor.ts";
import { clientDeps, workDeps } from "../../runner/worker/machine-deps.ts";
import { pluralize } from "../../shared/format.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import { createBranch, gitInFolder } from "../../snapshots/user-repository.ts";
import { findTarget, requireTrust } from "../tool-runner/project-folder.ts";
import { parseTests } from "../tool-runner/run-tool.ts";
import { removeAbandoned, type RepositoryProject } from "../tool-runner/worktree.ts";
import { describe, RunLimits, type EvolveInput, type EvolveSettings } from "./candidate.ts";
import { makeChange, testRules, workerRules, type ChangeOptions } from "./change.ts";
import type { Patches } from "./fixers.ts";
import { makePlan, planRules, planTests, type Plan } from "./plan.ts";
import { branchName, Rejections, stopReason, toReport, type Change, type EvolveReport, type Run } from "./run.ts";

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

/** Purpose of a run. */
export type Goal =
  | { readonly kind: "findings" }
  /** Absolute path of the file that tests are written for. */
  | { readonly kind: "tests"; readonly file: string }
  /** Rules of ast-grep. */
  | { readonly kind: "rules"; readonly rules: string };

export interface EvolveCall {
  readonly settings: EvolveSettings;
  readonly cwd: string;
  readonly signal: AbortSignal;
  readonly goal: Goal;
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
  const options = await optionsOf(context, input, call, project);
  if (!options.ok) return options;
  const { deps } = options.value;
  const { budgetCost, timeLimitMs: timeMs, allowApi: allowsApi } = input;
  const costMicros = budgetCost === undefined ? undefined : Math.round(budgetCost * 1_000_000);
  const limits = RunLimits.parse(omitUndefined({ timeMs, costMicros }));
  const startedAt = deps.now();
  // The other half is for the tests that are then written.
  const until = startedAt + Math.trunc(limits.timeMs / 2);
  const plan = await planRun(context, options.value, found.value, input, { ...call, until });
  if (!plan.ok) return plan;
  const planned = { kind: "planned", plan: plan.value, limits, folder } as const;
  const { candidates, facts, measured: head } = plan.value;
  const isIdle = candidates.every(({ method }) => method === "worker" && options.value.claude === null);
  if (input.dryRun || isIdle || head === null) return ok(planned);
  call.onPlan(planned);
  const run = { startedAt, allowsApi, limits, facts, changes: [], head };
  return ok(await workOn(context, options.value, plan.value, run, call.signal));
}

/** Choices of the user for the run; the code that is changed makes none of them. */
async function optionsOf(
  context: OperationContext,
  { trust, tests: words }: EvolveInput,
  { settings: { claude }, goal }: Pick<EvolveCall, "settings" | "goal">,
  project: RepositoryProject,
): Promise<Result<ChangeOptions>> {
  const { paths, site } = context;
  const trusted = requireTrust(paths.config, project.top, trust);
  if (!trusted.ok) return trusted;
  const tests = words === undefined ? ok(null) : parseTests(words);
  if (!tests.ok) return tests;
  if (claude && !isOnPath(claude.program, site.env)) return fail("bad_input", `there is no program ${claude.program}.`);
  const work = await workDeps(context);
  if (!work.ok) return work;
  const deps = { ...work.value, ...(await clientDeps(context)) };
  const instruction = [goal.kind === "tests" ? testRules : workerRules, claude?.instruction ?? []].flat().join("\n\n");
  return ok({
    deps,
    project,
    rejections: new Rejections(paths.home, project),
    claude: claude ? claudeExecutor({ ...deps, settings: { ...claude, instruction } }) : null,
    tests: tests.value,
  });
}

async function planRun(
  context: OperationContext,
  options: ChangeOptions,
  { base, uncommitted, folder }: FoundProject,
  { retry: isRetry, only = [], maxTasks, dryRun: isDryRun }: EvolveInput,
  { signal, goal, until }: Pick<EvolveCall, "signal" | "goal"> & { readonly until: number },
): Promise<Result<Plan>> {
  const work = goal.kind === "rules" && isDryRun ? "Applying the rules to" : "Analysing, and testing twice,";
  context.progress?.(`${work} ${folder}, commit ${base.slice(0, 12)}: this takes a while`);
  if (uncommitted > 0)
    context.progress?.(`Changes that are not committed are left out: ${pluralize(uncommitted, "file")}.`);
  const request = { commit: base, signal, only, maxTasks, isRetry, isDryRun };
  const plan = await planFor(goal, options, request, {
    folder,
    until,
    onNote: (note) => context.progress?.(note),
  });
  if (plan.ok) return plan;
  return signal.aborted
    ? fail("stopped", "it was stopped.")
    : fail("not_judged", `nothing was changed: ${plan.error}.`);
}

function planFor(
  goal: Goal,
  options: ChangeOptions,
  request: Parameters<typeof makePlan>[1] & { readonly isDryRun: boolean },
  { folder, ...hunt }: Pick<FoundProject, "folder"> & Pick<Parameters<typeof planTests>[1], "until" | "onNote">,
): Promise<Result<Plan, string>> {
  switch (goal.kind) {
    case "findings":
      return makePlan(options, request);
    case "rules":
      return planRules(options, { ...request, rules: goal.rules });
    case "tests": {
      const file = relative(realpathSync(folder), realpathSync(goal.file)).split(sep).join("/");
      return planTests(options, { ...request, ...hunt, file });
    }
  }
}

/** Each change is made and judged; one that is kept is where the next one begins. */
async function workOn(
  context: OperationContext,
  options: ChangeOptions,
  { candidates, patches }: Pick<Plan, "candidates" | "patches">,
  run: Run,
  signal: AbortSignal,
): Promise<Evolved> {
  const { deps } = options;
  let stopped: string | null = null;
  for (const [at, candidate] of candidates.entries()) {
    const now = deps.now();
    stopped = signal.aborted ? "a person stopped it" : stopReason(run, now);
    if (stopped !== null) break;
    const number = at + 1;
    context.progress?.(`Change ${number}: ${describe(candidate)}`);
    const change = await tryChange(
      context,
      options,
      run,
      { number, candidate },
      patches,
      AbortSignal.any([signal, timeLeft(run, now)]),
    );
    run.changes.push(change);
    context.progress?.(`Change ${number}: ${change.outcome}`);
  }
  await removeAbandoned(deps);
  return { kind: "reported", report: toReport(run, stopped, deps.now()), isInterrupted: signal.aborted };
}

/** @param now of the question whether any is left */
function timeLeft({ startedAt, limits }: Run, now: number): AbortSignal {
  return AbortSignal.timeout(startedAt + limits.timeMs - now);
}

async function tryChange(
  context: OperationContext,
  options: ChangeOptions,
  run: Run,
  change: Pick<Change, "number" | "candidate">,
  patches: Patches,
  signal: AbortSignal,
): Promise<Change> {
  const { deps, project } = options;
  let used = zeroUsage;
  const since = deps.monotonic();
  const {
    measured,
    leftOut = [],
    ...made
  } = await makeChange({
    options,
    run,
    patches,
    change,
    signal,
    onNote: (note) => context.progress?.(`Change ${change.number}: ${note}`),
    onUsage: (usage) => (used = maxUsage(used, usage)),
  });
  const spent = { ...used, wallMs: Math.round(deps.monotonic() - since) };
  const base = { ...change, ...made, leftOut, used: spent };
  if (!measured) return { ...base, commit: null, findings: null, branch: null };
  const { commit } = measured;
  const branch = branchName(change.candidate, commit);
  await createBranch(gitInFolder(deps.env, project.top), branch, commit);
  const findings = { before: run.head.findings.length, after: measured.findings.length };
  run.head = measured;
  return { ...base, commit, findings, branch };
}
