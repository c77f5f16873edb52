import { copyFileSync, existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GitError, run, type Git, type RawPath } from "./git.ts";
import { foldersOf } from "./file-modes.ts";
import { copyIndex, type OpenRepository } from "./repository.ts";
import { installed, readStats } from "./selection.ts";
import { indexEntries, updateIndex, type IndexEntry, type WorkTree } from "./work-tree.ts";

/** Copies HEAD, the index and this clone's ignore and attribute rules into the scratch. */
export function copyProjectFiles(tree: WorkTree, scratch: string, index: string): void {
  writeFileSync(join(scratch, "HEAD"), `${tree.head ?? "ref: refs/heads/none"}\n`);
  if (tree.isPlain) {
    writeFileSync(join(scratch, "info/exclude"), [...installed].map((name) => `${name}/\n`).join(""));
    copyIndex(index, scratch);
    return;
  }
  rmSync(join(scratch, "info/attributes"), { force: true });
  for (const file of ["info/exclude", "info/attributes"]) {
    const from = join(tree.commonDir, file);
    if (existsSync(from)) copyFileSync(from, join(scratch, file));
  }
  const shared = readdirSync(tree.gitDir).filter((name) => name.startsWith("sharedindex."));
  for (const name of shared) copyFileSync(join(tree.gitDir, name), join(scratch, name));
  copyIndex(index, scratch);
}

/**
 * Includes files hidden from git by the user, unless they are missing from the work tree.
 *
 * @returns what is missing: a folder, with a slash at the end, where nothing of it is there
 */
export async function unhide(git: Git, top: string, tracked: readonly IndexEntry[]): Promise<RawPath[]> {
  const hidden = tracked.filter(({ tag }) => tag.toUpperCase() === "S");
  const skipped = hidden.filter(({ path }) => readStats(top, path) !== undefined);
  const assumed = tracked.filter(({ tag }) => tag !== tag.toUpperCase());
  await updateIndex(git, ["--no-skip-worktree"], skipped);
  await updateIndex(git, ["--no-assume-unchanged"], assumed);
  if (skipped.length === hidden.length) return [];
  const isThere = new Set(skipped);
  const missing = new Set(hidden.filter((entry) => !isThere.has(entry)));
  const folders = new Set(tracked.filter((entry) => !missing.has(entry)).flatMap(({ path }) => foldersOf(path)));
  const sparse = [...missing].map(({ path }) => {
    const folder = foldersOf(path).find((one) => !folders.has(one));
    return folder === undefined ? path : `${folder}/`;
  });
  return [...new Set(sparse)];
}

/** Entries of the copied index. Of a damaged one the last commit says what git tracks. */
export async function readTracked(
  { scratch }: OpenRepository,
  head: string | null,
  { reader, writer }: { readonly reader: Git; readonly writer: Git },
): Promise<IndexEntry[]> {
  try {
    return await indexEntries(writer);
  } catch (error) {
    if (!(error instanceof GitError) || error.fault !== "failed" || head === null) throw error;
    rmSync(join(scratch, "index"), { force: true });
    await run(reader, ["read-tree", head]);
    return indexEntries(writer);
  }
}
