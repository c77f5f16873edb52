import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { listBackups } from "./backup.ts";
import { connect, transaction, withConnection, type Connection } from "./driver.ts";
import {
  buildNext,
  isSound,
  lengthProblem,
  nextName,
  withMaintenanceLock,
  type StoreContext,
  type StoreFiles,
} from "./database.ts";
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
import { StoreError, toStoreError } from "./store-error.ts";
import { rebuild } from "./text-index.ts";
import { countPast, lossOf, markOf, readMark, writeMark } from "./write-mark.ts";

/** Damaged files kept for inspection; a failing disk may damage more. */
const maxSetAsideFolders = 3;
/** A salvage that kills its process must not kill every later one. */
const maxSalvageAttempts = 2;

export interface Damage {
  readonly inode: bigint | null;
  readonly isCertain: boolean;
  readonly isIndexOnly: boolean;
  /** The file is sound, and its newest writes are gone. */
  readonly isBehind?: boolean;
  readonly message: string;
}

/**
 * Replaces a damaged database by its newest good backup or a fresh one with the rows that can
 * be read, a raised epoch and a notice. Damaged files stay in `set-aside`. Does nothing when
 * another process was first, or SQLite's own check finds the file sound.
 */
export function setAside(context: StoreContext, damage: Damage): void {
  const { files } = context;
  withMaintenanceLock(context, "exclusive", () => {
    finishRepair(context);
    if (damage.inode === null || inodeOf(files.database) !== damage.inode) return;
    if (!damage.isCertain && isUsable(context, damage)) return;
    beginRepair(files, newSetAsideFolder(files, context.now()), damage.message);
    finishRepair(context);
  });
}

/** Sound after all (a passing fault), or repaired by a new search index. */
function isUsable(context: StoreContext, damage: Damage): boolean {
  const { database } = context.files;
  // SQLite would delete the log of an empty database, and overwrite a file below one page.
  if (lengthProblem(database) !== null) return false;
  try {
    return withConnection(connect(context.driver, database, context.busyMs), (connection) => {
      if (damage.isIndexOnly) {
        rebuild(connection);
        const text =
          "The search index of the store was damaged and was rebuilt from the stored summaries. Nothing was lost.";
        notices.add(connection, context.now(), "index_rebuilt", text);
      }
      if (!isSound(connection)) return false;
      if (damage.isBehind === true) reportLoss(context, connection, damage.message);
      return true;
    });
  } catch (error) {
    if (isCorrupt(error, database)) return false;
    throw error;
  }
}

/** Nothing has more than the file; numbers from before are used again. */
function reportLoss({ files, now, minEpoch }: StoreContext, connection: Connection, message: string): void {
  const mark = readMark(files.mark);
  transaction(connection, "BEGIN IMMEDIATE", () => {
    if (lossOf(markOf(connection), mark) === null) return;
    countPast(connection, mark);
    setEpoch(connection, Math.max(epochOf(connection) + 1, minEpoch()));
    const text = `${message}. What these had saved is missing, but for what transcripts still say. Backups are in ${files.backups}.`;
    notices.add(connection, now(), "store_damaged", text);
  });
  writeMark(files.mark, markOf(connection));
}

function isCorrupt(error: unknown, path: string): boolean {
  const mapped = toStoreError(error, path);
  return mapped instanceof StoreError && mapped.code === "store_corrupt";
}

/** A repair that has begun, as `files.swap` has it. */
interface Swap {
  readonly folder: string;
  readonly message: string;
  /** Salvages that have begun. */
  readonly attempts: number;
}

/** From here on, any opener finishes the repair. */
export function beginRepair(files: StoreFiles, folder: string, message: string): void {
  writeSwap(files, { folder: basename(folder), message, attempts: 0 });
}

/**
 * Moves the damaged files away, builds the new one, names it. Each step can be repeated: a killed
 * process never leaves half a store. Requires the exclusive maintenance lock.
 */
export function finishRepair(context: StoreContext): void {
  const { files } = context;
  if (!existsSync(files.swap)) return;
  const swap = readSwap(files, context.now());
  const folder = join(files.setAside, swap.folder);
  const damaged = join(folder, basename(files.database));
  createPrivateFolder(folder);
  const [current, moved] = [inodeOf(files.database), inodeOf(damaged)];
  const isReplaced = current !== null && moved !== null && current !== moved;
  if (!isReplaced) {
    moveAway([files.database, ...files.companions], folder);
    buildOnce(context, swap, damaged);
    renameDurably(files.next, files.database);
  }
  removeDurably(files.swap);
  pruneSetAside(files);
}

/** Other processes keep using the old files, which must be gone before the new one is named. */
function moveAway(paths: readonly string[], folder: string): void {
  for (const path of paths) {
    const moved = join(folder, basename(path));
    // After a power cut a file may have both names.
    if (existsSync(moved)) rmSync(path, { force: true });
    else if (existsSync(path)) renameSync(path, moved);
  }
  syncFolder(folder);
  for (const path of new Set(paths.map(dirname))) syncFolder(path);
}

/** Counts the attempt first, so that a crash counts; an error that is thrown does not. */
function buildOnce(context: StoreContext, swap: Swap, damaged: string): void {
  const { files } = context;
  const isReadable = existsSync(damaged) && swap.attempts < maxSalvageAttempts;
  writeSwap(files, { ...swap, attempts: swap.attempts + 1 });
  try {
    buildReplacement(context, swap, isReadable ? damaged : null);
  } catch (error) {
    writeSwap(files, swap);
    throw error;
  }
}

/** @param damaged null: nothing is read of it */
function buildReplacement(context: StoreContext, { folder, message }: Swap, damaged: string | null): void {
  const { files, now } = context;
  const build = (from: string | null, restored: string): void =>
    buildNext(context, from, (connection) => {
      const before = epochOf(connection);
      const report = salvage(context, damaged, connection);
      countPast(connection, readMark(files.mark));
      writeMark(files.mark, markOf(connection));
      setEpoch(connection, Math.max(before + 1, epochOf(connection) + 1, context.minEpoch()));
      const text = `The store was damaged (${message}) and was set aside in ${join(files.setAside, folder)}. ${restored}`;
      notices.add(connection, now(), "store_damaged", `${text} ${report}`);
    });
  for (const { path } of listBackups(files.backups)) {
    try {
      build(path, `The newest good backup (${basename(path)}) was restored.`);
      return;
    } catch (error) {
      const isUnfit = isCorrupt(error, path) || (error instanceof StoreError && error.code === "store_newer");
      if (!isUnfit) throw error;
    }
  }
  build(null, "There was no good backup, so a new, empty store was created.");
}

function writeSwap(files: StoreFiles, swap: Swap): void {
  writeAtomically(files.swap, JSON.stringify(swap));
}

function readSwap(files: StoreFiles, now: number): Swap {
  try {
    return JSON.parse(readFileSync(files.swap, "utf8")) as Swap;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { folder: basename(newSetAsideFolder(files, now)), message: "unknown damage", attempts: 0 };
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
