import * as z from "zod";
import type { Json } from "../contract/json.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { formatIssues } from "../shared/problems.ts";
import { ok, type Result } from "../shared/result.ts";
import { isTrusted } from "../tool-runner/project-folder.ts";
import { reserveForTask } from "../transform/reserve-files.ts";
import { claudeExecutor } from "../worker-runner/client/claude-executor.ts";
import { ClaudeSettings } from "../worker-runner/client/settings.ts";
import type { Executor, RunOutcome, TaskRun } from "../worker-runner/executor.ts";
import { CommandWords, type TaskDeps, type TypeSettings } from "../worker-runner/tasks/task-type.ts";
import { commonGitFolder, gitInFolder, resolveCommit } from "../worker-runner/work-git.ts";
import { EvolveTask, type PlanRequest } from "./candidate.ts";
import { failed, runChange, workerRules, type ChangeOptions } from "./change.ts";
import { makePlan, pastDecisions, type PastDecisions } from "./plan.ts";
import { RunFiles } from "./run-files.ts";
import { readRun, toTasks } from "./run.ts";

/** [EV13] A worker's settings for tasks of runs: what code runs is never chosen by a task. */
export const EvolveSettings = z.strictObject({
  /** The project's tools and tests may run, which are its code. */
  trust: z.boolean().default(false),
  /** Has to succeed, too. Default: the test framework alone. */
  tests: CommandWords.optional(),
  /** Folder of the package in the repository. Default: its top. */
  project: z
    .string()
    .regex(/^(?!\/)[^\p{Cc}]{1,400}$/u, "a folder in the repository")
    .refine((path) => !path.split("/").includes(".."), "a folder in the repository")
    .optional(),
  /** Does what no tool can. */
  claude: ClaudeSettings.optional(),
  /** Limit of each run of the tests. */
  timeLimitMs: z.int().min(1_000).max(86_400_000).default(1_800_000),
});
export type EvolveSettings = z.infer<typeof EvolveSettings>;

/** Type of tasks that are parts of runs. */
export interface EvolveType extends TypeSettings {
  readonly evolve?: EvolveSettings | undefined;
}

/** [EV13] Refused where the project's code would have to run, and nothing says that it may. */
export async function createEvolve(deps: TaskDeps, type: EvolveType, top: string): Promise<Result<Executor, Failure>> {
  const isAllowed = type.evolve?.trust === true || isTrusted(top, deps.runtime.config.analysis.trusted);
  if (!isAllowed) return fail("bad_input", "tests run code of the repository: set trust to true.");
  return ok(evolveExecutor(await evolveOptions(deps, type, top)));
}

export async function evolveOptions(
  deps: TaskDeps,
  { base = "HEAD", evolve = EvolveSettings.parse({}) }: EvolveType,
  top: string,
): Promise<EvolveOptions> {
  const { env, now, runtime, workspace } = deps;
  const { home } = runtime.paths;
  const { project: prefix = "", claude, tests, timeLimitMs: limitMs } = evolve;
  const project = { top, repository: await commonGitFolder(gitInFolder(env, top), top), prefix };
  const files = new RunFiles(home, project);
  const instruction = [workerRules, claude?.instruction ?? []].flat().join("\n\n");
  return {
    deps,
    project,
    files,
    claude: claude ? claudeExecutor({ ...deps, settings: { ...claude, instruction } }) : null,
    tests: tests ?? null,
    limitMs,
    base,
    call: workspace.call,
    reserve: (paths) => reserveForTask(workspace, { top, paths: [] }, paths),
    decisions: () => pastDecisions(home, files, now()),
  };
}

export interface EvolveOptions extends ChangeOptions {
  readonly decisions: () => PastDecisions;
}

/** [EV13] Does the tasks of runs: plans one, makes a change, reports. */
function evolveExecutor(options: EvolveOptions): Executor {
  const { claude, tests } = options;
  return {
    run: (run) => runTask(options, run),
    programs: [...(claude?.programs ?? []), ...(tests ? [tests[0]] : [])],
    // A plan makes its own, and a report reads.
    needsWorktree: ({ payload }) => EvolveTask.safeParse(payload).data?.evolve === "change",
  };
}

function runTask(options: EvolveOptions, run: TaskRun): Promise<RunOutcome> {
  const parsed = EvolveTask.safeParse(run.task.payload ?? {});
  if (!parsed.success) return Promise.resolve(failed(`the payload is not of this kind: ${formatIssues(parsed.error)}`));
  switch (parsed.data.evolve) {
    case "plan":
      return submitPlan(options, run, parsed.data);
    case "change":
      return runChange(options, run, parsed.data);
    case "report":
      return report(options, run);
  }
}

async function submitPlan(options: EvolveOptions, run: TaskRun, request: PlanRequest): Promise<RunOutcome> {
  const commit = await resolveCommit(gitInFolder(options.deps.env, options.project.top), options.base);
  const { signal } = run;
  const plan = await makePlan({ ...options, decisions: options.decisions() }, { ...request, commit, signal });
  if (!plan.ok) return signal.aborted ? { kind: "stopped" } : failed(plan.error);
  const { candidates, facts } = plan.value;
  const { type, task } = run.task;
  const { rules, limits, budget } = request;
  const tasks = toTasks(candidates, { type, rules, limits, budget, facts });
  // The same task submits the same run once, however often it is tried.
  const submitted = await options.call("tasks.submit", { tasks, requestId: `evolve-${task}` });
  if (!submitted.ok) return failed(submitted.error.message, submitted.error.code !== "key_reused");
  const job = submitted.value.tasks.at(-1)?.task ?? null;
  const listed = candidates.map(({ id, method, value, files }) => ({ id, method, value, files }));
  return { kind: "done", result: { job, plan: listed, facts } as unknown as Json };
}

async function report({ call }: EvolveOptions, { task: { task } }: TaskRun): Promise<RunOutcome> {
  const state = await readRun(call, task);
  return state.ok ? { kind: "done", result: state.value.report as unknown as Json } : failed(state.error.message, true);
}
