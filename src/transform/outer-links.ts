import { lstatSync, readlinkSync, realpathSync, statSync, symlinkSync, unlinkSync } from "node:fs";
import { sep } from "node:path";
import { diskPath, type Git } from "../snapshots/git.ts";
import { indexEntries } from "../snapshots/work-tree.ts";

const linkMode = "120000";

/** [TX6] While the work is done no tracked symbolic link leads out of the worktree. */
export async function withoutOuterLinks<T>(git: Git, tree: string, work: () => Promise<T>): Promise<T> {
  const links = (await indexEntries(git)).filter(({ mode }) => mode === linkMode);
  const top = `${realpathSync(tree)}${sep}`;
  const outer = links.map(({ path }) => diskPath(tree, path)).filter((path) => isOuter(path, top));
  const targets = outer.map((path) => readlinkSync(path, "buffer"));
  for (const path of outer) unlinkSync(path);
  try {
    return await work();
  } finally {
    for (const [index, path] of outer.entries()) restore(path, targets[index]);
  }
}

/** A link without a target counts as one: a file could be made there. */
function isOuter(path: Buffer, top: string): boolean {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return false;
  try {
    return !`${realpathSync(path)}${sep}`.startsWith(top);
  } catch {
    return true;
  }
}

/** A file that the tool has made there stays, and so does a deleted folder. */
function restore(path: Buffer, target: Buffer | undefined): void {
  const folder = path.subarray(0, path.lastIndexOf(sep));
  const isFree = lstatSync(path, { throwIfNoEntry: false }) === undefined;
  const hasFolder = statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true;
  if (target !== undefined && isFree && hasFolder) symlinkSync(target, path);
}
