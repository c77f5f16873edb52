import { join } from "node:path";
import type { WorkDeps } from "../worker-runner/work-deps.ts";
import { linkModulesInside } from "./link-modules.ts";
import { createThrowaway, type ThrowawayWorktree } from "./throwaway-worktree.ts";

/** A project in a repository whose code may run. */
export interface RepositoryProject {
  /** Top of the user's work tree, where packages are installed. */
  readonly top: string;
  /** Folder that all work trees of the repository share. */
  readonly repository: string;
  /** From the top to the project, with `/`; "" for the top itself. */
  readonly prefix: string;
}

/** Checks a commit out, with the installed packages, for the time of `body`. */
export async function inCommit<T>(
  deps: WorkDeps,
  { top, repository, prefix }: RepositoryProject,
  { commit, signal }: { readonly commit: string; readonly signal: AbortSignal },
  body: (folder: string, worktree: ThrowawayWorktree) => Promise<T>,
): Promise<T> {
  const worktree = await createThrowaway(deps, { top, repository, base: commit }, false);
  try {
    await linkModulesInside(worktree.git(signal), { top, tree: worktree.tree });
    return await body(join(worktree.tree, prefix), worktree);
  } finally {
    await worktree.remove();
  }
}
