import { basename, join } from "node:path";
import type { ClaimedTask } from "../../contract/tasks.ts";
import type { Json } from "../../contract/values.ts";
import { messageOf } from "../../shared/error.ts";
import { GitError, run, type Git } from "../snapshots/git.ts";
import { branchAt, commitAll, gitAt, gitOf, keepAll, worktreeCommand } from "./work-git.ts";
import type { Work, WorkPlace } from "./work-place.ts";
import { removeRecord, treeIn, writeRecord, type WorkRecord } from "./work-record.ts";

export interface WorktreeSurroundings {
  readonly env: NodeJS.ProcessEnv;
  readonly machine: string;
  /** Epoch ms. */
  readonly now: () => number;
}

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

  where(): Json {
    const { branch, base } = this.#record;
    return { machine: this.#around.machine, folder: this.folder, branch, base, commit: this.#commit };
  }

  async save(): Promise<void> {
    const index = join(this.#outer, "index");
    this.#commit = await keepAll(this.#git, index, this.#ref, this.#message("work in progress"), this.#around.now());
  }

  async finish(): Promise<Work> {
    const { type, attempt } = this.#task;
    this.#commit = await commitAll(this.#git, this.#message(`${type}, attempt ${attempt}`), this.#around.now());
    await run(this.#git, ["update-ref", "-d", this.#ref]);
    const branch = await branchAt(this.#git);
    const isNothing = branch === this.#record.branch && this.#commit === this.#record.base;
    return { branch: isNothing ? null : branch, commit: this.#commit };
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
    // Of a branch with nothing on it nobody needs the name.
    if (this.#commit === base) await run(repository, ["update-ref", "-d", `refs/heads/${branch}`, base]);
    removeRecord(this.#outer);
    return null;
  }

  get #git(): Git {
    return gitOf(this.#around.env, this.#record.repository, this.folder);
  }

  get #ref(): string {
    return `refs/shim/${basename(this.#outer)}`;
  }

  #message(what: string): string {
    return `shim: task ${this.#task.task}: ${what}`;
  }
}
