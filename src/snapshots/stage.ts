import { copyFileSync, existsSync, readdirSync, statSync, utimesSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, posix } from "node:path";
import type { FileChange, GitEntry, IndexEntry } from "./work-tree-changes.ts";
import { joinRaw, diskPath, run, displayPath, splitRaw, type Git, type RawPath } from "./git.ts";
import { readStats, type ExcludedFile, type Selection } from "./selection.ts";
import type { WorkTree } from "./work-tree.ts";

const maxFoldersSearched = 5_000;

/** Copies the index and this clone's ignore and attribute rules into the scratch. */
export function copyProjectFiles(tree: WorkTree, scratch: string): void {
  for (const file of ["info/exclude", "info/attributes"]) {
    const from = join(tree.commonDir, file);
    if (existsSync(from)) copyFileSync(from, join(scratch, file));
  }
  const shared = readdirSync(tree.gitDir).filter((name) => name.startsWith("sharedindex."));
  for (const name of shared) copyFileSync(join(tree.gitDir, name), join(scratch, name));
  const index = join(tree.gitDir, "index");
  if (!existsSync(index)) return;
  const copy = join(scratch, "index");
  copyFileSync(index, copy);
  // Git trusts files older than the index: a younger index copy would hide changes, an older one
  // only costs a comparison.
  const { mtimeMs } = statSync(index);
  const seconds = Math.floor(mtimeMs / 1_000) - 1;
  utimesSync(copy, seconds, seconds);
}

/** Includes files hidden from git by the user, unless they are missing from the work tree. */
export async function unhide(git: Git, top: string, tracked: readonly IndexEntry[]): Promise<void> {
  const isThere = ({ path }: IndexEntry) => readStats(top, path) !== undefined;
  const skipped = tracked.filter((entry) => entry.tag.toUpperCase() === "S" && isThere(entry));
  const assumed = tracked.filter(({ tag }) => tag !== tag.toUpperCase());
  if (skipped.length > 0)
    await run(git, ["update-index", "--no-skip-worktree", "-z", "--stdin"], joinRaw(skipped.map(({ path }) => path)));
  if (assumed.length > 0)
    await run(
      git,
      ["update-index", "--no-assume-unchanged", "-z", "--stdin"],
      joinRaw(assumed.map(({ path }) => path)),
    );
}

function indexLine(path: RawPath, { mode, id }: GitEntry): string {
  return `${mode} ${id}\t${path}`;
}

/**
 * Git must not see the project's objects here: on writing an object that exists, it sets the time
 * of the file that has it.
 */
export async function stage(git: Git, { taken, deleted, kept }: Selection, format: string): Promise<void> {
  const zeroId = "0".repeat(format === "sha256" ? 64 : 40);
  const remove = ({ path }: { path: RawPath }) => `0 ${zeroId}\t${path}`;
  const tracked = [...deleted, ...kept].filter(({ path }) => !path.endsWith("/"));
  const changes = [
    ...tracked.map(remove),
    ...kept.flatMap((change) => (change.before ? [indexLine(change.path, change.before)] : [])),
  ];
  if (changes.length > 0) await run(git, ["update-index", "--replace", "-z", "--index-info"], joinRaw(changes));
  const paths = taken.map(({ path }: FileChange) => path);
  // --remove: a file deleted meanwhile is not in the snapshot either.
  if (paths.length > 0)
    await run(git, ["update-index", "--add", "--remove", "--replace", "-z", "--stdin"], joinRaw(paths));
}

export async function dropEntries(git: Git, entries: readonly IndexEntry[]): Promise<void> {
  if (entries.length > 0)
    await run(git, ["update-index", "--force-remove", "-z", "--stdin"], joinRaw(entries.map(({ path }) => path)));
}

/** [GS10] Names sockets, pipes and devices, which git omits silently. */
export async function specialFiles(git: Git, top: string, paths: readonly RawPath[]): Promise<ExcludedFile[]> {
  const specialPaths: RawPath[] = [];
  for (const folder of foldersOf(paths)) specialPaths.push(...(await specialIn(top, folder)));
  if (specialPaths.length === 0) return [];
  // ./ keeps a name that begins with a colon from being read as a pattern.
  const asked = specialPaths.map((path) => `./${path}`);
  const { stdout } = await run(git, ["check-ignore", "-z", "--stdin"], joinRaw(asked), [0, 1]);
  const ignored = new Set(splitRaw(stdout));
  return specialPaths
    .filter((path) => !ignored.has(`./${path}`))
    .map((path) => ({ path: displayPath(path), reason: "a socket, pipe or device" }));
}

function foldersOf(paths: readonly RawPath[]): Set<RawPath> {
  const folders = new Set<RawPath>(["."]);
  for (const path of paths) {
    if (folders.size >= maxFoldersSearched) break;
    folders.add(posix.dirname(path));
  }
  return folders;
}

async function specialIn(top: string, folder: RawPath): Promise<RawPath[]> {
  const entries = await readdir(diskPath(top, folder), { withFileTypes: true, encoding: "buffer" }).catch(() => []);
  return entries
    .filter((entry) => !entry.isFile() && !entry.isDirectory() && !entry.isSymbolicLink())
    .map((entry) => posix.join(folder, entry.name.toString("latin1")));
}
