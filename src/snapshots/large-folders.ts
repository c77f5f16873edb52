import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pluralize } from "../shared/format.ts";
import { foldersOf } from "./file-modes.ts";
import type { RawPath } from "./git.ts";
import { installed, readStats, type SnapshotLimits } from "./selection.ts";
import type { FileChange, WorkTreeChanges } from "./work-tree.ts";

/** Untracked files that are read with each turn. */
const usual = { maxNewFiles: 10_000, maxNewBytes: 67_108_864 };

interface Folder {
  readonly files: FileChange[];
  bytes: number;
}

/**
 * Leaves out untracked folders, the largest first, until the rest can be read within a turn's time.
 *
 * @returns the rest, and each folder with the reason; a path of no such folder stands for itself
 */
export function withoutLargeFolders(
  top: string,
  { changes, tracked }: Pick<WorkTreeChanges, "changes" | "tracked">,
  limits: SnapshotLimits,
): { readonly changes: readonly FileChange[]; readonly large: readonly (readonly [path: RawPath, reason: string])[] } {
  const { maxNewFiles = usual.maxNewFiles, maxNewBytes = usual.maxNewBytes } = limits;
  const folders = groupUntracked(changes, tracked);
  const large: [RawPath, string][] = [];
  const leaveOut = (size: (folder: Folder) => number, most: number, unit: string): void => {
    const sorted = [...folders].toSorted(([, one], [, other]) => magnitude(size(other)) - magnitude(size(one)));
    let total = sorted.reduce((sum, [, folder]) => sum + size(folder), 0);
    for (const [path, folder] of sorted) {
      if (total <= most) return;
      total -= size(folder);
      folders.delete(path);
      const reason = `it is too large to be saved with each turn (${pluralize(size(folder), unit)}), and git does not ignore it`;
      large.push([path, `${reason}: a line in .gitignore, or a commit, ends that`]);
    }
  };
  leaveOut(({ files }) => files.length, maxNewFiles, "file");
  for (const folder of folders.values())
    for (const { path } of folder.files) folder.bytes += sizeOf(top, path, limits.maxFileBytes);
  leaveOut(({ bytes }) => bytes, maxNewBytes, "byte");
  const rest = new Set([...folders.values()].flatMap(({ files }) => files));
  return { changes: changes.filter((change) => isTrackedOrFolder(change) || rest.has(change)), large };
}

/** Folders of like size keep their order, so that the next turn leaves out the same ones. */
function magnitude(size: number): number {
  return Math.floor(Math.log2(size + 1));
}

/** Bytes that a reading would take of it. */
function sizeOf(top: string, path: RawPath, maxFileBytes: number): number {
  const bytes = readStats(top, path)?.size ?? 0;
  return bytes > maxFileBytes ? 0 : bytes;
}

function isTrackedOrFolder({ path, isTracked }: FileChange): boolean {
  return isTracked || path.endsWith("/");
}

/** Groups them by the topmost folder in which nothing is tracked. */
function groupUntracked(
  changes: WorkTreeChanges["changes"],
  tracked: WorkTreeChanges["tracked"],
): Map<RawPath, Folder> {
  const withTracked = new Set(tracked.flatMap(({ path }) => foldersOf(path)));
  const folders = new Map<RawPath, Folder>();
  for (const change of changes) {
    if (isTrackedOrFolder(change)) continue;
    const untracked = foldersOf(change.path).find((folder) => !withTracked.has(folder));
    const name = untracked === undefined ? change.path : `${untracked}/`;
    const folder = folders.get(name) ?? { files: [], bytes: 0 };
    folder.files.push(change);
    folders.set(name, folder);
  }
  return folders;
}

/** A clone of a project rarely holds more. */
export const usualPlainFiles = 50_000;

/** Whether a folder without git holds more than so many entries, beside installed packages. */
export async function holdsMore(top: string, most: number): Promise<boolean> {
  let files = 0;
  const folders = [top];
  for (let folder = folders.pop(); folder !== undefined && files <= most; folder = folders.pop()) {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    files += entries.length;
    const inside = entries.filter((entry) => entry.isDirectory() && !installed.has(entry.name));
    folders.push(...inside.map(({ name }) => join(folder ?? "", name)));
  }
  return files > most;
}
