import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Processes } from "../processes.ts";
import { GitError } from "../snapshots/git.ts";
import { branchAt, gitAt, gitOf, worktreeCommand } from "./work-git.ts";
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
export async function removeOld(
  home: string,
  {
    env,
    now,
    processes,
  }: { readonly env: NodeJS.ProcessEnv; readonly now: () => number; readonly processes: Processes },
): Promise<string[]> {
  const gone: string[] = [];
  for (const name of existsSync(home) ? readdirSync(home) : []) {
    const folder = join(home, name);
    const record = readRecord(folder);
    const leftAt = statSync(join(folder, "record.json"), { throwIfNoEntry: false })?.mtimeMs ?? now();
    if (!record || now() - leftAt < oldMs || !(await isFree(processes, folder, record))) continue;
    if (await isRemoved(env, record, treeIn(folder))) {
      removeRecord(folder);
      gone.push(folder);
    }
  }
  return gone;
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
