import { dirname, join } from "node:path";
import * as z from "zod";
import type { ClaimedTask } from "../../contract/tasks.ts";
import { omitUndefined } from "../../shared/given.ts";
import type { ProcessIdentity, Processes } from "../processes.ts";
import type { InputWork } from "./input-work.ts";
import { commitOf, gitAt, gitOf, hasCommit, ownFolderOf, repositoryOf, unlock, worktreeCommand } from "./work-git.ts";
import type { WorkPlace, WorkPlaces } from "./work-place.ts";
import { isFree, Merged, readRecord, removeRecord, treeIn, writeRecord, type WorkRecord } from "./work-record.ts";
import { beginWith } from "./worktree-inputs.ts";
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

const hash = z.string().regex(/^[0-9a-f]{40,64}$/);

/** What a checkpoint says of the work before. It comes from the coordinator: nothing of it is believed that cannot be seen here. */
const Before = z.object({
  work: z.object({
    machine: z.string(),
    folder: z.string(),
    base: hash,
    commit: hash,
    merged: Merged.optional().catch(undefined),
  }),
});
type Before = z.infer<typeof Before>["work"];

type ReadInputs = () => Promise<InputWork[]>;

/** Where a new worktree begins. */
interface Start {
  readonly commit: string;
  /** Without the work of the task and of its inputs. */
  readonly base: string;
  readonly merged: Merged | undefined;
  readonly isContinued: boolean;
  readonly notes: readonly string[];
}

/** A worktree of one repository for each task: the one that the attempt before has left, or a new one from its last commit. [WK12] */
export class WorktreePlaces implements WorkPlaces {
  readonly #options: WorktreeOptions;

  constructor(options: WorktreeOptions) {
    this.#options = options;
  }

  async open(task: ClaimedTask, inputs: ReadInputs): Promise<WorkPlace> {
    const { env, repository } = this.#options;
    const found = Before.safeParse(task.checkpoint);
    const before = found.success ? found.data.work : null;
    const own = await repositoryOf(gitAt(env, repository), repository);
    const continued = before && (await this.#continued(task, own, before));
    return continued ?? this.#begun(task, own, await this.#start(task, own, before, inputs));
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

  async #begun(task: ClaimedTask, repository: string, start: Start): Promise<WorkPlace> {
    const { home, own } = this.#options;
    const name = `task-${task.task}-${this.#suffix()}`;
    const outer = join(home, name);
    const branch = `shim/${name}`;
    const { base, merged } = start;
    const record = { task: task.task, repository, branch, base, owner: own, ...omitUndefined({ merged }) };
    writeRecord(outer, record);
    try {
      await this.#add(branch, treeIn(outer), start.commit);
    } catch (error) {
      removeRecord(outer);
      throw error;
    }
    return this.#worktree(outer, task, record, start);
  }

  async #add(branch: string, tree: string, commit: string): Promise<void> {
    const git = gitAt(this.#options.env, this.#options.repository);
    const add = (make: "-b" | "-B"): string[] => ["add", "--quiet", "--no-track", make, branch, tree, commit];
    // The name is its own: where the first try has made the branch it is the same one.
    await worktreeCommand(git, add("-b"), add("-B"));
  }

  /** [WK12] The last commit of the attempt before where it is here, else the base; [WK30] with the inputs that are not in it. */
  async #start(task: ClaimedTask, repository: string, before: Before | null, inputs: ReadInputs): Promise<Start> {
    const git = gitAt(this.#options.env, this.#options.repository);
    if (before && (await hasCommit(git, before.commit))) {
      const { base, merged } = before;
      if (merged) return { commit: before.commit, base, merged, isContinued: true, notes: [] };
      return { ...(await this.#withInputs(task, repository, before.commit, inputs)), base, isContinued: true };
    }
    const base = await commitOf(git, this.#options.base);
    const begun = await this.#withInputs(task, repository, base, inputs);
    const lost = before ? [`the work of the attempt before is on ${before.machine}, and not here: it begins anew`] : [];
    return { ...begun, base, isContinued: false, notes: [...lost, ...begun.notes] };
  }

  async #withInputs(
    { task }: ClaimedTask,
    repository: string,
    start: string,
    inputs: ReadInputs,
  ): Promise<Pick<Start, "commit" | "merged" | "notes">> {
    const works = this.#options.inputs.isMerged ? await inputs() : [];
    const place = { folder: this.#options.repository, repository, task };
    const { commit, merged, notes } = await beginWith(this.#options, place, start, works);
    return { commit, merged: works.length === 0 ? undefined : { ...merged, commit }, notes };
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
