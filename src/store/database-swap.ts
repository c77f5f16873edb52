import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { nextName, type StoreContext } from "./database.ts";
import {
  createPrivateFolder,
  removeDurably,
  renameDurably,
  syncFolder,
  writeAtomically,
  type StoreFiles,
} from "../platform/private-files.ts";
import { salvage } from "./salvage.ts";

/** Damaged files kept for inspection; a failing disk may damage more. */
const maxSetAsideFolders = 3;
/** A salvage that kills its process must not kill every later one. */
const maxSalvageAttempts = 2;

interface Swap {
  readonly folder: string;
  readonly noticeId: number;
  readonly attempts: number;
}

/** [ST6] From here on, any opener finishes the swap: `files.next` is whole. */
export function beginSwap(files: StoreFiles, folder: string, noticeId: number): void {
  writeSwap(files, { folder: basename(folder), noticeId, attempts: 0 });
}

/**
 * Moves the damaged files away, renames the new one, salvages rows. Each step can be repeated: a
 * killed process never leaves half a store. Requires the exclusive maintenance lock.
 */
export function finishSwap(context: StoreContext): void {
  const { files } = context;
  if (!existsSync(files.swap)) return;
  const swap = readSwap(files, context.now());
  const folder = join(files.setAside, swap.folder);
  createPrivateFolder(folder);
  if (existsSync(files.next)) {
    // Other processes keep using the old files; the log must be gone before the new file is named.
    for (const path of [files.database, ...files.companions]) {
      const moved = join(folder, basename(path));
      if (existsSync(path) && !existsSync(moved)) renameSync(path, moved);
    }
    syncFolder(folder);
    renameDurably(files.next, files.database);
  }
  if (existsSync(files.database) && swap.attempts < maxSalvageAttempts) {
    salvageOnce(context, swap, join(folder, basename(files.database)));
  }
  removeDurably(files.swap);
  pruneSetAside(files);
}

/** Counts the attempt first, so that a crash counts; an error that is thrown does not. */
function salvageOnce(context: StoreContext, swap: Swap, damaged: string): void {
  const { files } = context;
  writeSwap(files, { ...swap, attempts: swap.attempts + 1 });
  try {
    salvage(context, damaged, swap.noticeId);
  } catch (error) {
    writeSwap(files, swap);
    throw error;
  }
}

function writeSwap(files: StoreFiles, swap: Swap): void {
  writeAtomically(files.swap, JSON.stringify(swap));
}

function readSwap(files: StoreFiles, now: number): Swap {
  try {
    return JSON.parse(readFileSync(files.swap, "utf8")) as Swap;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { folder: basename(newSetAsideFolder(files, now)), noticeId: 0, attempts: 0 };
  }
}

export function newSetAsideFolder(files: StoreFiles, now: number): string {
  createPrivateFolder(files.setAside);
  const folder = join(files.setAside, nextName(files.setAside, now));
  mkdirSync(folder, { mode: 0o700 });
  syncFolder(files.setAside);
  return folder;
}

function pruneSetAside({ setAside }: StoreFiles): void {
  const folders = readdirSync(setAside)
    .filter((name) => /^\d{6,}-/.test(name))
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
  for (const name of folders.slice(0, -maxSetAsideFolders)) {
    rmSync(join(setAside, name), { recursive: true, force: true });
  }
}
