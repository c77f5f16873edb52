import type { Json } from "../contract/json.ts";
import { formatIssues } from "../shared/problems.ts";
import type { Executor, RunOutcome, TaskRun } from "../worker-runner/executor.ts";
import { gitInFolder, resolveCommit } from "../worker-runner/work-git.ts";
import { EvolveTask, type PlanRequest } from "./candidate.ts";
import { runChange, type ChangeOptions } from "./change-executor.ts";
import { makePlan, type PastDecisions } from "./make-plan.ts";
import { toTasks } from "./plan-tasks.ts";
import { toReport } from "./report.ts";
import { readRun } from "./run-state.ts";

export interface EvolveOptions extends ChangeOptions {
  readonly decisions: () => PastDecisions;
}

/** [EV13] Does the tasks of runs: plans one, makes a change, reports. */
export function evolveExecutor(options: EvolveOptions): Executor {
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
  return state.ok
    ? { kind: "done", result: toReport(state.value) as unknown as Json }
    : failed(state.error.message, true);
}

function failed(reason: string, isRetryable = false): RunOutcome {
  return { kind: "failed", reason, isRetryable };
}
