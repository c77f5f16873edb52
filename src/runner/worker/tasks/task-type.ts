import { resolve, join } from "node:path";
import * as z from "zod";
import { type Workspace, withWorkspace } from "../../../machine/sharing/operations/workspace.ts";
import { isFolder } from "../../../platform/paths.ts";
import { isOnPath } from "../../../platform/program-path.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { fail, ok, type Result } from "../../../shared/result.ts";
import { GitError } from "../../../snapshots/git.ts";
import type { TaskSetup, EmitWorkerEvent } from "../attempt.ts";
import { claudeExecutor, type ClaudeExecutorOptions, ClaudeSettings, CommandWords } from "../client/claude-executor.ts";
import { commandExecutor, testedExecutor, keepOutput } from "../command-executor.ts";
import { fixedFolder, type TaskFolders } from "../executor.ts";
import { hasRemote, findCommit, openRepository } from "../../../snapshots/user-repository.ts";
import { TaskWorktrees, removeOldWorktrees } from "../worktrees.ts";
import { clientDeps, type WorkDeps, workDeps } from "../machine-deps.ts";
import { newId, nodePlatform } from "../../../coordinator-client/edge/platform.ts";
import type { OperationContext } from "../../../machine/context/operation-context.ts";
import { machineHealth, WorkerAutomation, type EndCounts, type WorkerOptions } from "../worker-automation.ts";

const worktreeFields = ["repository", "base", "remote"] as const;

/** Work of a worker on the tasks of a type, and its folder. */
export const TypeSettings = z
  .strictObject({
    command: CommandWords.optional(),
    claude: ClaudeSettings.optional(),
    /** Shared by all tasks; relative to the settings file. */
    folder: z.string().min(1).max(4_096).optional(),
    /** Default: the repository where the worker was started. */
    repository: z.string().min(1).max(4_096).optional(),
    base: z
      .string()
      .regex(/^[^-\p{Cc}\s][^\p{Cc}\s]{0,199}$/u, "the name of a branch, a tag or a commit")
      .optional(),
    /** Remote for finished branches and missing commits. */
    remote: z
      .string()
      .regex(/^[A-Za-z0-9_][\w./-]{0,99}$/, "the name of a remote")
      .optional(),
    /** Must succeed before a job is done. */
    jobTests: CommandWords.optional(),
  })
  .refine(({ command, claude }) => (command === undefined) !== (claude === undefined), {
    message: "say how it is done: by a command, or by claude",
  })
  .refine((type) => type.folder === undefined || worktreeFields.every((field) => type[field] === undefined), {
    message: "a folder is worked in as it is: it takes neither repository nor base or remote",
    path: ["folder"],
  });
export type TypeSettings = z.infer<typeof TypeSettings>;

/** Parts of the machine and its workspace that doing tasks needs. */
interface TaskDeps extends WorkDeps, Omit<ClaudeExecutorOptions, "settings"> {
  readonly workspace: Workspace;
}

/** @param from folder of relative paths */
async function createSetups(
  deps: TaskDeps,
  types: Readonly<Record<string, TypeSettings>>,
  from: string,
): Promise<Result<ReadonlyMap<string, TaskSetup>>> {
  const setups = new Map<string, TaskSetup>();
  for (const [name, type] of Object.entries(types)) {
    const setup = await createSetup(deps, type, from);
    if (!setup.ok) return fail(setup.error.code, `${name}: ${setup.error.message}`);
    setups.set(name, setup.value);
  }
  return ok(setups);
}

async function createSetup(deps: TaskDeps, type: TypeSettings, from: string): Promise<Result<TaskSetup>> {
  const { env } = deps;
  const { command, claude, jobTests } = type;
  const root = await findRoot(env, type, from);
  if (!root.ok) return root;
  const own = command ? commandExecutor({ command, env }) : claude && claudeExecutor({ ...deps, settings: claude });
  if (!own) throw new Error("a type without a command and without Claude Code has passed the check");
  const executor = jobTests ? testedExecutor(own, { command: jobTests, env }) : own;
  // Checked before a task is claimed: each would fail three times.
  const missing = executor.programs?.find((program) => !isOnPath(program, env));
  if (missing !== undefined) return fail("bad_input", `there is no program ${missing}.`);
  return ok({ executor, folders: foldersOf(deps, type, root.value) });
}

/** The folder itself, or the top of the repository. */
async function findRoot(
  env: NodeJS.ProcessEnv,
  { folder, repository = ".", base = "HEAD", remote }: TypeSettings,
  from: string,
): Promise<Result<string>> {
  const path = resolve(from, folder ?? repository);
  if (folder !== undefined) return isFolder(path) ? ok(path) : fail("bad_input", `there is no folder ${path}.`);
  try {
    const { top, git } = await openRepository(env, path);
    if ((await findCommit(git, base)) === null)
      return fail("bad_input", `${base} is not a commit in ${top}; new worktrees start from one.`);
    if (remote !== undefined && !(await hasRemote(git, remote)))
      return fail("bad_input", `${top} has no remote ${remote}; \`git remote\` lists them.`);
    return ok(top);
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    if (error.fault === "missing") return fail("no_git", `${error.message}; with a folder, git is not needed.`);
    const advice = "name a repository, or a folder to work in as it is";
    return fail("bad_input", `${path} is not in a git repository (${error.message}); ${advice}.`);
  }
}

function foldersOf(
  { workspace, self, ...deps }: TaskDeps,
  { folder, base = "HEAD", remote, claude }: TypeSettings,
  root: string,
): TaskFolders {
  const { machine } = workspace;
  if (folder !== undefined) return fixedFolder(root, machine);
  const inputs = { isConflictKept: claude !== undefined, remote: remote ?? null };
  return new TaskWorktrees({ ...deps, self, machine, repository: root, base, inputs });
}

export interface Work extends Pick<WorkerOptions, "concurrency" | "drainMs" | "maxTasks" | "isOnce"> {
  readonly types: Readonly<Record<string, TypeSettings>>;
  readonly capabilities: readonly string[];
  /** Folder of relative paths in the settings. */
  readonly folder: string;
  readonly emit: EmitWorkerEvent;
  /** Aborted: nothing new is begun; the reason may be a text. */
  readonly endSignal: AbortSignal;
  /** Aborted: what still runs is given back at once. */
  readonly hurrySignal?: AbortSignal;
  readonly stoppedAt?: ClaudeExecutorOptions["stoppedAt"];
}

/** Does tasks until there is none, or until it is asked to end. */
export function runTasks(context: OperationContext, work: Work): Promise<Result<EndCounts>> {
  return withWorkspace(context, (workspace) => runTasksIn(context, workspace, work));
}

async function runTasksIn(context: OperationContext, workspace: Workspace, work: Work): Promise<Result<EndCounts>> {
  const own = await workDeps(context);
  if (!own.ok) return own;
  const deps = { ...own.value, ...(await clientDeps(context)), workspace };
  const { runtime, home } = deps;
  const { stoppedAt } = work;
  const setups = await createSetups({ ...deps, ...omitUndefined({ stoppedAt }) }, work.types, work.folder);
  if (!setups.ok) return setups;
  for (const folder of await removeOldWorktrees(deps))
    context.progress?.(`A worktree that was unused for a week was removed: ${folder}`);
  const { endSignal, hurrySignal } = work;
  if (endSignal.aborted) return ok({});
  const { client: link, machine, process } = workspace;
  const platform = nodePlatform();
  const name = `worker-${machine.replaceAll(/[^\w.:@-]/g, "-").slice(0, 80)}-${newId(platform).slice(-12)}`;
  const chat = { chat: name, session: name, process, machine, client: "shim worker" };
  const { concurrency, capabilities, drainMs, maxTasks, isOnce, emit } = work;
  const worker = new WorkerAutomation(
    {
      chat: { ...chat, capabilities: [...capabilities] },
      setups: setups.value,
      concurrency,
      drainMs,
      maxTasks,
      isOnce,
    },
    {
      link,
      platform,
      health: machineHealth(platform.clock),
      emit,
      keepOutput: (task, text) => keepOutput(join(home, "output"), task, text),
    },
  );
  const over = new AbortController();
  const listen = (signal: AbortSignal | undefined, listener: () => void): void =>
    signal?.addEventListener("abort", listener, { once: true, signal: over.signal });
  listen(endSignal, () => worker.drain(typeof endSignal.reason === "string" ? endSignal.reason : "asked to end"));
  listen(hurrySignal, () => worker.stopNow("asked to end at once"));
  const onProblem = (message: string): void => runtime.log("warn", message);
  const attending = context.hostClient?.stayConnected({ onProblem, until: over.signal });
  try {
    const ended = await worker.run();
    return ended.ok ? ended : fail(ended.error.code, `${ended.error.message}.`);
  } finally {
    over.abort();
    await attending;
  }
}
