import { statSync } from "node:fs";
import { basename } from "node:path";
import { listBackups } from "./backup.ts";
import { connect } from "./connect.ts";
import { buildNext, isSound, type StoreContext } from "./database.ts";
import { withConnection, type Connection } from "./driver.ts";
import { epochOf, setEpoch } from "./meta.ts";
import { withMaintenanceLock } from "./maintenance-lock.ts";
import * as notices from "./notices.ts";
import { inodeOf } from "../platform/private-files.ts";
import { isTruncated } from "./salvage-source.ts";
import { StoreError, toStoreError } from "./store-error.ts";
import { rebuild } from "./text-index.ts";
import { beginSwap, finishSwap, newSetAsideFolder } from "./database-swap.ts";

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
  notices.add(
    connection,
    now,
    "index_rebuilt",
    "The search index of the store was damaged and was made anew from the stored summaries. Nothing was lost.",
  );
}

interface Replacement {
  readonly damage: Damage;
  readonly epoch: number;
  readonly folder: string;
}

function buildReplacement(context: StoreContext, replacement: Replacement): number {
  for (const backup of listBackups(context.files.backups)) {
    try {
      return buildNext(context, backup.path, (connection) => addNotice(connection, context, replacement, backup.path));
    } catch (error) {
      if (!isUnfit(error, backup.path)) throw error;
    }
  }
  return buildNext(context, null, (connection) => addNotice(connection, context, replacement, null));
}

function addNotice(
  connection: Connection,
  context: StoreContext,
  replacement: Replacement,
  backup: string | null,
): number {
  setEpoch(connection, Math.max(replacement.epoch, epochOf(connection) + 1, context.minEpoch()));
  const restoredText =
    backup === null
      ? "There was no good backup, so a new, empty store was begun."
      : `The newest good backup (${basename(backup)}) was restored.`;
  return notices.add(
    connection,
    context.now(),
    "store_damaged",
    `The store was damaged (${replacement.damage.message}) and was set aside in ${replacement.folder}. ${restoredText}`,
  );
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
