import { resolve } from "node:path";
import { evolveExecutor, type EvolveOptions } from "../../../evolution/evolve-executor.ts";
import { EvolveSettings } from "../../../evolution/evolve-settings.ts";
import { MeasuredFiles } from "../../../evolution/measured-files.ts";
import { RunFiles } from "../../../evolution/run-files.ts";
import { workerRules } from "../../../evolution/worker-prompt.ts";
import { defaultMemoryMb } from "../../../tool-runner/analyze.ts";
import { probeIsolation } from "../../../tool-runner/isolation.ts";
import { testRunner } from "../../../mutation/run-tests.ts";
import { isTrusted } from "../../../tool-runner/project-folder.ts";
import type { Executor } from "../../../worker-runner/executor.ts";
import type { ClaudeSettings } from "../../../worker-runner/claude/claude-settings.ts";
import { claudeExecutor } from "../../../worker-runner/claude/claude-executor.ts";
import { commonGitFolder, gitInFolder, worktreeTop } from "../../../worker-runner/work-git.ts";
import type { TypeConfig } from "./worker-config.ts";
import { pastDecisions } from "../../../evolution/past-decisions.ts";
import { worktreesIn } from "../../../worker-runner/work-record.ts";
import type { SetupDeps } from "./worker-setups.ts";

/** [EV13] @returns null: the project's code would have to run, and nothing says that it may */
export async function createEvolve(deps: SetupDeps, config: TypeConfig, from: string): Promise<Executor | null> {
  const options = await evolveOptions(deps, config, from);
  const { trusted } = deps.runtime.config.analysis;
  const isAllowed = config.evolve?.trust === true || isTrusted(options.project.top, trusted);
  return isAllowed ? evolveExecutor(options) : null;
}

export async function evolveOptions(deps: SetupDeps, config: TypeConfig, from: string): Promise<EvolveOptions> {
  const { runtime, ownProcess, random, call, launch, versionOf, monotonic, reserveFiles } = deps;
  const { env, now, processes, paths } = runtime;
  const { repository = ".", base = "HEAD", evolve = EvolveSettings.parse({}) } = config;
  const { project: prefix = "", claude, tests, timeLimitMs: limitMs } = evolve;
  const top = await worktreeTop(env, resolve(from, repository));
  const project = { top, repository: await commonGitFolder(gitInFolder(env, top), top), prefix };
  const files = new RunFiles(paths.home, project);
  const home = worktreesIn(paths.home);
  const runTests = testRunner({
    env,
    isolation: probeIsolation(env["PATH"] ?? ""),
    memoryMb: defaultMemoryMb,
    now: monotonic,
  });
  return {
    deps: { env, now, random, processes, self: ownProcess, home, monotonic, runTests },
    project,
    measuredFiles: new MeasuredFiles(files.measured),
    claude: claude ? claudeExecutor({ settings: withRules(claude), runtime, launch, versionOf, monotonic }) : null,
    tests: tests ?? null,
    limitMs,
    base,
    call,
    reserve: (files) => reserveFiles(top, [], files),
    decisions: () => pastDecisions(paths.home, project, now()),
  };
}

function withRules(settings: ClaudeSettings): ClaudeSettings {
  const { instruction } = settings;
  return { ...settings, instruction: instruction === undefined ? workerRules : `${workerRules}\n\n${instruction}` };
}
