import { copyFileSync, existsSync, readdirSync, statSync, utimesSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, posix } from "node:path";
import { indexEntries, type FileChange, type IndexEntry } from "./work-tree-changes.ts";
import { listNeeded } from "./object-store.ts";
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
  await updateIndex(git, ["--no-skip-worktree"], skipped);
  await updateIndex(git, ["--no-assume-unchanged"], assumed);
}

async function updateIndex(git: Git, flags: readonly string[], files: readonly { path: RawPath }[]): Promise<void> {
  if (files.length > 0)
    await run(git, ["update-index", ...flags, "-z", "--stdin"], joinRaw(files.map(({ path }) => path)));
}

function indexLine({ path, before }: FileChange): string[] {
  return before ? [`${before.mode} ${before.id}\t${path}`] : [];
}

/**
 * Git must not see the project's objects here: on writing an object that exists, it sets the time
 * of the file that has it.
 */
export async function stage(git: Git, { taken, deleted, kept }: Selection, format: string): Promise<void> {
  const zeroId = "0".repeat(format === "sha256" ? 64 : 40);
  const remove = ({ path }: FileChange) => `0 ${zeroId}\t${path}`;
  const tracked = [...deleted, ...kept].filter(({ path }) => !path.endsWith("/"));
  const changes = [...tracked.map(remove), ...kept.flatMap(indexLine)];
  if (changes.length > 0) await run(git, ["update-index", "--replace", "-z", "--index-info"], joinRaw(changes));
  // --remove: a file deleted meanwhile is not in the snapshot either.
  await updateIndex(git, ["--add", "--remove", "--replace"], taken);
}

/** Drops the index entries whose objects are missing, as in a partial clone. */
export async function dropAbsent(
  reader: Git,
  writer: Git,
  root: string,
  reason: string,
): Promise<{ entries: IndexEntry[]; absent: ExcludedFile[] }> {
  const entries = await indexEntries(writer);
  const absentIds = new Set((await listNeeded(reader, root)).absent);
  const absent = entries.filter(({ id }) => absentIds.has(id));
  await updateIndex(writer, ["--force-remove"], absent);
  return {
    entries: entries.filter(({ id }) => !absentIds.has(id)),
    absent: absent.map(({ path }) => ({ path: displayPath(path), reason })),
  };
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
