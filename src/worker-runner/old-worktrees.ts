import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Processes } from "../platform/processes.ts";
import { GitError, run } from "../snapshots/git.ts";
import { currentBranch, resolveCommit, gitInFolder, gitInWorktree, hasCommit, worktreeCommand } from "./work-git.ts";
import { isFolderFree, readRecord, removeRecord, worktreePath, type WorkRecord } from "./work-record.ts";

const maxAgeMs = 7 * 86_400_000;

/** [WK53] Removes worktrees left a week ago; git refuses those with uncommitted changes. */
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
  const { repository, branch, base } = record;
  // Git refuses if the branch has moved.
  const deletion = ["update-ref", "-d", `refs/heads/${branch}`, base];
  if (isUnused) await run(gitInFolder(env, repository), deletion, "", [0, 1, 128]);
  removeRecord(folder);
  return true;
}

/** A worker killed before its first save or commit has reported no worktree. */
async function isUntouched(env: NodeJS.ProcessEnv, record: WorkRecord, folder: string): Promise<boolean> {
  const { owner, repository, base } = record;
  const tree = worktreePath(folder);
  try {
    // Left in good order for the next attempt.
    if (owner === null) return false;
    if (await hasCommit(gitInFolder(env, repository), `refs/shim/${basename(folder)}`)) return false;
    return !existsSync(tree) || (await resolveCommit(gitInWorktree(env, repository, tree), "HEAD")) === base;
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
