import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
} from "node:fs";
import { sep } from "node:path";
import { setImmediate } from "node:timers/promises";
import { errnoOf } from "../platform/errno.ts";
import { messageOf } from "../shared/error.ts";
import { entryOnDisk, formatOf, hasSameContent, statsOf } from "./file-entry.ts";
import { foldersOf, setMode } from "./file-modes.ts";
import { diskPath, displayPath, type RawPath } from "./git.ts";
import type { ExcludedFile } from "./selection.ts";
import { addName, changedMeanwhile, isTakenBack, Staging, type StagedFile } from "./staged-files.ts";
import type { UndoneFile } from "./undo-history.ts";

/** Changes of a project's files, each from a known state to another. */
export interface Replacement {
  /** The project. */
  readonly top: string;
  readonly changes: readonly UndoneFile[];
  /** Folder with the files as they are to be. */
  readonly source: string;
  /** A folder that does not exist, for what is replaced; null: a snapshot has it. */
  readonly backup: string | null;
  /** Asked before each file; true: the rest stays as it is. */
  readonly isStopped?: () => boolean;
  /** Called before each step that depends on the files of its moment. */
  readonly beforeStep?: () => void;
}

export interface ReplacedFiles {
  /** Changed files, and those that were as they are to be. */
  readonly written: readonly UndoneFile[];
  readonly notRestored: readonly ExcludedFile[];
  /** Folder with the replaced files; null: there was nothing to replace. */
  readonly backup: string | null;
}

/**
 * The one writer of undo, redo and restore. A file changes whole or not at all, and stays where it
 * is not as its change begins: what is saved between two steps is not lost. What a killed process
 * leaves is settled by the next one. On a full disk nothing is changed.
 */
export async function replaceFiles(work: Replacement): Promise<ReplacedFiles> {
  const { top, source, backup, isStopped = () => false, beforeStep = () => undefined } = work;
  const staging = new Staging(top, source, backup);
  const reasons = new Map<RawPath, string>();
  const written = new Set<RawPath>();
  const leave = ({ path }: UndoneFile, error: unknown): void => void reasons.set(path, reasonOf(error));
  try {
    const staged: StagedFile[] = [];
    await eachInTurns(work.changes.toSorted(removedFirst), isStopped, (change) => {
      try {
        staged.push(staging.add(change));
      } catch (error) {
        if (fullCodes.has(errnoOf(error))) throw error;
        leave(change, error);
      }
    });
    staging.write();
    await eachInTurns(staged, isStopped, (file) => {
      try {
        replace(top, file, beforeStep);
        written.add(file.path);
      } catch (error) {
        leave(file, error);
      }
    });
  } catch (error) {
    if (!fullCodes.has(errnoOf(error))) throw error;
    for (const change of work.changes) leave(change, error);
  } finally {
    for (const [path, reason] of staging.settle()) reasons.set(path, reason);
  }
  return {
    written: work.changes.filter(({ path }) => written.has(path) && !reasons.has(path)),
    notRestored: [...reasons].map(([path, reason]) => ({ path: displayPath(path), reason })),
    backup: backup !== null && existsSync(backup) ? backup : null,
  };
}

/** A file may stand where a folder of removed ones is, and the other way round. */
export function removedFirst(one: UndoneFile, other: UndoneFile): number {
  return Number(one.after !== null) - Number(other.after !== null);
}

const filesPerTurn = 50;

async function eachInTurns<T>(all: readonly T[], isStopped: () => boolean, act: (one: T) => void): Promise<void> {
  for (const [at, one] of all.entries()) {
    // Signals arrive between two turns of the event loop.
    if (at % filesPerTurn === 0) await setImmediate();
    if (isStopped()) return;
    act(one);
  }
}

const fullCodes: ReadonlySet<string | null> = new Set(["ENOSPC", "EDQUOT"]);

const reasonsByCode: Readonly<Record<string, string>> = {
  EACCES: "it cannot be read, or its folder cannot be written",
  EPERM: "the system forbids to replace it",
  EROFS: "its disk can only be read",
  EBUSY: "another program has it open",
  EEXIST: "there is a file of this name by now",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
};

function reasonOf(error: unknown): string {
  return reasonsByCode[errnoOf(error) ?? ""] ?? messageOf(error);
}

function replace(top: string, file: StagedFile, beforeStep: () => void): void {
  const { path, before, after, target } = file;
  beforeStep();
  requireOwnFolder(top, path);
  const now = entryOnDisk(target, formatOf(before, after));
  // A killed process has done it.
  const isDone = now === after;
  if (!isDone && !hasSameContent(now, before)) throw new Error(changedMeanwhile);
  if (!isDone) change(top, file, beforeStep);
  if (after === null) removeEmptyFolders(top, folderOf(path));
}

function change(top: string, file: StagedFile, beforeStep: () => void): void {
  const { path, before, after, target, kept, staged } = file;
  beforeStep();
  if (before === null) {
    makeFolders(top, file);
    addName(staged, target);
    return;
  }
  if (after === null) renameSync(target, kept);
  else {
    // A second name changes the time of the file, so that the next undo would leave it.
    accessSync(diskPath(top, folderOf(path)), constants.W_OK);
    // Fails on Windows where another program holds the file, and does nothing elsewhere.
    renameSync(target, target);
    // Windows replaces no file that can only be read.
    if (process.platform === "win32" && !isWritable(target)) chmodSync(target, 0o666);
    addName(target, kept);
    beforeStep();
    if (!isKept(file)) {
      rmSync(kept);
      throw new Error(changedMeanwhile);
    }
    renameSync(staged, target);
  }
  beforeStep();
  if (isTakenBack(file)) throw new Error(changedMeanwhile);
}

function isWritable(file: Buffer): boolean {
  const stats = statsOf(file);
  return stats === null || stats.isSymbolicLink() || (stats.mode & 0o200) !== 0;
}

/** Makes the folders of a file with the rights that they had; the user may write in them. */
function makeFolders(top: string, { path, folders = [] }: UndoneFile): void {
  for (const [at, folder] of foldersOf(path).entries()) {
    const isMade = mkdirSync(diskPath(top, folder), { recursive: true }) !== undefined;
    const mode = folders[at] ?? null;
    if (isMade && mode !== null) setMode(top, folder, mode | 0o700);
  }
}

/** Whether the file is still the kept one, and as its change begins. */
function isKept({ target, kept, before, after }: StagedFile): boolean {
  const format = formatOf(before, after);
  if (!hasSameContent(entryOnDisk(kept, format), before)) return false;
  return statsOf(target)?.ino === statsOf(kept)?.ino || hasSameContent(entryOnDisk(target, format), before);
}

/** No link is followed: it may lead out of the project. @throws {Error} with the reason */
export function requireOwnFolder(top: string, path: RawPath): void {
  for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1)) {
    const folder = diskPath(top, path.slice(0, end));
    const stats = statsOf(folder);
    if (stats === null) return;
    if (stats.isSymbolicLink())
      throw new Error(`its folder is a link${isInside(top, folder) ? "" : " out of the project"}`);
    if (!stats.isDirectory()) throw new Error("its folder is a file now");
  }
}

function isInside(top: string, link: Buffer): boolean {
  try {
    return realpathSync(link).startsWith(realpathSync(top) + sep);
  } catch {
    // The link leads nowhere.
    return true;
  }
}

function folderOf(path: RawPath): RawPath {
  return path.slice(0, Math.max(path.lastIndexOf("/"), 0));
}

function removeEmptyFolders(top: string, folder: RawPath): void {
  try {
    for (let at = folder; at !== ""; at = folderOf(at)) rmdirSync(diskPath(top, at));
  } catch {
    // Something else is in it.
  }
}
