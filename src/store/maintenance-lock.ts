import { rmSync } from "node:fs";
import type { StoreContext } from "./database.ts";
import type { Connection } from "./driver.ts";
import { createPrivateFile, inodeOf } from "../platform/private-files.ts";
import { StoreError, toStoreError } from "./store-error.ts";

/**
 * [ST10] Runs `body` while no other process opens (`exclusive`) or replaces (`shared`) the
 * database. Uses SQLite's lock on an empty file, which the system releases when its holder dies.
 * Not reentrant.
 * @throws {StoreError} `store_locked` after `busyMs`
 */
export function withMaintenanceLock<T>(context: StoreContext, mode: LockMode, body: () => T): T {
  for (;;) {
    const lock = tryAcquire(context, mode);
    if (!lock) continue;
    try {
      return body();
    } finally {
      lock.close();
    }
  }
}

type LockMode = "shared" | "exclusive";

/** Returns null when the lock file was replaced: no other process checks the old one. */
function tryAcquire({ files, driver, busyMs }: StoreContext, mode: LockMode): Connection | null {
  createPrivateFile(files.lock);
  const inode = inodeOf(files.lock);
  const connection = driver({ path: files.lock, readOnly: false, busyMs });
  try {
    connection.run(mode === "exclusive" ? "BEGIN EXCLUSIVE" : "BEGIN");
    if (mode === "shared") connection.all("SELECT count(*) AS n FROM sqlite_schema");
    if (inode !== null && inodeOf(files.lock) === inode) return connection;
  } catch (error) {
    connection.close();
    const mapped = toStoreError(error, files.lock);
    if (!(mapped instanceof StoreError) || mapped.code !== "store_corrupt") throw mapped;
    rmSync(files.lock, { force: true });
    return null;
  }
  connection.close();
  return null;
}
