import { existsSync, statSync } from "node:fs";
import { basename } from "node:path";
import { listBackups } from "./backup.ts";
import { connect } from "./connect.ts";
import { buildNext, isSound, type Site } from "./database.ts";
import type { Connection } from "./driver.ts";
import { epochOf, setEpoch } from "./epoch.ts";
import { withMaintenanceLock } from "./maintenance-lock.ts";
import * as notices from "./notices.ts";
import { inodeOf } from "./store-files.ts";
import { isCutOff } from "./salvage-source.ts";
import { StoreError, toStoreError } from "./store-error.ts";
import { rebuild } from "./text-index.ts";
import { beginSwap, finishSwap, newSetAsideFolder } from "./swap.ts";

export interface Damage {
  /** The file that was found damaged; null: none was there any more. */
  readonly inode: bigint | null;
  /** Found twice: no more checks. */
  readonly isCertain: boolean;
  /** Only the search index was found damaged. */
  readonly isIndexOnly: boolean;
  readonly message: string;
}

/**
 * [ST5] Replaces a damaged database by its newest good backup (or a fresh one), takes over what can still be read of it, raises
 * the epoch and leaves a notice. The damaged files are kept in `set-aside`. Does nothing when another process was first, or when
 * SQLite's own check finds the file sound.
 */
export function setAside(site: Site, damage: Damage): void {
  const { files, driver, busyMs } = site;
  withMaintenanceLock(files, driver, busyMs, "exclusive", () => {
    finishSwap(site);
    if (damage.inode === null || inodeOf(files.database) !== damage.inode) return;
    if (!damage.isCertain && isUsable(site, damage)) return;
    const epoch = 1 + epochInDamaged(site);
    const folder = newSetAsideFolder(files, site.now());
    beginSwap(files, folder, buildReplacement(site, { damage, epoch, folder }));
    finishSwap(site);
  });
}

/** Sound after all (a passing fault), or made so by a new search index. */
function isUsable(site: Site, damage: Damage): boolean {
  const { database } = site.files;
  // SQLite would delete the log of a database of no bytes, and make a new one of a file that is shorter than a page.
  if (isCutOff(database)) return false;
  try {
    const connection = connect(site.driver, database, site.busyMs);
    try {
      if (damage.isIndexOnly) rebuildIndex(connection, site.now());
      return isSound(connection);
    } finally {
      connection.close();
    }
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

/** Builds `files.next` and answers the id of its notice. */
function buildReplacement(site: Site, replacement: Replacement): number {
  for (const backup of existsSync(site.files.backups) ? listBackups(site.files.backups) : []) {
    try {
      return buildNext(site, backup.path, (connection) => announce(connection, site, replacement, backup.path));
    } catch (error) {
      if (!isUnfit(error, backup.path)) throw error;
    }
  }
  return buildNext(site, null, (connection) => announce(connection, site, replacement, null));
}

function announce(connection: Connection, site: Site, replacement: Replacement, backup: string | null): number {
  setEpoch(connection, Math.max(replacement.epoch, epochOf(connection) + 1, site.leastEpoch()));
  const restored =
    backup === null
      ? "There was no good backup, so a new, empty store was begun."
      : `The newest good backup (${basename(backup)}) was restored.`;
  return notices.add(
    connection,
    site.now(),
    "store_damaged",
    `The store was damaged (${replacement.damage.message}) and was set aside in ${replacement.folder}. ${restored}`,
  );
}

function epochInDamaged(site: Site): number {
  const { database } = site.files;
  if (statSync(database).size === 0) return 0;
  try {
    const connection = site.driver({ path: database, readOnly: true, busyMs: site.busyMs });
    try {
      return epochOf(connection);
    } finally {
      connection.close();
    }
  } catch {
    // Not readable any more: the backup's own epoch is raised instead.
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
