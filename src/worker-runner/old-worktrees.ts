import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Processes } from "../platform/processes.ts";
import { GitError, run } from "../snapshots/git.ts";
import { currentBranch, resolveCommit, gitInFolder, gitInWorktree, hasCommit, worktreeCommand } from "./work-git.ts";
import { isFolderFree, readRecord, removeRecord, worktreePath, type WorkRecord } from "./work-record.ts";

/** Nobody comes back to a task after so long. */
const maxAgeMs = 7 * 86_400_000;

/**
 * Removes worktrees that a week ago somebody has left, for a next attempt that never came here. [WK13] Git itself refuses where something is not
 * committed; those stay.
 *
 * @param home where SHIM keeps worktrees
 * @returns those that are gone
 */
export async function removeOldWorktrees(home: string, deps: OldWorktreeDeps): Promise<string[]> {
  const removedFolders: string[] = [];
  for (const name of existsSync(home) ? readdirSync(home) : []) {
    const folder = join(home, name);
    const record = readRecord(folder);
    if (record && (await removeIfUnused(folder, record, deps))) removedFolders.push(folder);
  }
  return removedFolders;
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
  const leftAt = statSync(join(folder, "record.json"), { throwIfNoEntry: false })?.mtimeMs ?? now();
  const isOld = now() - leftAt >= maxAgeMs;
  const isUnused = !isOld && (await isUntouched(env, record, folder));
  if (!isOld && !isUnused) return false;
  if (!(await isFolderFree(processes, folder, record))) return false;
  if (!(await removeWorktree(env, record, worktreePath(folder)))) return false;
  if (isUnused) await deleteBranch(env, record);
  removeRecord(folder);
  return true;
}

/** Nothing was saved or committed in it: a worker that was killed then has told nobody of its worktree. */
async function isUntouched(env: NodeJS.ProcessEnv, record: WorkRecord, folder: string): Promise<boolean> {
  const { owner, repository, base } = record;
  const tree = worktreePath(folder);
  try {
    // Left in good order, for the next attempt.
    if (owner === null) return false;
    if (await hasCommit(gitInFolder(env, repository), `refs/shim/${basename(folder)}`)) return false;
    return !existsSync(tree) || (await resolveCommit(gitInWorktree(env, repository, tree), "HEAD")) === base;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return false;
  }
}

/** Git refuses where the branch is elsewhere by now; it may not have been made yet. */
async function deleteBranch(env: NodeJS.ProcessEnv, { repository, branch, base }: WorkRecord): Promise<void> {
  await run(gitInFolder(env, repository), ["update-ref", "-d", `refs/heads/${branch}`, base], "", [0, 1, 128]);
}

async function removeWorktree(
  env: NodeJS.ProcessEnv,
  { repository, branch }: WorkRecord,
  tree: string,
): Promise<boolean> {
  if (!existsSync(tree)) return true;
  try {
    // Commits that are on no branch would go with it.
    if ((await currentBranch(gitInWorktree(env, repository, tree))) !== branch) return false;
    await worktreeCommand(gitInFolder(env, repository), ["remove", tree]);
    return true;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return false;
  }
}
