import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { listBackups } from "./backup.ts";
import { connect, transaction, type Connection } from "./driver.ts";
import { buildNext, lengthProblem, migrateOlder, withMaintenanceLock, type StoreContext } from "./database.ts";
import * as notices from "./notices.ts";
import { inodeOf, renameDurably, syncFolder } from "../platform/private-files.ts";
import { NeedsHostError, StoreError } from "./store-error.ts";
import { finishRepair, newSetAsideFolder } from "./repair.ts";
import * as textIndex from "./text-index.ts";
import { countPast, markOf, readMark, writeMark } from "./write-mark.ts";

export interface OpenedDatabase {
  readonly connection: Connection;
  readonly inode: bigint;
}

export function openDatabase(context: StoreContext): OpenedDatabase {
  const { files, driver } = context;
  for (;;) {
    const opened = withMaintenanceLock(context, "shared", () => {
      const inode = inodeOf(files.database);
      if (inode === null || existsSync(files.swap)) return null;
      checkLength(files.database);
      // A backup copied back by hand may be open to others; its log gets the same mode.
      const isOpen = process.platform !== "win32" && (statSync(files.database).mode & 0o077) !== 0;
      if (isOpen) chmodSync(files.database, 0o600);
      return { connection: connect(driver, files.database, context.busyMs), inode };
    });
    if (opened) return opened;
    withMaintenanceLock(context, "exclusive", () => {
      finishRepair(context);
      if (inodeOf(files.database) === null) createDatabase(context);
    });
  }
}

/** For a process beside the host. */
export function openReadOnly(context: StoreContext): OpenedDatabase {
  const { files, driver, busyMs } = context;
  return withMaintenanceLock(context, "shared", () => {
    const inode = inodeOf(files.database);
    if (inode === null || existsSync(files.swap))
      throw new NeedsHostError("store_upkeep", `${files.database} must be repaired first`);
    checkLength(files.database);
    const connection = driver({ path: files.database, readOnly: true, busyMs });
    try {
      // SQLite opens the log by name at the first read, which needs the maintenance lock.
      connection.all("SELECT count(*) AS n FROM sqlite_schema");
      return { connection, inode };
    } catch (error) {
      connection.close();
      throw error;
    }
  });
}

/** SQLite would take an empty file for new, and read a missing part of a page as zeros. */
function checkLength(path: string): void {
  const problem = lengthProblem(path);
  if (problem !== null) throw new StoreError("store_corrupt", `${path} is ${problem}`);
}

/**
 * Refuses a link to an unmounted disk: a new store would hide the old one.
 * @throws {StoreError} `store_unavailable`
 */
export function refuseDanglingLink(path: string): void {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return;
  throw new StoreError(
    "store_unavailable",
    `${path} is a link to ${readlinkSync(path)}, which does not exist. Make it available (is its disk mounted?), or remove the link to start a new store. Nothing was changed`,
  );
}

function createDatabase(context: StoreContext): void {
  const { files } = context;
  refuseDanglingLink(files.database);
  // An orphaned log would be replayed into the new database.
  const orphans = files.companions.filter((path) => existsSync(path));
  if (orphans.length > 0) {
    const folder = newSetAsideFolder(files, context.now());
    for (const path of orphans) renameSync(path, join(folder, basename(path)));
    syncFolder(folder);
  }
  const backups = listBackups(files.backups).length;
  const mark = readMark(files.mark);
  buildNext(context, null, (connection) => {
    if (mark === null && orphans.length + backups === 0) return;
    countPast(connection, mark);
    writeMark(files.mark, markOf(connection));
    notices.add(
      connection,
      context.now(),
      "store_missing",
      `The store ${files.database} was missing, although it had existed before, so a new, empty one was created. ` +
        `Its backups are in ${files.backups}: to restore one, close all chats, delete shim.db, shim.db-wal and shim.db-shm, and copy the backup to shim.db.`,
    );
  });
  renameDurably(files.next, files.database);
}

/** SQLite opens a store on a read-only disk only without its log and newest rows. */
export function openCopy(context: StoreContext): Connection {
  const { files, driver, busyMs } = context;
  const folder = mkdtempSync(join(tmpdir(), "shim-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const path = join(folder, "shim.db");
    copyFileSync(files.database, path);
    if (existsSync(`${files.database}-wal`)) copyFileSync(`${files.database}-wal`, `${path}-wal`);
    for (const copied of [path, `${path}-wal`]) if (existsSync(copied)) chmodSync(copied, 0o600);
    const copy = connect(driver, path, busyMs);
    transaction(copy, "BEGIN IMMEDIATE", () => {
      migrateOlder(copy, files.database, context);
      if (
        copy.all("SELECT 1 FROM sqlite_schema WHERE name = 'checkpoints_unindexed'").length > 0 &&
        textIndex.hasPending(copy)
      )
        textIndex.indexPending(copy);
    });
    return {
      ...copy,
      close() {
        copy.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}
