import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { listBackups } from "./backup.ts";
import { connect } from "./connect.ts";
import { buildNext, isSound, nextName, type StoreContext, type StoreFiles } from "./database.ts";
import { withConnection, type Connection } from "./driver.ts";
import { withMaintenanceLock } from "./maintenance-lock.ts";
import { epochOf, setEpoch } from "./meta.ts";
import * as notices from "./notices.ts";
import {
  createPrivateFolder,
  inodeOf,
  removeDurably,
  renameDurably,
  syncFolder,
  writeAtomically,
} from "../platform/private-files.ts";
import { salvage } from "./salvage.ts";
import { isTruncated } from "./salvage-source.ts";
import { StoreError, toStoreError } from "./store-error.ts";
import { rebuild } from "./text-index.ts";

/** Damaged files kept for inspection; a failing disk may damage more. */
const maxSetAsideFolders = 3;
/** A salvage that kills its process must not kill every later one. */
const maxSalvageAttempts = 2;

export interface Damage {
  readonly inode: bigint | null;
  readonly isCertain: boolean;
  readonly isIndexOnly: boolean;
  readonly message: string;
}

/**
 * [ST5] Replaces a damaged database by its newest good backup or a fresh one, salvages readable
 * rows, raises the epoch and adds a notice. Damaged files stay in `set-aside`. Does nothing when
 * another process was first, or SQLite's own check finds the file sound.
 */
export function setAside(context: StoreContext, damage: Damage): void {
  const { files } = context;
  withMaintenanceLock(context, "exclusive", () => {
    finishSwap(context);
    if (damage.inode === null || inodeOf(files.database) !== damage.inode) return;
    if (!damage.isCertain && isUsable(context, damage)) return;
    const epoch = 1 + readDamagedEpoch(context);
    const folder = newSetAsideFolder(files, context.now());
    beginSwap(files, folder, buildReplacement(context, { damage, epoch, folder }));
    finishSwap(context);
  });
}

/** Sound after all (a passing fault), or repaired by a new search index. */
function isUsable(context: StoreContext, damage: Damage): boolean {
  const { database } = context.files;
  // SQLite would delete the log of an empty database, and overwrite a file below one page.
  if (isTruncated(database)) return false;
  try {
    return withConnection(connect(context.driver, database, context.busyMs), (connection) => {
      if (damage.isIndexOnly) rebuildIndex(connection, context.now());
      return isSound(connection);
    });
  } catch (error) {
    if (isCorrupt(error, database)) return false;
    throw error;
  }
}

function rebuildIndex(connection: Connection, now: number): void {
  rebuild(connection);
  const text = "The search index of the store was damaged and was rebuilt from the stored summaries. Nothing was lost.";
  notices.add(connection, now, "index_rebuilt", text);
}

interface Replacement {
  readonly damage: Damage;
  readonly epoch: number;
  readonly folder: string;
}

/** Returns the id of the notice in it. */
function buildReplacement(context: StoreContext, { damage, epoch, folder }: Replacement): number {
  const fill = (connection: Connection, restoredText: string): number => {
    setEpoch(connection, Math.max(epoch, epochOf(connection) + 1, context.minEpoch()));
    const text = `The store was damaged (${damage.message}) and was set aside in ${folder}. ${restoredText}`;
    return notices.add(connection, context.now(), "store_damaged", text);
  };
  for (const { path } of listBackups(context.files.backups)) {
    const restoredText = `The newest good backup (${basename(path)}) was restored.`;
    try {
      return buildNext(context, path, (connection) => fill(connection, restoredText));
    } catch (error) {
      if (!isUnfit(error, path)) throw error;
    }
  }
  const newText = "There was no good backup, so a new, empty store was created.";
  return buildNext(context, null, (connection) => fill(connection, newText));
}

function readDamagedEpoch(context: StoreContext): number {
  const { database } = context.files;
  if (statSync(database).size === 0) return 0;
  try {
    return withConnection(context.driver({ path: database, readOnly: true, busyMs: context.busyMs }), epochOf);
  } catch {
    return 0;
  }
}

function isCorrupt(error: unknown, path: string): boolean {
  const mapped = toStoreError(error, path);
  return mapped instanceof StoreError && mapped.code === "store_corrupt";
}

function isUnfit(error: unknown, path: string): boolean {
  return isCorrupt(error, path) || (error instanceof StoreError && error.code === "store_newer");
}

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
