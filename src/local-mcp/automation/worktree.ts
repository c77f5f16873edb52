import { basename, join } from "node:path";
import type { ClaimedTask } from "../../contract/tasks.ts";
import type { Json } from "../../contract/values.ts";
import { messageOf } from "../../shared/error.ts";
import { GitError, run, type Git } from "../snapshots/git.ts";
import { isWholeJob, nameJobBranch } from "./job-branch.ts";
import { unresolved } from "./merge-commits.ts";
import { pushBranch } from "./remote-branches.ts";
import { firstLeftOut } from "../snapshots/selection.ts";
import { branchAt, commitAll, type Commit, gitAt, gitOf, keepAll, worktreeCommand } from "./work-git.ts";
import { nothingMerged, type MergedInputs, type Work, type WorkPlace } from "./work-place.ts";
import { removeRecord, treeIn, writeRecord, type Merged, type WorkRecord } from "./work-record.ts";
import type { InputSurroundings } from "./worktree-inputs.ts";

export interface WorktreeSurroundings extends InputSurroundings {
  readonly machine: string;
}

/** Files that the result of a task names one by one; it has a bound of its own. */
const mostNamed = 20;

/** The worktree of one task. [WK11] [WK12] */
export class Worktree implements WorkPlace {
  readonly folder: string;
  readonly isContinued: boolean;
  readonly notes: readonly string[];
  readonly #around: WorktreeSurroundings;
  readonly #outer: string;
  readonly #task: ClaimedTask;
  readonly #record: WorkRecord;
  #commit: string;
  /** Of the job that the task stands for; null: its branch bears the task's name. */
  #jobBranch: string | null = null;

  /** @param outer the folder that holds the worktree and its record, which is this process's own */
  constructor(
    around: WorktreeSurroundings,
    outer: string,
    task: ClaimedTask,
    record: WorkRecord,
    begun: { readonly commit: string; readonly isContinued: boolean; readonly notes: readonly string[] },
  ) {
    this.#around = around;
    this.#outer = outer;
    this.#task = task;
    this.#record = record;
    this.#commit = begun.commit;
    this.folder = treeIn(outer);
    this.isContinued = begun.isContinued;
    this.notes = begun.notes;
  }

  get merged(): MergedInputs {
    return this.#record.merged ?? nothingMerged;
  }

  where(): Json {
    const { branch, base, merged } = this.#record;
    const { machine } = this.#around;
    const known = merged ? { merged: asJson(merged) } : {};
    return { machine, folder: this.folder, branch, base, commit: this.#commit, ...known };
  }

  /** [WK31] */
  async problem(): Promise<string | null> {
    const named = this.merged.conflicts.flatMap(({ files }) => files);
    const left = await unresolved(this.#git, named);
    return left.length === 0 ? null : `the conflict of its inputs is not resolved in ${left.join(", ")}`;
  }

  async save(): Promise<void> {
    const index = join(this.#outer, "index");
    this.#commit = await keepAll(this.#git, index, this.#ref, this.#commitOf("work in progress"));
  }

  async finish(): Promise<Work> {
    const { type, attempt } = this.#task;
    const { commit, leftOut } = await commitAll(this.#git, this.#commitOf(`${type}, attempt ${attempt}`));
    this.#commit = commit;
    await run(this.#git, ["update-ref", "-d", this.#ref]);
    const branch = await branchAt(this.#git);
    const { base, merged } = this.#record;
    const isNothing = branch === this.#record.branch && commit === base;
    const { machine } = this.#around;
    const without = leftOut.length > 0 ? { leftOut: firstLeftOut(leftOut, mostNamed) } : {};
    return { branch: isNothing ? null : branch, commit, base: merged?.commit ?? base, machine, ...without };
  }

  async publish(work: Work): Promise<{ readonly work: Work; readonly note: string | null }> {
    if (work.branch === null) return { work, note: null };
    const git = gitAt(this.#around.env, this.#record.repository);
    const branch = isWholeJob(this.#task.payload)
      ? await nameJobBranch(git, this.#task.task, work.commit)
      : work.branch;
    if (branch !== work.branch) this.#jobBranch = branch;
    return { work: { ...work, branch }, note: await this.#push(git, branch, work.commit) };
  }

  /** [WK33] Its result counts all the same: the commit is on this machine. @returns why it is nowhere else */
  async #push(git: Git, branch: string, commit: string): Promise<string | null> {
    const { remote } = this.#around.inputs;
    if (remote === null) return null;
    try {
      await pushBranch(git, remote, branch, commit);
      return null;
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      return `${branch} could not be pushed to ${remote}, so other machines do not have it: ${error.message}`;
    }
  }

  async leave(isOpen: boolean): Promise<string | null> {
    writeRecord(this.#outer, { ...this.#record, owner: null });
    return isOpen ? null : this.#remove();
  }

  /** [WK13] Git itself refuses where something is not committed. */
  async #remove(): Promise<string | null> {
    const repository = gitAt(this.#around.env, this.#record.repository);
    const { branch, base } = this.#record;
    const isOnOwn = (await branchAt(this.#git)) === branch;
    if (!isOnOwn) return `its worktree stays, since it is on another branch than ${branch}: ${this.folder}`;
    try {
      await worktreeCommand(repository, ["remove", this.folder]);
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      return `its worktree stays, since not all in it is committed, or it is no worktree any more: ${this.folder} (${messageOf(error)})`;
    }
    // Of a branch with nothing on it, and of one that is the job's, nobody needs the name.
    const isNeedless = this.#commit === base || this.#jobBranch !== null;
    if (isNeedless) await run(repository, ["update-ref", "-d", `refs/heads/${branch}`, this.#commit]);
    removeRecord(this.#outer);
    return null;
  }

  get #git(): Git {
    return gitOf(this.#around.env, this.#record.repository, this.folder);
  }

  get #ref(): string {
    return `refs/shim/${basename(this.#outer)}`;
  }

  #commitOf(what: string): Commit {
    return { tree: this.folder, message: `shim: task ${this.#task.task}: ${what}`, now: this.#around.now() };
  }
}

function asJson({ tasks, conflicts, commit }: Merged): Json {
  return { tasks: [...tasks], conflicts: conflicts.map(({ task, files }) => ({ task, files: [...files] })), commit };
}
