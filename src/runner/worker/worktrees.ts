import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import * as z from "zod";
import type { Json } from "../../contract/values.ts";
import type { ClaimedTask } from "../../contract/tasks.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { commitAll, commitToRef, unlock, type Commit, unresolved } from "../../snapshots/commit-work.ts";
import { GitError, run, type Git } from "../../snapshots/git.ts";
import { firstLeftOut } from "../../snapshots/selection.ts";
import {
  openRepository,
  createBranch,
  currentBranch,
  findCommit,
  gitInFolder,
  pushBranch,
  resolveCommit,
} from "../../snapshots/user-repository.ts";
import {
  CommitHash,
  createWorktree,
  gitInWorktree,
  isFolderFree,
  listWorktrees,
  MergedRecord,
  readRecord,
  removeRecord,
  removeWorktree,
  worktreeAdminFolder,
  worktreePath,
  writeRecord,
  type LeftWorktree,
  type RemovalDeps,
  type WorkRecord,
} from "../../snapshots/worktrees.ts";
import {
  noMergedInputs,
  type FinishedWork,
  type MergedInputs,
  type TaskFolder,
  type TaskFolders,
  type InputWork,
} from "./executor.ts";
import type { WorkDeps } from "./machine-deps.ts";
import { startWithInputs, type InputSettings } from "./task-inputs.ts";

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
    base: CommitHash,
    commit: CommitHash,
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
    const opened = await openRepository(env, repository);
    const resumed = previous && (await this.#resume(task, opened.repository, previous));
    return resumed ?? this.#create(task, opened.repository, previous, inputs);
  }

  async #resume(task: ClaimedTask, repository: string, previous: PreviousWork): Promise<TaskFolder | null> {
    const { processes, self, env, machine, home } = this.#options;
    const recordFolder = dirname(previous.folder);
    const isHere = previous.machine === machine && dirname(recordFolder) === home;
    const record = isHere && worktreePath(recordFolder) === previous.folder ? readRecord(recordFolder) : null;
    if (record?.task !== task.task) return null;
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
    const { base, merged, ...start } = await this.#findStart(task, repository, previous, inputs);
    const { folder, record } = await createWorktree(this.#options, {
      prefix: `task-${task.task}`,
      top: this.#options.repository,
      start: start.commit,
      hasBranch: true,
      hasLinks: true,
      record: { task: task.task, repository, base, ...omitUndefined({ merged }) },
    });
    return new Worktree(this.#options, folder, task, record, { ...start, isNew: true });
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
        ? [`the work of the previous attempt, on ${previous.machine}, is not in this repository: the task starts again`]
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
    const reason = await removeIfCommitted(env, record, this.folder);
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

/** @returns why it stays: git refuses if something is not committed; null: it is gone */
async function removeIfCommitted(
  env: NodeJS.ProcessEnv,
  { repository, branch }: WorkRecord,
  tree: string,
): Promise<string | null> {
  if (!existsSync(tree)) return null;
  try {
    // Commits on no branch would be lost.
    if ((await currentBranch(gitInWorktree(env, repository, tree))) !== branch)
      return `it is on another branch than ${branch}`;
    await removeWorktree(gitInFolder(env, repository), tree);
    return null;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return `it has uncommitted changes or is no longer a worktree (${error.message})`;
  }
}

const maxAgeMs = 7 * 86_400_000;

/** Removes worktrees left a week ago; git refuses those with uncommitted changes. */
export async function removeOldWorktrees(deps: RemovalDeps & Pick<WorkDeps, "now">): Promise<string[]> {
  const removedFolders: string[] = [];
  for (const left of listWorktrees(deps.home)) {
    const { folder, record, leftAt } = left;
    // Without a task it is a transform's, and the next one removes it.
    if (record.task === 0) continue;
    if (deps.now() - leftAt < maxAgeMs || !(await isFolderFree(deps.processes, folder, record))) continue;
    if (await removeLeftWorktree(deps.env, left)) removedFolders.push(folder);
  }
  return removedFolders;
}

/** Its branch goes too where nothing is on it. @returns whether it is removed */
async function removeLeftWorktree(env: NodeJS.ProcessEnv, { folder, record }: LeftWorktree): Promise<boolean> {
  if ((await removeIfCommitted(env, record, worktreePath(folder))) !== null) return false;
  const git = gitInFolder(env, record.repository);
  await run(git, ["update-ref", "-d", `refs/heads/${record.branch}`, record.base], "", [0, 1, 128]);
  removeRecord(folder);
  return true;
}
