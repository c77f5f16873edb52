import type { ClaudeSettings } from "../worker-runner/client/settings.ts";
import { claudeExecutor } from "../worker-runner/client/claude-executor.ts";
import type { Executor } from "../worker-runner/executor.ts";
import type { TaskDeps, TypeSettings } from "../worker-runner/tasks/task-type.ts";
import { commonGitFolder, gitInFolder } from "../worker-runner/work-git.ts";
import { testRunner } from "../mutation/run-tests.ts";
import { fail, type Failure } from "../shared/failure.ts";
import { ok, type Result } from "../shared/result.ts";
import { defaultMemoryMb } from "../tool-runner/analyze.ts";
import { probeIsolation } from "../tool-runner/isolation.ts";
import { isTrusted } from "../tool-runner/project-folder.ts";
import { reserveForTask } from "../transform/reserve-files.ts";
import { evolveExecutor, type EvolveOptions } from "./evolve-executor.ts";
import { EvolveSettings } from "./evolve-settings.ts";
import { MeasuredFiles } from "./measured-files.ts";
import { pastDecisions } from "./past-decisions.ts";
import { RunFiles } from "./run-files.ts";
import { workerRules } from "./worker-prompt.ts";

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
  const { env, now, monotonic, runtime, workspace } = deps;
  const { home } = runtime.paths;
  const { project: prefix = "", claude, tests, timeLimitMs: limitMs } = evolve;
  const project = { top, repository: await commonGitFolder(gitInFolder(env, top), top), prefix };
  const isolation = probeIsolation(env["PATH"] ?? "");
  const runTests = testRunner({ env, isolation, memoryMb: defaultMemoryMb, now: monotonic });
  return {
    deps: { ...deps, runTests },
    project,
    measuredFiles: new MeasuredFiles(new RunFiles(home, project).measured),
    claude: claude ? claudeExecutor({ ...deps, settings: withRules(claude) }) : null,
    tests: tests ?? null,
    limitMs,
    base,
    call: workspace.call,
    reserve: (files) => reserveForTask(workspace, { top, paths: [] }, files),
    decisions: () => pastDecisions(home, project, now()),
  };
}

function withRules(settings: ClaudeSettings): ClaudeSettings {
  const { instruction } = settings;
  return { ...settings, instruction: instruction === undefined ? workerRules : `${workerRules}\n\n${instruction}` };
}
