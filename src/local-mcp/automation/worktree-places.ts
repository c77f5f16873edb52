import { dirname, join } from "node:path";
import * as z from "zod";
import type { ClaimedTask } from "../../contract/tasks.ts";
import type { ProcessIdentity, Processes } from "../processes.ts";
import { commitOf, gitAt, gitOf, hasCommit, ownFolderOf, repositoryOf, unlock, worktreeCommand } from "./work-git.ts";
import type { WorkPlace, WorkPlaces } from "./work-place.ts";
import { isFree, readRecord, removeRecord, treeIn, writeRecord, type WorkRecord } from "./work-record.ts";
import { Worktree, type WorktreeSurroundings } from "./worktree.ts";

export interface WorktreeOptions extends WorktreeSurroundings {
  /** A folder in the repository. */
  readonly repository: string;
  /** What new work begins from: a branch, a tag, a commit. */
  readonly base: string;
  /** Where SHIM keeps worktrees. */
  readonly home: string;
  readonly processes: Processes;
  readonly own: ProcessIdentity;
  readonly random: () => number;
}

/** What a checkpoint says of the work before. It comes from the coordinator: nothing of it is believed that cannot be seen here. */
const Before = z.object({
  work: z.object({
    machine: z.string(),
    folder: z.string(),
    base: z.string().regex(/^[0-9a-f]{40,64}$/),
    commit: z.string().regex(/^[0-9a-f]{40,64}$/),
  }),
});
type Before = z.infer<typeof Before>["work"];

/** A worktree of one repository for each task: the one that the attempt before has left, or a new one from its last commit. [WK12] */
export class WorktreePlaces implements WorkPlaces {
  readonly #options: WorktreeOptions;

  constructor(options: WorktreeOptions) {
    this.#options = options;
  }

  async open(task: ClaimedTask): Promise<WorkPlace> {
    const { env, repository } = this.#options;
    const found = Before.safeParse(task.checkpoint);
    const before = found.success ? found.data.work : null;
    const own = await repositoryOf(gitAt(env, repository), repository);
    return (before && (await this.#continued(task, own, before))) ?? this.#begun(task, own, before);
  }

  async #continued(task: ClaimedTask, repository: string, before: Before): Promise<WorkPlace | null> {
    const { processes, own, env } = this.#options;
    const outer = dirname(before.folder);
    const record = this.#isOwn(before) ? readRecord(outer) : null;
    if (!record || record.task !== task.task || record.repository !== repository) return null;
    if (ownFolderOf(repository, before.folder) === null) return null;
    if (!(await isFree(processes, outer, record))) return null;
    const taken = { ...record, owner: own };
    writeRecord(outer, taken);
    await unlock(gitOf(env, repository, before.folder));
    return this.#worktree(outer, task, taken, { commit: before.commit, isContinued: true, notes: [] });
  }

  /** A folder of SHIM's own on this machine. */
  #isOwn({ machine, folder }: Before): boolean {
    const outer = dirname(folder);
    const isHere = machine === this.#options.machine && dirname(outer) === this.#options.home;
    return isHere && treeIn(outer) === folder;
  }

  async #begun(task: ClaimedTask, repository: string, before: Before | null): Promise<WorkPlace> {
    const { home, own, env } = this.#options;
    const git = gitAt(env, this.#options.repository);
    const isKnown = before !== null && (await hasCommit(git, before.commit));
    const commit = isKnown ? before.commit : await commitOf(git, this.#options.base);
    const name = `task-${task.task}-${this.#suffix()}`;
    const outer = join(home, name);
    const branch = `shim/${name}`;
    const record = { task: task.task, repository, branch, base: isKnown ? before.base : commit, owner: own };
    writeRecord(outer, record);
    try {
      const add = (make: "-b" | "-B"): string[] => [
        "add",
        "--quiet",
        "--no-track",
        make,
        branch,
        treeIn(outer),
        commit,
      ];
      // The name is its own: where the first try has made the branch it is the same one.
      await worktreeCommand(git, add("-b"), add("-B"));
    } catch (error) {
      removeRecord(outer);
      throw error;
    }
    const isLost = before !== null && !isKnown;
    const notes = isLost
      ? [`the work of the attempt before is on ${before.machine}, and not here: it begins anew`]
      : [];
    return this.#worktree(outer, task, record, { commit, isContinued: isKnown, notes });
  }

  #worktree(
    outer: string,
    task: ClaimedTask,
    record: WorkRecord,
    begun: ConstructorParameters<typeof Worktree>[4],
  ): Worktree {
    return new Worktree(this.#options, outer, task, record, begun);
  }

  /** Branches of other workspaces, and of task numbers that came before a lost file, may be there. */
  #suffix(): string {
    return Math.floor(this.#options.random() * 2 ** 32)
      .toString(16)
      .padStart(8, "0");
  }
}
