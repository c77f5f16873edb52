import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import type { Processes } from "../processes.ts";
import { GitError, run } from "../snapshots/git.ts";
import { branchAt, commitOf, gitAt, gitOf, hasCommit, worktreeCommand } from "./work-git.ts";
import { isFree, readRecord, removeRecord, treeIn, type WorkRecord } from "./work-record.ts";

/** Nobody comes back to a task after so long. */
const oldMs = 7 * 86_400_000;

/**
 * Removes worktrees that a week ago somebody has left, for a next attempt that never came here. [WK13] Git itself refuses where something is not
 * committed; those stay.
 *
 * @param home where SHIM keeps worktrees
 * @returns those that are gone
 */
export async function removeOld(home: string, around: Surroundings): Promise<string[]> {
  const gone: string[] = [];
  for (const name of existsSync(home) ? readdirSync(home) : []) {
    const folder = join(home, name);
    const record = readRecord(folder);
    if (record && (await isGone(folder, record, around))) gone.push(folder);
  }
  return gone;
}

interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  readonly now: () => number;
  readonly processes: Processes;
}

async function isGone(folder: string, record: WorkRecord, { env, now, processes }: Surroundings): Promise<boolean> {
  const leftAt = statSync(join(folder, "record.json"), { throwIfNoEntry: false })?.mtimeMs ?? now();
  const isOld = now() - leftAt >= oldMs;
  const isUnused = !isOld && (await isAsBegun(env, record, folder));
  if (!isOld && !isUnused) return false;
  if (!(await isFree(processes, folder, record))) return false;
  if (!(await isRemoved(env, record, treeIn(folder)))) return false;
  if (isUnused) await dropBranch(env, record);
  removeRecord(folder);
  return true;
}

/** Nothing was saved or committed in it: a worker that was killed then has told nobody of its worktree. */
async function isAsBegun(env: NodeJS.ProcessEnv, record: WorkRecord, folder: string): Promise<boolean> {
  const { owner, repository, base } = record;
  const tree = treeIn(folder);
  try {
    // Left in good order, for the next attempt.
    if (owner === null) return false;
    if (await hasCommit(gitAt(env, repository), `refs/shim/${basename(folder)}`)) return false;
    return !existsSync(tree) || (await commitOf(gitOf(env, repository, tree), "HEAD")) === base;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return false;
  }
}

/** Git refuses where the branch is elsewhere by now; it may not have been made yet. */
async function dropBranch(env: NodeJS.ProcessEnv, { repository, branch, base }: WorkRecord): Promise<void> {
  await run(gitAt(env, repository), ["update-ref", "-d", `refs/heads/${branch}`, base], "", [0, 1, 128]);
}

async function isRemoved(env: NodeJS.ProcessEnv, { repository, branch }: WorkRecord, tree: string): Promise<boolean> {
  if (!existsSync(tree)) return true;
  try {
    // Commits that are on no branch would go with it.
    if ((await branchAt(gitOf(env, repository, tree))) !== branch) return false;
    await worktreeCommand(gitAt(env, repository), ["remove", tree]);
    return true;
  } catch (error) {
    if (!(error instanceof GitError)) throw error;
    return false;
  }
}
