import * as z from "zod";
import type { Json } from "../../contract/json.ts";
import { fail, type Failure, ok, type Result } from "../../shared/result.ts";
import { isTrusted } from "../tool-runner/project-folder.ts";
import { reserveForTask } from "../transform/reserve-files.ts";
import { claudeExecutor } from "../../runner/worker/client/claude-executor.ts";
import { ClaudeSettings, CommandWords } from "../../runner/worker/client/settings.ts";
import { failed, readPayload, type Executor, type RunOutcome, type TaskRun } from "../../runner/worker/executor.ts";
import { type TaskDeps, type TypeSettings } from "../../runner/worker/tasks/task-type.ts";
import { openRepository, gitInFolder, resolveCommit } from "../../snapshots/user-repository.ts";
import { EvolveTask, type PlanRequest } from "./candidate.ts";
import { runChange, workerRules, type ChangeOptions } from "./change.ts";
import { Decisions, runTag, readRun, toTasks } from "./run.ts";
import { makePlan } from "./plan.ts";

/** A worker's settings for tasks of runs: what code runs is never chosen by a task. */
export const EvolveSettings = z.strictObject({
  /** The project's tools and tests may run, which are its code. */
  trust: z.boolean().default(false),
  /** Has to succeed. Default: `npm test`. */
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

/** Refused where the project's code would have to run, and nothing says that it may. */
export async function createEvolve(deps: TaskDeps, type: EvolveType, top: string): Promise<Result<Executor, Failure>> {
  const isAllowed = type.evolve?.trust === true || isTrusted(top, deps.runtime.config.analysis.trusted);
  if (!isAllowed) return fail("bad_input", "tests run code of the repository: set trust to true.");
  const options = await evolveOptions(deps, type, top);
  const { claude, tests } = options;
  return ok({
    run: (run) => runTask(options, run),
    programs: [...(claude?.programs ?? []), ...(tests ? [tests[0]] : [])],
    // A plan makes its own, and a report reads.
    needsWorktree: ({ payload }) => EvolveTask.safeParse(payload).data?.evolve === "change",
  });
}

export async function evolveOptions(
  deps: TaskDeps,
  { base = "HEAD", evolve = EvolveSettings.parse({}) }: EvolveType,
  top: string,
): Promise<ChangeOptions> {
  const { env, runtime, workspace } = deps;
  const { project: prefix = "", claude, tests = null, timeLimitMs: limitMs } = evolve;
  const { repository } = await openRepository(env, top);
  const project = { top, repository, prefix };
  const instruction = [workerRules, claude?.instruction ?? []].flat().join("\n\n");
  return {
    deps,
    project,
    decisions: new Decisions(runtime.paths.home, project),
    claude: claude ? claudeExecutor({ ...deps, settings: { ...claude, instruction } }) : null,
    tests,
    limitMs,
    base,
    workspace,
    reserve: (paths) => reserveForTask(workspace, { top, paths: [] }, paths),
  };
}

/** Does the tasks of runs: plans one, makes a change, reports. */
function runTask(options: ChangeOptions, run: TaskRun): Promise<RunOutcome> {
  const payload = readPayload(EvolveTask, run.task.payload);
  if (!payload.ok) return Promise.resolve(payload.error);
  switch (payload.value.evolve) {
    case "plan":
      return submitPlan(options, run, payload.value);
    case "change":
      return runChange(options, run, payload.value);
    case "report":
      return report(options, run);
  }
}

async function submitPlan(options: ChangeOptions, run: TaskRun, request: PlanRequest): Promise<RunOutcome> {
  const { deps, project, workspace, base } = options;
  const commit = await resolveCommit(gitInFolder(deps.env, project.top), base);
  const { signal } = run;
  const plan = await makePlan(options, { ...request, commit, isRetry: false, signal });
  if (!plan.ok) return signal.aborted ? { kind: "stopped" } : failed(plan.error);
  const { candidates, facts } = plan.value;
  const { type, task } = run.task;
  const { allowsApi, limits } = request;
  const tasks = toTasks(candidates, { type, tag: runTag(project), allowsApi, limits, facts });
  // The same task submits the same run once, however often it is tried.
  const submitted = await workspace.call("tasks.submit", { tasks, requestId: `evolve-${task}` });
  if (!submitted.ok) return failed(submitted.error.message, submitted.error.code !== "key_reused");
  const job = submitted.value.tasks.at(-1)?.task ?? null;
  const listed = candidates.map(({ id, method, value, files }) => ({ id, method, value, files }));
  return { kind: "done", result: { job, plan: listed, facts } as unknown as Json };
}

async function report({ workspace }: ChangeOptions, { task: { task } }: TaskRun): Promise<RunOutcome> {
  const state = await readRun(workspace, task);
  return state.ok ? { kind: "done", result: state.value.report as unknown as Json } : failed(state.error.message, true);
}
