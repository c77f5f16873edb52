import { existsSync, lstatSync, mkdirSync, readdirSync, realpathSync, symlinkSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { lines, quoteFolder, run, type Git } from "../../snapshots/git.ts";
import {
  createWorktree,
  gitInWorktree,
  isFolderFree,
  listWorktrees,
  removeByForce,
  worktreePath,
  type RemovalDeps,
  type WorktreeDeps,
} from "../../snapshots/worktrees.ts";
import { isForeign } from "./project-folder.ts";

export interface WorktreeSource {
  /** Top of the user's work tree. */
  readonly top: string;
  /** Folder that all work trees of the repository share. */
  readonly repository: string;
  /** Hash of a commit. */
  readonly base: string;
}

export interface ThrowawayWorktree {
  /** Private folder that holds the worktree, deleted with it. */
  readonly folder: string;
  readonly tree: string;
  /** Without `keepsObjects` what it writes is deleted with the worktree. */
  readonly git: (signal: AbortSignal) => Git;
  /** Removes everything that `createThrowaway` has made, whatever a program did to it. */
  readonly remove: () => Promise<void>;
}

interface ThrowawayOptions {
  readonly keepsObjects: boolean;
  readonly hasLinks: boolean;
  /** Its files are written by the caller. */
  readonly isEmpty?: boolean;
}

/** A worktree on no branch. Those whose process has died are removed first. */
export async function createThrowaway(
  deps: WorktreeDeps,
  { top, repository, base }: WorktreeSource,
  { keepsObjects, hasLinks, isEmpty = false }: ThrowawayOptions,
): Promise<ThrowawayWorktree> {
  const { env } = deps;
  await removeAbandoned(deps);
  const record = { task: 0, repository, base };
  const { folder } = await createWorktree(deps, {
    prefix: "transform",
    top,
    start: base,
    hasBranch: false,
    hasLinks,
    isEmpty,
    record,
  });
  const tree = worktreePath(folder);
  return {
    folder,
    tree,
    git: (signal) => {
      const git = gitInWorktree(env, repository, tree);
      const ownObjects = keepsObjects ? {} : objectsIn(join(folder, "objects"), repository);
      return { ...git, env: { ...git.env, ...ownObjects }, signal: AbortSignal.any([git.signal, signal]) };
    },
    remove: () => removeByForce(env, repository, folder),
  };
}

function objectsIn(folder: string, repository: string): NodeJS.ProcessEnv {
  mkdirSync(folder, { recursive: true });
  const alternate = quoteFolder(join(repository, "objects"));
  return { GIT_OBJECT_DIRECTORY: folder, GIT_ALTERNATE_OBJECT_DIRECTORIES: alternate };
}

/** Removes the worktrees of processes that have died. */
export async function removeAbandoned({ env, processes, home }: RemovalDeps): Promise<void> {
  for (const { folder, record } of listWorktrees(home)) {
    const isAbandoned = record.task === 0 && existsSync(record.repository);
    if (isAbandoned && (await isFolderFree(processes, folder, record)))
      await removeByForce(env, record.repository, folder);
  }
}

/** A project in a repository whose code may run. */
export interface RepositoryProject {
  /** Top of the user's work tree, where packages are installed. */
  readonly top: string;
  /** Folder that all work trees of the repository share. */
  readonly repository: string;
  /** From the top to the project, with `/`; "" for the top itself. */
  readonly prefix: string;
}

interface Checkout {
  readonly commit: string;
  readonly signal: AbortSignal;
  /** False: symbolic links are plain files, since tools follow them out of permitted folders. */
  readonly hasLinks?: boolean;
}

/** Checks a commit out, with the installed packages, for the time of `body`. */
export async function inCommit<T>(
  deps: WorktreeDeps,
  { top, repository, prefix }: RepositoryProject,
  { commit, signal, hasLinks = true }: Checkout,
  body: (folder: string, worktree: ThrowawayWorktree) => Promise<T>,
): Promise<T> {
  const worktree = await createThrowaway(deps, { top, repository, base: commit }, { keepsObjects: false, hasLinks });
  try {
    await linkModulesInside(worktree.git(signal), { top, tree: worktree.tree });
    return await body(join(worktree.tree, prefix), worktree);
  } finally {
    await worktree.remove();
  }
}

export interface Trees {
  /** Top of the user's work tree, where packages are installed. */
  readonly top: string;
  readonly tree: string;
}

const modules = "node_modules";

/** Links installed packages into the worktree, where git ignores that. */
export async function linkModulesInside(git: Git, trees: Trees): Promise<void> {
  const manifests = await lines(git, ["ls-files", "--", "package.json", "**/package.json"]);
  for (const folder of new Set(["", ...manifests.map((path) => dirname(path))])) {
    const target = join(folder, modules);
    if (!existsSync(join(trees.top, target)) || existsSync(join(trees.tree, target))) continue;
    const { code } = await run(git, ["check-ignore", "--quiet", `${target}/`], "", [0, 1]);
    if (code === 0) linkPackages(trees, join(trees.top, target), join(trees.tree, target));
  }
}

function linkPackages(trees: Trees, source: string, target: string): void {
  if (!existsSync(source)) return;
  mkdirSync(target, { recursive: true });
  for (const name of readdirSync(source)) {
    const path = join(source, name);
    const isScope = name.startsWith("@") && lstatSync(path).isDirectory();
    // Caches of tools are not shared.
    const isPrivate = name.startsWith(".") && name !== ".bin";
    if (isScope) linkPackages(trees, path, join(target, name));
    else if (!isPrivate && existsSync(path) && !existsSync(join(target, name)))
      symlinkSync(redirect(trees, path), join(target, name), "junction");
  }
}

/** A package of the same workspace is the one in the worktree. */
function redirect({ top, tree }: Trees, path: string): string {
  const inside = relative(top, realpathSync(path)).split(sep).join("/");
  return isForeign(inside) || inside.split("/").includes(modules) ? path : join(tree, inside);
}
