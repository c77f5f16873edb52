import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { StoreContext } from "./database.ts";
import {
  createPrivateFolder,
  removeDurably,
  renameDurably,
  syncFolder,
  writeAtomically,
  type StoreFiles,
} from "../platform/private-files.ts";
import { salvage } from "./salvage.ts";

/** How many damaged files are kept for a look; the disk that damages one may damage more. */
const maxSetAsideFolders = 3;
/** A salvage that kills its process must not kill the next one for ever. */
const maxSalvageAttempts = 2;

/** Stored next to the database while a damaged one is replaced. */
interface Swap {
  /** Name of the folder in `set-aside` that takes the damaged files. */
  readonly folder: string;
  /** The row of `notices` in the new database that tells the user. */
  readonly noticeId: number;
  readonly attempts: number;
}

/** [ST6] From here on the swap is finished by the process that opens the store next: `files.next` is whole. */
export function beginSwap(files: StoreFiles, folder: string, noticeId: number): void {
  writeSwap(files, { folder: basename(folder), noticeId, attempts: 0 });
}

/**
 * Moves the damaged files away, puts the new one in their place, then takes over the rows that can be read. Each step can be
 * repeated, so a process killed here leaves work for the next opener and never half a store. Needs the exclusive maintenance
 * lock; does nothing when no swap is under way.
 */
export function finishSwap(context: StoreContext): void {
  const { files } = context;
  if (!existsSync(files.swap)) return;
  const swap = readSwap(files, context.now());
  const folder = join(files.setAside, swap.folder);
  createPrivateFolder(folder);
  if (existsSync(files.next)) {
    // Other processes still have the old files open and go on in them; the log must be away before the new database has its name.
    for (const path of [files.database, ...files.companions]) {
      const moved = join(folder, basename(path));
      if (existsSync(path) && !existsSync(moved)) renameSync(path, moved);
    }
    syncFolder(folder);
    renameDurably(files.next, files.database);
  }
  // Deleted by hand meanwhile: a new one will be made.
  if (existsSync(files.database) && swap.attempts < maxSalvageAttempts) {
    salvageOnce(context, swap, join(folder, basename(files.database)));
  }
  removeDurably(files.swap);
  pruneSetAside(files);
}

/** The attempt is counted before it begins, and not at all when it ends with an error that can be told. */
function salvageOnce(context: StoreContext, swap: Swap, damaged: string): void {
  writeSwap(context.files, { ...swap, attempts: swap.attempts + 1 });
  try {
    salvage(context, damaged, swap.noticeId);
  } catch (error) {
    writeSwap(context.files, swap);
    throw error;
  }
}

function writeSwap(files: StoreFiles, swap: Swap): void {
  writeAtomically(files.swap, JSON.stringify(swap));
}

/** It is written whole; a disk that damages it as well must not keep the store shut. */
function readSwap(files: StoreFiles, now: number): Swap {
  try {
    return JSON.parse(readFileSync(files.swap, "utf8")) as Swap;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { folder: basename(newSetAsideFolder(files, now)), noticeId: 0, attempts: 0 };
  }
}

/** `<number>-<time>`: the number says which is the newest even when the clock was set back. */
export function newSetAsideFolder(files: StoreFiles, now: number): string {
  createPrivateFolder(files.setAside);
  const newest = setAsideFolders(files).at(-1);
  const number = (newest ? Number.parseInt(newest, 10) : 0) + 1;
  const time = new Date(now).toISOString().replaceAll(":", "-");
  const folder = join(files.setAside, `${String(number).padStart(6, "0")}-${time}`);
  mkdirSync(folder, { mode: 0o700 });
  syncFolder(files.setAside);
  return folder;
}

function setAsideFolders(files: StoreFiles): string[] {
  return readdirSync(files.setAside)
    .filter((name) => /^\d{6,}-/.test(name))
    .sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10));
}

function pruneSetAside(files: StoreFiles): void {
  for (const name of setAsideFolders(files).slice(0, -maxSetAsideFolders)) {
    rmSync(join(files.setAside, name), { recursive: true, force: true });
  }
}
