import { basename, join } from "node:path";
import type { ClaimedTask } from "../contract/tasks.ts";
import type { Json } from "../contract/json.ts";
import { messageOf } from "../shared/error.ts";
import { GitError, run, type Git } from "../snapshots/git.ts";
import { isWholeJob, nameJobBranch } from "./job-branch.ts";
import { unresolved } from "./merge-commits.ts";
import { pushBranch } from "./remote-branches.ts";
import { firstLeftOut } from "../snapshots/selection.ts";
import {
  commitAll,
  commitToRef,
  currentBranch,
  gitInFolder,
  gitInWorktree,
  worktreeCommand,
  type Commit,
} from "./work-git.ts";
import { noMergedInputs, type MergedInputs, type CommittedWork, type TaskFolder } from "./task-folder.ts";
import {
  firstCommit,
  removeRecord,
  worktreePath,
  writeRecord,
  type MergedRecord,
  type WorkRecord,
} from "./work-record.ts";
import type { InputDeps } from "./worktree-inputs.ts";

export interface WorktreeDeps extends InputDeps {
  readonly machine: string;
}

const maxLeftOutNamed = 20;

interface WorktreeStart {
  readonly commit: string;
  readonly isContinued: boolean;
  readonly isNew: boolean;
  readonly notes: readonly string[];
}

export class Worktree implements TaskFolder {
  readonly folder: string;
  readonly isContinued: boolean;
  readonly isNew: boolean;
  readonly notes: readonly string[];
  readonly #deps: WorktreeDeps;
  readonly #recordFolder: string;
  readonly #task: ClaimedTask;
  #record: WorkRecord;
  #commit: string;
  #jobBranch: string | null = null;

  constructor(deps: WorktreeDeps, recordFolder: string, task: ClaimedTask, record: WorkRecord, start: WorktreeStart) {
    this.#deps = deps;
    this.#recordFolder = recordFolder;
    this.#task = task;
    this.#record = record;
    this.#commit = start.commit;
    this.folder = worktreePath(recordFolder);
    this.isContinued = start.isContinued;
    this.isNew = start.isNew;
    this.notes = start.notes;
  }

  get merged(): MergedInputs {
    return this.#record.merged ?? noMergedInputs;
  }

  get base(): string {
    return firstCommit(this.#record);
  }

  location(): Json {
    const { branch, base, merged } = this.#record;
    const { machine } = this.#deps;
    const mergedField = merged ? { merged: asJson(merged) } : {};
    return { machine, folder: this.folder, branch, base, commit: this.#commit, ...mergedField };
  }

  async problem(): Promise<string | null> {
    const conflictFiles = this.merged.conflicts.flatMap(({ files }) => files);
    const unresolvedFiles = await unresolved(this.#git, conflictFiles);
    return unresolvedFiles.length === 0
      ? null
      : `the conflict of its inputs is not resolved in ${unresolvedFiles.join(", ")}`;
  }

  async save(): Promise<void> {
    const index = join(this.#recordFolder, "index");
    this.#commit = await commitToRef(this.#git, index, this.#ref, this.#commitFields("work in progress"));
  }

  async finish(): Promise<CommittedWork> {
    const { type, attempt } = this.#task;
    const { commit, leftOut } = await commitAll(this.#git, this.#commitFields(`${type}, attempt ${attempt}`));
    this.#commit = commit;
    await run(this.#git, ["update-ref", "-d", this.#ref]);
    const branch = await currentBranch(this.#git);
    const isUnchanged = branch === this.#record.branch && commit === this.#record.base;
    this.#record = { ...this.#record, isOffered: !isUnchanged };
    // Before the result is reported: no worker removes the branch of a result.
    writeRecord(this.#recordFolder, this.#record);
    const { machine } = this.#deps;
    const leftOutField = leftOut.length > 0 ? { leftOut: firstLeftOut(leftOut, maxLeftOutNamed) } : {};
    return { branch: isUnchanged ? null : branch, commit, base: this.base, machine, ...leftOutField };
  }

  async publish(work: CommittedWork): Promise<{ readonly work: CommittedWork; readonly note: string | null }> {
    if (work.branch === null) return { work, note: null };
    const git = gitInFolder(this.#deps.env, this.#record.repository);
    const branch = isWholeJob(this.#task.payload)
      ? await nameJobBranch(git, this.#task.task, work.commit)
      : work.branch;
    if (branch !== work.branch) this.#jobBranch = branch;
    return { work: { ...work, branch }, note: await this.#push(git, branch, work.commit) };
  }

  /** [WK33] The result counts even if this fails. @returns the reason */
  async #push(git: Git, branch: string, commit: string): Promise<string | null> {
    const { remote } = this.#deps.inputs;
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
    writeRecord(this.#recordFolder, { ...this.#record, owner: null });
    return isOpen ? null : this.#removeWorktree();
  }

  /** [WK51] Git refuses if something is not committed. */
  async #removeWorktree(): Promise<string | null> {
    const repository = gitInFolder(this.#deps.env, this.#record.repository);
    const { branch, base } = this.#record;
    const isOnOwnBranch = (await currentBranch(this.#git)) === branch;
    if (!isOnOwnBranch) return `its worktree is kept, since it is on another branch than ${branch}: ${this.folder}`;
    try {
      await worktreeCommand(repository, ["remove", this.folder]);
    } catch (error) {
      if (!(error instanceof GitError)) throw error;
      return `its worktree is kept, since it has uncommitted changes or is no longer a worktree: ${this.folder} (${messageOf(error)})`;
    }
    // A branch without commits, or replaced by the job's, is not needed.
    const isBranchUnneeded = this.#commit === base || this.#jobBranch !== null;
    if (isBranchUnneeded) await run(repository, ["update-ref", "-d", `refs/heads/${branch}`, this.#commit]);
    removeRecord(this.#recordFolder);
    return null;
  }

  get #git(): Git {
    return gitInWorktree(this.#deps.env, this.#record.repository, this.folder);
  }

  get #ref(): string {
    return `refs/shim/${basename(this.#recordFolder)}`;
  }

  #commitFields(what: string): Commit {
    return { tree: this.folder, message: `shim: task ${this.#task.task}: ${what}`, now: this.#deps.now() };
  }
}

function asJson({ tasks, conflicts, commit }: MergedRecord): Json {
  return { tasks: [...tasks], conflicts: conflicts.map(({ task, files }) => ({ task, files: [...files] })), commit };
}
