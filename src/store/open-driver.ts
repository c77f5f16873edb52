import { rmSync } from "node:fs";
import { join } from "node:path";
import { createPrivateFile, temporaryBeside } from "../platform/private-files.ts";
import { codeOf, messageOf } from "../shared/error.ts";
import type { Driver, DriverName, Connection } from "./driver.ts";
import { StoreError, toStoreError } from "./store-error.ts";

export interface LoadedDriver {
  readonly driver: DriverName;
  readonly open: Driver;
  /** Why the first choice of SQLite failed; null when it was used, or is not installed. */
  readonly fallbackReason: string | null;
}

type LoadDriver = () => Promise<Driver>;

const loaders: Record<DriverName, LoadDriver> = {
  "better-sqlite3": async () => {
    const { openBetterSqlite3, probeBetterSqlite3 } = await import("./driver-better-sqlite3.ts");
    probeBetterSqlite3();
    return openBetterSqlite3;
  },
  "node:sqlite": async () => (await import("./driver-node-sqlite.ts")).openNodeSqlite,
};

/**
 * Falls back to the other SQLite driver.
 * @throws {StoreError} `store_unavailable` when neither loads
 */
export async function loadDriver(preferred: DriverName = "better-sqlite3"): Promise<LoadedDriver> {
  const fallback: DriverName = preferred === "better-sqlite3" ? "node:sqlite" : "better-sqlite3";
  let reason: string;
  let isInstalled: boolean;
  try {
    return { driver: preferred, open: await loaders[preferred](), fallbackReason: null };
  } catch (error) {
    reason = `${preferred} could not be loaded: ${messageOf(error)}`;
    // The npm package comes without better-sqlite3, which is 27 MB for all its platforms.
    isInstalled = !["MODULE_NOT_FOUND", "ERR_MODULE_NOT_FOUND"].includes(codeOf(error) ?? "");
  }
  try {
    return { driver: fallback, open: await loaders[fallback](), fallbackReason: isInstalled ? reason : null };
  } catch (error) {
    throw new StoreError(
      "store_unavailable",
      `no SQLite can be loaded, so nothing can be saved (${reason}; ${fallback} could not be loaded: ${messageOf(error)}). ` +
        `Run shim with Node 22.16 or newer (this is ${process.version}), or repeat \`npm install\` of shim with this Node.`,
      { cause: error },
    );
  }
}

/**
 * Locks a file by SQLite; the kernel frees the lock with the process.
 *
 * @returns null: another process holds it, or its file system has no locks
 * @throws {StoreError} where the file cannot be locked
 */
export function lockFile(path: string, open: Driver): Connection | null {
  createPrivateFile(path);
  let lock: Connection | null = null;
  try {
    lock = open({ path, readOnly: false, busyMs: 0 });
    lock.script("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock?.close();
    const mapped = toStoreError(error, path);
    // SQLite takes a file system without locks for a lock that is held: see requireLocks.
    if (mapped instanceof StoreError && mapped.code === "store_locked") return null;
    throw mapped;
  }
}

/**
 * Finds out whether a file that cannot be locked is locked by another process.
 *
 * @throws {StoreError} where the file system of the folder has no locks
 */
export function requireLocks(folder: string, open: Driver): void {
  const own = temporaryBeside(join(folder, "lock"));
  try {
    const lock = lockFile(own, open);
    if (lock) return lock.close();
  } finally {
    rmSync(own, { force: true });
  }
  throw new StoreError(
    "store_unavailable",
    `the file system of ${folder} has no locks, without which nothing can be saved there; set SHIM_HOME to a folder on a local disk`,
  );
}
