import { existsSync, readdirSync, readlinkSync, rmdirSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import * as z from "zod";
import type { Json } from "../../contract/json.ts";
import type { ClaimedTask } from "../../contract/tasks.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { pollUntil } from "../../platform/process-group.ts";
import { mayBeAlive, type Processes, identify, type ProcessIdentity } from "../../platform/processes.ts";
import { readJsonFile } from "../../platform/read-json-file.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { GitError, run, worktreeCommand, type Git } from "../../snapshots/git.ts";
import { firstLeftOut } from "../../snapshots/selection.ts";
import { startWithInputs, unresolved, type InputSettings, type InputWork } from "./task-branches.ts";
import { endMarked, markName, toMark } from "../../platform/run-program.ts";
import { noMergedInputs, type FinishedWork, type MergedInputs, type TaskFolder, type TaskFolders } from "./executor.ts";
import {
  commitAll,
  commitToRef,
  commonGitFolder,
  currentBranch,
  gitInFolder,
  gitInWorktree,
  findCommit,
  createBranch,
  pushBranch,
  resolveCommit,
  unlock,
  worktreeAdminFolder,
  type Commit,
} from "./work-git.ts";
import { nodePlatform } from "../../coordinator-client/edge/node-platform.ts";
import type { HostContext } from "../../machine/operations/host.ts";
import { fail, type Failure } from "../../shared/failure.ts";
import { ok, type Result } from "../../shared/result.ts";

/** Parts of this machine that work in git worktrees needs. */
export interface WorkDeps {
  readonly env: NodeJS.ProcessEnv;
  readonly now: () => number;
  /** At least 0, below 1. */
  readonly random: () => number;
  readonly processes: Processes;
  readonly self: ProcessIdentity;
  /** Folder of SHIM's worktrees. */
  readonly home: string;
}

export async function workDeps({ paths, runtime }: HostContext): Promise<Result<WorkDeps, Failure>> {
  const { env, now, processes } = await runtime();
  const self = identify(processes, process.pid);
  if (!self) return fail("unknown_process", "this system does not report when a process was started.");
  return ok({ env, now, random: nodePlatform().random, processes, self, home: join(paths.home, "work") });
}

const hash = z.string().regex(/^[0-9a-f]{40,64}$/);

const MergedRecord = z.object({
  tasks: z.array(z.int()).max(1_000),
  conflicts: z.array(z.object({ task: z.int(), files: z.array(z.string().max(4_096)).max(1_000) })).max(1_000),
  commit: hash,
});

/** Stored. Add fields as optional. */
const StoredRecord = z.object({
  task: z.int(),
  /** Output of `git rev-parse --git-common-dir`. */
  repository: z.string(),
  branch: z.string(),
  base: z.string(),
  merged: MergedRecord.optional(),
  owner: z.object({ boot: z.string(), pid: z.int(), start: z.string() }).nullable(),
});
export type WorkRecord = z.infer<typeof StoredRecord>;

export function worktreePath(folder: string): string {
  return join(folder, "tree");
}

/** A missing or foreign record leaves the worktree alone. */
export function readRecord(folder: string): WorkRecord | null {
  return readJsonFile(join(folder, "record.json"), StoredRecord);
}

export function writeRecord(folder: string, record: WorkRecord): void {
  createPrivateFolder(folder);
  writeAtomically(join(folder, "record.json"), JSON.stringify(record));
}

/** The worktree itself is git's to remove. */
function removeRecord(folder: string): void {
  for (const name of ["record.json", "index"]) rmSync(join(folder, name), { force: true });
  if (!existsSync(worktreePath(folder))) rmdirSync(folder);
}

/** A worker that cannot be seen, or any process in the worktree, counts as alive. */
export async function isFolderFree(processes: Processes, folder: string, { owner }: WorkRecord): Promise<boolean> {
  if (owner !== null && mayBeAlive(processes, owner)) return false;
  if (owner?.boot === processes.boot()) await endMarked(toMark(owner));
  const isEmpty = (): boolean => !isFolderInUse(worktreePath(folder));
  return isEmpty() || (owner !== null && pollUntil(isEmpty, processExitMs));
}

/** An ending process has lost its mark but not its working folder. */
const processExitMs = 2_000;

/** Linux only (proc(5)); false elsewhere. Covers the user's own processes. */
function isFolderInUse(folder: string): boolean {
  if (process.platform !== "linux") return false;
  return readdirSync("/proc").some((name) => {
    try {
      return /^\d+$/.test(name) && `${readlinkSync(`/proc/${name}/cwd`)}${sep}`.startsWith(`${folder}${sep}`);
    } catch {
      // The process has ended meanwhile, or is another user's.
      return false;
    }
  });
}

export interface WorktreeOptions extends WorkDeps {
  readonly inputs: InputSettings;
  readonly machine: string;
  readonly repository: string;
  /** A branch, tag or commit. */
  readonly base: string;
}

/** Untrusted: only what can be verified here is used. */
const PreviousWork = z.object({
  work: z.object({
    machine: z.string(),
    folder: z.string(),
    base: hash,
    commit: hash,
    merged: MergedRecord.optional().catch(undefined),
  }),
});
type PreviousWork = z.infer<typeof PreviousWork>["work"];

type ReadInputs = () => Promise<InputWork[]>;

interface StartPoint {
  readonly commit: string;
  readonly isContinued: boolean;
  readonly notes: readonly string[];
}

/** Reuses the previous attempt's worktree, or creates one from its last commit. */
export class TaskWorktrees implements TaskFolders {
  readonly #options: WorktreeOptions;

  constructor(options: WorktreeOptions) {
    this.#options = options;
  }

  async open(task: ClaimedTask, inputs: ReadInputs): Promise<TaskFolder> {
    const { env, repository } = this.#options;
    const previous = PreviousWork.safeParse(task.checkpoint).data?.work ?? null;
    const commonDir = await commonGitFolder(gitInFolder(env, repository), repository);
    return (
      (previous && (await this.#resume(task, commonDir, previous))) ?? this.#create(task, commonDir, previous, inputs)
    );
  }

  async #resume(task: ClaimedTask, repository: string, previous: PreviousWork): Promise<TaskFolder | null> {
    const { processes, self, env, machine, home } = this.#options;
    const recordFolder = dirname(previous.folder);
    const isHere = previous.machine === machine && dirname(recordFolder) === home;
    const record = isHere && worktreePath(recordFolder) === previous.folder ? readRecord(recordFolder) : null;
    if (!record || record.task !== task.task || record.repository !== repository) return null;
    if (worktreeAdminFolder(repository, previous.folder) === null) return null;
    if (!(await isFolderFree(processes, recordFolder, record))) return null;
    const ownedRecord = { ...record, owner: self };
    writeRecord(recordFolder, ownedRecord);
    await unlock(gitInWorktree(env, repository, previous.folder));
    const start = { commit: previous.commit, isContinued: true, notes: [] };
    return new Worktree(this.#options, recordFolder, task, ownedRecord, { ...start, isNew: false });
  }

  async #create(
    task: ClaimedTask,
    repository: string,
    previous: PreviousWork | null,
    inputs: ReadInputs,
  ): Promise<TaskFolder> {
    const { home, self, env, random } = this.#options;
    const { base, merged, ...start } = await this.#findStart(task, repository, previous, inputs);
    // Another workspace, or a lost coordinator file, may have used the same task number.
    const suffix = Math.floor(random() * 2 ** 32).toString(16);
    const name = `task-${task.task}-${suffix.padStart(8, "0")}`;
    const recordFolder = join(home, name);
    const tree = worktreePath(recordFolder);
    const branch = `shim/${name}`;
    const record = { task: task.task, repository, branch, base, owner: self, ...omitUndefined({ merged }) };
    writeRecord(recordFolder, record);
    try {
      // Marked, so that one that outlives this process is ended before its worktree is removed.
      const git = gitInFolder({ ...env, [markName]: toMark(self) }, this.#options.repository);
      const add = (make: "-b" | "-B"): string[] => ["add", "--quiet", "--no-track", make, branch, tree, start.commit];
      // The failed first try may have made the branch, whose name is unique.
      await worktreeCommand(git, add("-b"), add("-B"));
    } catch (error) {
      removeRecord(recordFolder);
      throw error;
    }
    return new Worktree(this.#options, recordFolder, task, record, { ...start, isNew: true });
  }

  /** Prefers the previous attempt's last commit; merges missing inputs. */
  async #findStart(
    { task }: ClaimedTask,
    repository: string,
    previous: PreviousWork | null,
    inputs: ReadInputs,
  ): Promise<StartPoint & Pick<WorkRecord, "base" | "merged">> {
    const { env, repository: folder } = this.#options;
    const git = gitInFolder(env, folder);
    const isContinued = previous !== null && (await findCommit(git, previous.commit)) !== null;
    if (isContinued && previous.merged)
      return { commit: previous.commit, base: previous.base, merged: previous.merged, isContinued, notes: [] };
    const base = isContinued ? previous.base : await resolveCommit(git, this.#options.base);
    const start = isContinued ? previous.commit : base;
    const lostNotes =
      previous && !isContinued
        ? [`the work of the previous attempt is on ${previous.machine}, not here: the task starts again`]
        : [];
    const works = await inputs();
    if (works.length === 0) return { commit: start, base, isContinued, notes: lostNotes };
    const mergedStart = await startWithInputs(this.#options, { folder, repository, task }, start, works);
    const { commit, merged, notes } = mergedStart;
    return { commit, base, merged: { ...merged, commit }, isContinued, notes: [...lostNotes, ...notes] };
  }
}

const maxLeftOutNamed = 20;

class Worktree implements TaskFolder {
  readonly folder: string;
  readonly isContinued: boolean;
  readonly isNew: boolean;
  readonly notes: readonly string[];
  readonly #options: WorktreeOptions;
  readonly #recordFolder: string;
  readonly #task: ClaimedTask;
  #record: WorkRecord;
  #commit: string;
  #jobBranch: string | null = null;

  constructor(
    options: WorktreeOptions,
    recordFolder: string,
    task: ClaimedTask,
    record: WorkRecord,
    { commit, isContinued, notes, isNew }: StartPoint & Pick<TaskFolder, "isNew">,
  ) {
    this.folder = worktreePath(recordFolder);
    this.isContinued = isContinued;
    this.isNew = isNew;
    this.notes = notes;
    this.#options = options;
    this.#recordFolder = recordFolder;
    this.#task = task;
    this.#record = record;
    this.#commit = commit;
  }

  get merged(): MergedInputs {
    return this.#record.merged ?? noMergedInputs;
  }

  get base(): string {
    const { base, merged } = this.#record;
    return merged?.commit ?? base;
  }

  location(): Json {
    const { branch, base, merged } = this.#record;
    const { machine } = this.#options;
    return { machine, folder: this.folder, branch, base, commit: this.#commit, ...omitUndefined({ merged }) };
  }

  async save(): Promise<void> {
    const index = join(this.#recordFolder, "index");
    this.#commit = await commitToRef(this.#git, index, this.#ref, this.#commitFields("work in progress"));
  }

  async finish(isDone: boolean): Promise<FinishedWork> {
    const { type, attempt, payload } = this.#task;
    const conflictFiles = this.merged.conflicts.flatMap(({ files }) => files);
    const unresolvedFiles = isDone ? await unresolved(this.#git, conflictFiles) : [];
    const { commit, leftOut } = await commitAll(this.#git, this.#commitFields(`${type}, attempt ${attempt}`));
    this.#commit = commit;
    await run(this.#git, ["update-ref", "-d", this.#ref]);
    const branch = await currentBranch(this.#git);
    const isUnchanged = branch === this.#record.branch && commit === this.#record.base;
    const { machine, env } = this.#options;
    const leftOutField = leftOut.length > 0 ? { leftOut: firstLeftOut(leftOut, maxLeftOutNamed) } : {};
    const work = { branch: isUnchanged ? null : branch, commit, base: this.base, machine, ...leftOutField };
    const unresolvedText = `the conflict of its inputs is not resolved in ${unresolvedFiles.join(", ")}`;
    const problem = unresolvedFiles.length > 0 ? unresolvedText : null;
    if (!isDone || problem !== null || work.branch === null) return { work, problem, note: null };
    const git = gitInFolder(env, this.#record.repository);
    const finalBranch = isWholeJob(payload) ? await nameJobBranch(git, this.#task.task, commit) : work.branch;
    if (finalBranch !== work.branch) this.#jobBranch = finalBranch;
    const note = await this.#push(git, finalBranch, commit);
    return { work: { ...work, branch: finalBranch }, problem, note };
  }

  /** The result counts even if this fails. @returns the reason */
  async #push(git: Git, branch: string, commit: string): Promise<string | null> {
    const { remote } = this.#options.inputs;
    if (remote === null) return null;
    try {
      await pushBranch(git, remote, branch, commit);
      return null;
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      return `${branch} could not be pushed to ${remote}, so other machines do not have it: ${error.message}`;
    }
  }

  async release(isOpen: boolean): Promise<string | null> {
    const { env } = this.#options;
    const record = { ...this.#record, owner: null };
    writeRecord(this.#recordFolder, record);
    if (isOpen) return null;
    const reason = await removeWorktree(env, record, this.folder);
    if (reason !== null) return `its worktree is kept, since ${reason}: ${this.folder}`;
    // A branch without commits, or replaced by the job's, is not needed.
    if (this.#commit === record.base || this.#jobBranch !== null)
      await run(gitInFolder(env, record.repository), ["update-ref", "-d", `refs/heads/${record.branch}`, this.#commit]);
    removeRecord(this.#recordFolder);
    return null;
  }

  get #git(): Git {
    return gitInWorktree(this.#options.env, this.#record.repository, this.folder);
  }

  get #ref(): string {
    return savedRef(this.#recordFolder);
  }

  #commitFields(what: string): Commit {
    return { tree: this.folder, message: `shim: task ${this.#task.task}: ${what}`, now: this.#options.now() };
  }
}

/** Holds work in progress. */
function savedRef(recordFolder: string): string {
  return `refs/shim/${basename(recordFolder)}`;
}

/** Payload by `plans.submit` of the task that stands for a whole job. */
const WholeJob = z.looseObject({ job: z.looseObject({ title: z.string() }), part: z.undefined().optional() });

export function isWholeJob(payload: Json): boolean {
  return WholeJob.safeParse(payload).success;
}

/** Creates `shim/job-<number>`, or with part of the hash if taken; moves no branch. */
async function nameJobBranch(git: Git, task: number, commit: string): Promise<string> {
  const name = `shim/job-${task}`;
  if (await createBranch(git, name, commit)) return name;
  const uniqueName = `${name}-${commit.slice(0, 12)}`;
  await run(git, ["update-ref", `refs/heads/${uniqueName}`, commit]);
  return uniqueName;
}

/** Git refuses if something is not committed. @returns why it stays; null: it is gone */
async function removeWorktree(
  env: NodeJS.ProcessEnv,
  { repository, branch }: WorkRecord,
  tree: string,
): Promise<string | null> {
  if (!existsSync(tree)) return null;
  try {
    // Commits on no branch would be lost.
    if ((await currentBranch(gitInWorktree(env, repository, tree))) !== branch)
      return `it is on another branch than ${branch}`;
    await worktreeCommand(gitInFolder(env, repository), ["remove", tree]);
    return null;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return `it has uncommitted changes or is no longer a worktree (${error.message})`;
  }
}

const maxAgeMs = 7 * 86_400_000;

type RemovalDeps = Pick<WorkDeps, "env" | "processes">;

interface LeftWorktree {
  readonly folder: string;
  readonly record: WorkRecord;
  /** Epoch ms. */
  readonly leftAt: number;
}

/** Without a task it is a transform's, and the next one removes it. */
function leftWorktrees(home: string): LeftWorktree[] {
  const folders = (existsSync(home) ? readdirSync(home) : []).map((name) => join(home, name));
  return folders.flatMap((folder) => {
    const record = readRecord(folder);
    const leftAt = statSync(join(folder, "record.json"), { throwIfNoEntry: false })?.mtimeMs;
    return record !== null && record.task > 0 && leftAt !== undefined ? [{ folder, record, leftAt }] : [];
  });
}

/** Removes worktrees left a week ago; git refuses those with uncommitted changes. */
export async function removeOldWorktrees(home: string, deps: RemovalDeps & Pick<WorkDeps, "now">): Promise<string[]> {
  const removedFolders: string[] = [];
  for (const left of leftWorktrees(home)) {
    const { folder, record, leftAt } = left;
    if (deps.now() - leftAt < maxAgeMs || !(await isFolderFree(deps.processes, folder, record))) continue;
    if (await removeLeftWorktree(deps.env, left)) removedFolders.push(folder);
  }
  return removedFolders;
}

export interface EndedTasks {
  readonly repository: string;
  readonly tasks: ReadonlySet<number>;
  /** Epoch ms; numbers of another coordinator's tasks in older worktrees are not meant. */
  readonly since: number;
}

/** Removes worktrees that a killed worker has left, and branches without work, of ended tasks. */
export async function removeEnded(
  home: string,
  { env, processes }: RemovalDeps,
  { repository, tasks, since }: EndedTasks,
): Promise<void> {
  for (const left of leftWorktrees(home)) {
    const { folder, record, leftAt } = left;
    const isMeant = record.repository === repository && tasks.has(record.task) && leftAt >= since;
    if (isMeant && (await isFolderFree(processes, folder, record))) await removeLeftWorktree(env, left);
  }
}

/** Its branch goes too where nothing is on it. @returns whether it is removed */
async function removeLeftWorktree(env: NodeJS.ProcessEnv, { folder, record }: LeftWorktree): Promise<boolean> {
  if ((await removeWorktree(env, record, worktreePath(folder))) !== null) return false;
  const git = gitInFolder(env, record.repository);
  await run(git, ["update-ref", "-d", `refs/heads/${record.branch}`, record.base], "", [0, 1, 128]);
  removeRecord(folder);
  return true;
}
