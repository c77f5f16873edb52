import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Processes } from "../platform/processes.ts";
import { GitError, run } from "../snapshots/git.ts";
import { currentBranch, resolveCommit, gitInFolder, gitInWorktree, hasCommit, worktreeCommand } from "./work-git.ts";
import { firstCommit, isFolderFree, readRecord, removeRecord, worktreePath, type WorkRecord } from "./work-record.ts";

const maxAgeMs = 7 * 86_400_000;

/** [WK53] Removes worktrees left a week ago; git refuses those with uncommitted changes. */
export async function removeOldWorktrees(home: string, deps: OldWorktreeDeps): Promise<string[]> {
  const removedFolders: string[] = [];
  for (const { folder, record } of taskWorktrees(home))
    if (await removeIfUnused(folder, record, deps)) removedFolders.push(folder);
  return removedFolders;
}

interface TaskWorktree {
  readonly folder: string;
  readonly record: WorkRecord;
}

/** Without a task it is a transform's, and the next one removes it. */
function taskWorktrees(home: string): TaskWorktree[] {
  const folders = (existsSync(home) ? readdirSync(home) : []).map((name) => join(home, name));
  return folders.flatMap((folder) => {
    const record = readRecord(folder);
    return record !== null && record.task > 0 ? [{ folder, record }] : [];
  });
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
  { env, processes }: Pick<OldWorktreeDeps, "env" | "processes">,
  ended: EndedTasks,
): Promise<void> {
  for (const { folder, record } of taskWorktrees(home)) {
    if (!isAmong(ended, record, folder) || !(await isFolderFree(processes, folder, record))) continue;
    if (!(await removeWorktree(env, record, worktreePath(folder)))) continue;
    if (record.isOffered !== true) await removeEmptyBranch(env, record);
    removeRecord(folder);
  }
}

function isAmong({ repository, tasks, since }: EndedTasks, record: WorkRecord, folder: string): boolean {
  return record.repository === repository && tasks.has(record.task) && (leftAt(folder) ?? 0) >= since;
}

function leftAt(folder: string): number | null {
  return statSync(join(folder, "record.json"), { throwIfNoEntry: false })?.mtimeMs ?? null;
}

interface OldWorktreeDeps {
  readonly env: NodeJS.ProcessEnv;
  readonly now: () => number;
  readonly processes: Processes;
}

async function removeIfUnused(
  folder: string,
  record: WorkRecord,
  { env, now, processes }: OldWorktreeDeps,
): Promise<boolean> {
  const isOld = now() - (leftAt(folder) ?? now()) >= maxAgeMs;
  if ((!isOld && !mayBeUnused(record)) || !(await isFolderFree(processes, folder, record))) return false;
  if (!isOld && !(await isUntouched(env, record, folder))) return false;
  if (!(await removeWorktree(env, record, worktreePath(folder)))) return false;
  if (!isOld) await removeEmptyBranch(env, record);
  removeRecord(folder);
  return true;
}

/** Without an owner it was left in good order for the next attempt. */
function mayBeUnused({ owner, isOffered }: WorkRecord): boolean {
  return owner !== null && isOffered !== true;
}

/** Git refuses if the branch has moved. */
async function removeEmptyBranch(env: NodeJS.ProcessEnv, record: WorkRecord): Promise<void> {
  const git = gitInFolder(env, record.repository);
  for (const commit of new Set([firstCommit(record), record.base]))
    await run(git, ["update-ref", "-d", `refs/heads/${record.branch}`, commit], "", [0, 1, 128]);
}

/** Nothing was saved or committed in it. */
async function isUntouched(
  env: NodeJS.ProcessEnv,
  { repository, ...record }: WorkRecord,
  folder: string,
): Promise<boolean> {
  const tree = worktreePath(folder);
  try {
    if (await hasCommit(gitInFolder(env, repository), `refs/shim/${basename(folder)}`)) return false;
    return (
      !existsSync(tree) || (await resolveCommit(gitInWorktree(env, repository, tree), "HEAD")) === firstCommit(record)
    );
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return false;
  }
}

async function removeWorktree(
  env: NodeJS.ProcessEnv,
  { repository, branch }: WorkRecord,
  tree: string,
): Promise<boolean> {
  if (!existsSync(tree)) return true;
  try {
    // Commits on no branch would be lost.
    if ((await currentBranch(gitInWorktree(env, repository, tree))) !== branch) return false;
    await worktreeCommand(gitInFolder(env, repository), ["remove", tree]);
    return true;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return false;
  }
}
