import { dirname, join } from "node:path";
import * as z from "zod";
import type { ClaimedTask } from "../contract/tasks.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";
import type { InputWork } from "./input-work.ts";
import { markName, toMark } from "./marked-processes.ts";
import {
  commonGitFolder,
  gitInFolder,
  gitInWorktree,
  hasCommit,
  resolveCommit,
  unlock,
  worktreeAdminFolder,
  worktreeCommand,
} from "./work-git.ts";
import type { TaskFolder, TaskFolders } from "./task-folder.ts";
import { isFolderFree, MergedRecord, readRecord, removeRecord, worktreePath, writeRecord } from "./work-record.ts";
import { startWithInputs } from "./worktree-inputs.ts";
import { Worktree, type WorktreeDeps } from "./worktree.ts";
import type { WorkDeps } from "./work-deps.ts";

export interface WorktreeOptions extends WorktreeDeps, Pick<WorkDeps, "home" | "processes" | "self" | "random"> {
  readonly repository: string;
  /** A branch, tag or commit. */
  readonly base: string;
}

const hash = z.string().regex(/^[0-9a-f]{40,64}$/);

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
  readonly base: string;
  readonly merged: MergedRecord | undefined;
  readonly isContinued: boolean;
  readonly notes: readonly string[];
}

/** [WK12] Reuses the previous attempt's worktree, or creates one from its last commit. */
export class TaskWorktrees implements TaskFolders {
  readonly #options: WorktreeOptions;

  constructor(options: WorktreeOptions) {
    this.#options = options;
  }

  async open(task: ClaimedTask, inputs: ReadInputs): Promise<TaskFolder> {
    const { env, repository } = this.#options;
    const parsed = PreviousWork.safeParse(task.checkpoint);
    const previous = parsed.success ? parsed.data.work : null;
    const commonDir = await commonGitFolder(gitInFolder(env, repository), repository);
    const resumed = previous && (await this.#resume(task, commonDir, previous));
    return resumed ?? this.#create(task, commonDir, await this.#findStart(task, commonDir, previous, inputs));
  }

  async #resume(task: ClaimedTask, repository: string, previous: PreviousWork): Promise<TaskFolder | null> {
    const { processes, self, env } = this.#options;
    const recordFolder = dirname(previous.folder);
    const record = this.#isOwnFolder(previous) ? readRecord(recordFolder) : null;
    if (!record || record.task !== task.task || record.repository !== repository) return null;
    if (worktreeAdminFolder(repository, previous.folder) === null) return null;
    if (!(await isFolderFree(processes, recordFolder, record))) return null;
    const ownedRecord = { ...record, owner: self };
    writeRecord(recordFolder, ownedRecord);
    await unlock(gitInWorktree(env, repository, previous.folder));
    const start = { commit: previous.commit, isContinued: true, isNew: false, notes: [] };
    return new Worktree(this.#options, recordFolder, task, ownedRecord, start);
  }

  #isOwnFolder({ machine, folder }: PreviousWork): boolean {
    const recordFolder = dirname(folder);
    const isHere = machine === this.#options.machine && dirname(recordFolder) === this.#options.home;
    return isHere && worktreePath(recordFolder) === folder;
  }

  async #create(task: ClaimedTask, repository: string, startPoint: StartPoint): Promise<TaskFolder> {
    const { home, self } = this.#options;
    // Another workspace, or a lost coordinator file, may have used the same task number.
    const suffix = Math.floor(this.#options.random() * 2 ** 32).toString(16);
    const name = `task-${task.task}-${suffix.padStart(8, "0")}`;
    const recordFolder = join(home, name);
    const branch = `shim/${name}`;
    const { base, merged } = startPoint;
    const record = { task: task.task, repository, branch, base, owner: self, ...omitUndefined({ merged }) };
    writeRecord(recordFolder, record);
    try {
      await this.#add(branch, worktreePath(recordFolder), startPoint.commit);
    } catch (error) {
      removeRecord(recordFolder);
      throw error;
    }
    return new Worktree(this.#options, recordFolder, task, record, { ...startPoint, isNew: true });
  }

  async #add(branch: string, tree: string, commit: string): Promise<void> {
    const { env, repository, self } = this.#options;
    // Marked, so that one that outlives this process is ended before its worktree is removed.
    const git = gitInFolder({ ...env, [markName]: toMark(self) }, repository);
    const add = (make: "-b" | "-B"): string[] => ["add", "--quiet", "--no-track", make, branch, tree, commit];
    // The failed first try may have made the branch, whose name is unique.
    await worktreeCommand(git, add("-b"), add("-B"));
  }

  /** [WK49] Prefers the previous attempt's last commit; [WK30] merges missing inputs. */
  async #findStart(
    task: ClaimedTask,
    repository: string,
    previous: PreviousWork | null,
    inputs: ReadInputs,
  ): Promise<StartPoint> {
    const git = gitInFolder(this.#options.env, this.#options.repository);
    if (previous && (await hasCommit(git, previous.commit))) {
      const { base, merged } = previous;
      if (merged) return { commit: previous.commit, base, merged, isContinued: true, notes: [] };
      return { ...(await this.#withInputs(task, repository, previous.commit, inputs)), base, isContinued: true };
    }
    const base = await resolveCommit(git, this.#options.base);
    const mergedStart = await this.#withInputs(task, repository, base, inputs);
    const lostNote = previous
      ? [`the work of the previous attempt is on ${previous.machine}, not here: the task starts again`]
      : [];
    return { ...mergedStart, base, isContinued: false, notes: [...lostNote, ...mergedStart.notes] };
  }

  async #withInputs(
    { task }: ClaimedTask,
    repository: string,
    startCommit: string,
    inputs: ReadInputs,
  ): Promise<Pick<StartPoint, "commit" | "merged" | "notes">> {
    const works = this.#options.inputs.isMerged ? await inputs() : [];
    const location = { folder: this.#options.repository, repository, task };
    const { commit, merged, notes } = await startWithInputs(this.#options, location, startCommit, works);
    return { commit, merged: works.length === 0 ? undefined : { ...merged, commit }, notes };
  }
}
