import { statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { ClaudeSettings } from "../../../worker-runner/claude/claude-settings.ts";
import { clientAtLimit } from "../../../worker-runner/other-client/at-limit.ts";
import { claudeExecutor } from "../../../worker-runner/claude/claude-executor.ts";
import { commandExecutor, testedExecutor } from "../../../worker-runner/command-executor.ts";
import type { TaskSetup } from "../../../worker-runner/attempt.ts";
import type { Executor } from "../../../worker-runner/executor.ts";
import { hasRemote } from "../../../worker-runner/remote-branches.ts";
import { OutputFiles } from "../../../worker-runner/output-files.ts";
import { analyzeExecutor } from "../../../tool-runner/analyze-executor.ts";
import { type TaskFolders, fixedFolder } from "../../../worker-runner/task-folder.ts";
import { evolveFolders } from "../../../evolution/evolve-folders.ts";
import type { Caller } from "../../../evolution/run-state.ts";
import { createEvolve } from "./create-evolve.ts";
import { createTransform, type TransformSetupDeps } from "./create-transform.ts";
import type { TypeConfig, WorkerConfig } from "./worker-config.ts";
import { resolveCommit, gitInFolder, worktreeTop } from "../../../worker-runner/work-git.ts";
import type { InputSettings } from "../../../worker-runner/worktree-inputs.ts";
import { worktreesIn } from "../../../worker-runner/work-record.ts";
import { TaskWorktrees } from "../../../worker-runner/task-worktrees.ts";
import type { Launch } from "../../../platform/launch.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { isOnPath } from "../../../platform/program-path.ts";
import { GitError } from "../../../snapshots/git.ts";
import { ok, type Result } from "../../../shared/result.ts";
import { failed, wrongUsage, type FailedResult } from "../../answer.ts";

export interface WorkerPlan {
  readonly config: WorkerConfig;
  readonly folder: string;
}

export interface SetupDeps extends TransformSetupDeps {
  readonly call: Caller;
  readonly launch: Launch;
  /** Output of `<program> --version`; null when it cannot be run. */
  readonly versionOf: (program: string) => string | null;
  readonly machine: string;
  /** Monotonic ms; does not advance while the machine sleeps. */
  readonly monotonic: () => number;
}

export async function createSetups(
  deps: SetupDeps,
  { config, folder }: WorkerPlan,
): Promise<Result<ReadonlyMap<string, TaskSetup>, FailedResult["error"]>> {
  const setups = new Map<string, TaskSetup>();
  for (const [type, typeConfig] of Object.entries(config.types)) {
    // Checked before a task is claimed: each would fail three times.
    const missing = programsOf(typeConfig).find((program) => !isOnPath(program, deps.runtime.env));
    if (missing !== undefined) return wrongUsage(`${type}: there is no program ${missing}.`);
    const folders = await createFolders(deps, type, typeConfig, folder);
    if (!folders.ok) return folders;
    const executor = await createExecutor(deps, type, typeConfig, folder);
    if (!executor.ok) return executor;
    setups.set(type, { executor: executor.value, folders: folders.value });
  }
  return ok(setups);
}

function programsOf({ command, claude, transform, evolve, jobTests }: TypeConfig): string[] {
  const commands = [command, transform?.tests, evolve?.tests, jobTests].flatMap((words) => (words ? words[0] : []));
  const clients = [claude, evolve?.claude].flatMap((settings) => (settings ? clientsOf(settings) : []));
  return [...commands, ...clients];
}

function clientsOf({ program, atLimit }: ClaudeSettings): string[] {
  const other = clientAtLimit(atLimit)?.commands.run("", []).command;
  return [program, ...(other === undefined ? [] : [atLimit?.program ?? other])];
}

async function createExecutor(
  deps: SetupDeps,
  type: string,
  config: TypeConfig,
  from: string,
): Promise<Result<Executor, FailedResult["error"]>> {
  const { jobTests } = config;
  const { env } = deps.runtime;
  const executor = config.evolve
    ? await createEvolve(deps, config, from)
    : (findExecutor(deps, config) ?? (await createTransform(deps, config, from)));
  if (executor === null)
    return wrongUsage(
      `${type}: tests run code of the repository: set trust to true${config.evolve ? "" : ", or tests to false"}.`,
    );
  return ok(jobTests ? testedExecutor(executor, { command: jobTests, env }) : executor);
}

function findExecutor({ runtime, launch, versionOf, monotonic }: SetupDeps, config: TypeConfig): Executor | null {
  const { command, finalCodes = [], claude, analyze } = config;
  const { env, now, paths } = runtime;
  if (command) return commandExecutor({ command, finalCodes, env });
  if (claude) return claudeExecutor({ settings: claude, runtime, launch, versionOf, monotonic });
  if (!analyze) return null;
  const reports = new OutputFiles(join(worktreesIn(paths.home), "analysis"));
  const { trusted } = runtime.config.analysis;
  return analyzeExecutor({ settings: analyze, trusted, reports, env, now, monotonic });
}

async function createFolders(
  deps: SetupDeps,
  type: string,
  config: TypeConfig,
  from: string,
): Promise<Result<TaskFolders, FailedResult["error"]>> {
  const { folder, repository, base = "HEAD", remote } = config;
  const { runtime, machine, ownProcess, random } = deps;
  if (folder !== undefined) return givenFolder(machine, type, resolve(from, folder));
  const { env, now, processes, paths } = runtime;
  const top = await findTop(runtime, type, resolve(from, repository ?? "."));
  if (!top.ok) return top;
  const unknown = await unknownBase(runtime, type, top.value, base);
  if (unknown) return unknown;
  if (remote !== undefined && !(await hasRemote(gitInFolder(env, top.value), remote)))
    return wrongUsage(`${type}: ${top.value} has no remote ${remote}; \`git remote\` lists them.`);
  const home = worktreesIn(paths.home);
  const inputs = toInputSettings(config);
  const site = { repository: top.value, base, home, machine, inputs };
  const worktrees = new TaskWorktrees({ ...site, processes, self: ownProcess, env, now, random });
  return ok(config.evolve ? evolveFolders(worktrees, fixedFolder(top.value, machine)) : worktrees);
}

/** A model can resolve a conflict; a plain program must be configured for it. */
function toInputSettings({ mergeInputs, onConflict, remote, claude }: TypeConfig): InputSettings {
  return {
    isMerged: mergeInputs !== false,
    isConflictKept: (onConflict ?? (claude ? "pass" : "fail")) === "pass",
    remote: remote ?? null,
  };
}

function givenFolder(machine: string, type: string, path: string): Result<TaskFolders, FailedResult["error"]> {
  const isThere = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  return isThere ? ok(fixedFolder(path, machine)) : wrongUsage(`${type}: there is no folder ${path}.`);
}

async function unknownBase({ env }: Runtime, type: string, top: string, base: string): Promise<FailedResult | null> {
  try {
    await resolveCommit(gitInFolder(env, top), base);
    return null;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return wrongUsage(`${type}: ${base} is not a commit in ${top}; new worktrees start from one.`);
  }
}

async function findTop({ env }: Runtime, type: string, path: string): Promise<Result<string, FailedResult["error"]>> {
  try {
    return ok(await worktreeTop(env, path));
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    if (error.fault === "missing")
      return failed("no_git", `${type}: ${error.message}; with a folder, git is not needed.`);
    return wrongUsage(
      `${type}: ${path} is not in a git repository (${error.message}); name a repository, or a folder to work in as it is.`,
    );
  }
}
