import { readdir } from "node:fs/promises";
import { compare } from "../shared/compare.ts";
import { diskPath, displayPath, type RawPath } from "./git.ts";
import { readStats, type ExcludedFile } from "./selection.ts";

/** Stored. A file or a folder (with a slash at the end) of the project that a snapshot lacks. */
export interface UnsavedFile {
  readonly path: RawPath;
  readonly reason: string;
  /** Size and epoch ms of its last change, where a change counts, too. */
  readonly stamp?: readonly [bytes: number, modifiedMs: number];
}

/** Folders of installed packages, which a project without git does not say to ignore. */
export const installed: ReadonlySet<string> = new Set(["node_modules", ".venv", "__pycache__"]);
/** Each snapshot has the list. */
const maxListed = 1_000;
const ignoredReason = "git ignores it";

/**
 * Lists what a snapshot lacks, so that an undo can name what is gone. Folders come before
 * what is in them.
 */
export async function listUnsaved(
  top: string,
  ignored: readonly RawPath[],
  leftOut: readonly ExcludedFile[],
): Promise<UnsavedFile[]> {
  const found: UnsavedFile[] = leftOut.flatMap(({ path, reason }) => stampOf(top, toRaw(path), reason));
  const folders = found.filter(({ stamp }) => stamp === undefined);
  for (const path of ignored) {
    const one = { path, reason: ignoredReason };
    found.push(one);
    if (path.endsWith("/")) folders.push(one);
  }
  for (let folder = folders.shift(); folder !== undefined && found.length < maxListed; folder = folders.shift()) {
    const { path, reason } = folder;
    if (installed.has(nameOf(path))) continue;
    // Closed, or gone by now.
    const entries = await readdir(diskPath(top, path), { withFileTypes: true, encoding: "buffer" }).catch(() => []);
    const names = entries.map((entry) => `${entry.name.toString("latin1")}${entry.isDirectory() ? "/" : ""}`);
    for (const name of names.toSorted(compare)) {
      if (name === ".git" || name === ".git/") continue;
      const one = { path: `${path}${name}`, reason };
      found.push(one);
      if (name.endsWith("/")) folders.push(one);
    }
  }
  return found.slice(0, maxListed);
}

function stampOf(top: string, path: RawPath, reason: string): UnsavedFile[] {
  const stats = readStats(top, path);
  if (!stats) return [];
  if (stats.isDirectory()) return [{ path: path.endsWith("/") ? path : `${path}/`, reason }];
  return [{ path, reason, stamp: [stats.size, stats.mtimeMs] }];
}

/** The listed files that are gone, or have changed. A folder stands for all in it. */
export function lostOf(top: string, unsaved: readonly UnsavedFile[]): ExcludedFile[] {
  const gone = new Set<RawPath>();
  return unsaved.flatMap(({ path, reason, stamp }) => {
    const stats = readStats(top, path.replace(/\/$/, ""));
    if (stats) {
      const isChanged = stamp !== undefined && (stats.size !== stamp[0] || stats.mtimeMs !== stamp[1]);
      return isChanged
        ? [{ path: displayPath(path), reason: `it was changed, and no snapshot has it: ${reason}` }]
        : [];
    }
    gone.add(path);
    if (gone.has(parentOf(path))) return [];
    return [{ path: displayPath(path), reason: `it was deleted, and no snapshot has it: ${reason}` }];
  });
}

function parentOf(path: RawPath): RawPath {
  return path.slice(0, path.lastIndexOf("/", path.length - 2) + 1);
}

function nameOf(folder: RawPath): string {
  return folder.slice(parentOf(folder).length, -1);
}

function toRaw(path: string): RawPath {
  return Buffer.from(path).toString("latin1");
}
