import { existsSync, lstatSync, mkdirSync, readdirSync, realpathSync, symlinkSync } from "node:fs";
import { dirname, isAbsolute, join, relative, sep } from "node:path";
import { lines, run, type Git } from "../snapshots/git.ts";

export interface Trees {
  /** Top of the user's work tree, where packages are installed. */
  readonly top: string;
  readonly tree: string;
}

const modules = "node_modules";

/**
 * [TX7] Links the packages of a project, and of the folders above it, beside the worktree: programs
 * in it find them, git does not.
 *
 * @param project folder, relative to the top
 */
export function linkModulesBeside(trees: Trees, project: string): void {
  const target = join(dirname(trees.tree), modules);
  for (let folder = project; ; folder = dirname(folder)) {
    linkPackages(trees, join(trees.top, folder, modules), target);
    if (folder === "." || folder === "") return;
  }
}

/** [TX7] Links installed packages into the worktree, where git ignores that. */
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
    if (isScope) linkPackages(trees, path, join(target, name));
    else if (!isPrivate(name) && existsSync(path)) linkPackage(redirect(trees, path), join(target, name));
  }
}

/** Caches of tools are not shared. */
function isPrivate(name: string): boolean {
  return name.startsWith(".") && name !== ".bin";
}

function linkPackage(path: string, target: string): void {
  if (!existsSync(target)) symlinkSync(path, target, "junction");
}

/** A package of the same workspace is the one in the worktree. */
function redirect({ top, tree }: Trees, path: string): string {
  const inside = relative(top, realpathSync(path));
  const isForeign = inside.startsWith("..") || isAbsolute(inside);
  return isForeign || inside.split(sep).includes(modules) ? path : join(tree, inside);
}
