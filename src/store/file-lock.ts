import { createPrivateFile } from "../platform/private-files.ts";
import type { Connection, Driver } from "./driver.ts";
import { StoreError, toStoreError } from "./store-error.ts";

/**
 * Locks a file by SQLite; the kernel frees the lock with the process.
 *
 * @returns null: another process holds it, or its file system has no locks
 * @throws {StoreError} where the file cannot be locked
 */
export function lockFile(path: string, open: Driver): Connection | null {
  createPrivateFile(path);
  const lock = open({ path, readOnly: false, busyMs: 0 });
  try {
    lock.script("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    const mapped = toStoreError(error, path);
    // SQLite takes a file system without locks for a lock that is held.
    if (mapped instanceof StoreError && mapped.code === "store_locked") return null;
    throw mapped;
  }
}
