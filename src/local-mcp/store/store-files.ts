import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathsIn } from "../paths.ts";

/** The files around one `shim.db`. */
export interface StoreFiles {
  readonly database: string;
  /** SQLite's own companions of the database. */
  readonly companions: readonly string[];
  /** A database that is being built; it gets its name by a rename when it is whole. */
  readonly next: string;
  /** Says that `next` is whole and takes the place of a damaged file; see swap.ts. */
  readonly swap: string;
  /** An empty SQLite file, only locked; see maintenance-lock.ts. */
  readonly lock: string;
  readonly backups: string;
  readonly setAside: string;
}

export function storeFilesOf(database: string): StoreFiles {
  const { backups, setAside } = pathsIn(dirname(database));
  return {
    database,
    companions: [`${database}-wal`, `${database}-shm`],
    next: `${database}.next`,
    swap: `${database}.swap`,
    lock: join(dirname(database), "maintenance.db"),
    backups,
    setAside,
  };
}

export function inodeOf(path: string): bigint | null {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null;
}

/** [ST2] The folder is 0700 and the file 0600 before SQLite opens it; its -wal and -shm take over the file's mode. */
export function createPrivateFile(path: string): void {
  if (inodeOf(path) !== null) return;
  createPrivateFolder(dirname(path));
  closeSync(openSync(path, "a", 0o600));
}

/** [ST82] Where the folder had to be made, its name is on the disk when it returns, as are those of the folders above it. */
export function createPrivateFolder(path: string): void {
  const first = mkdirSync(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) syncFolder(dirname(made));
}

/** Replaces a small file so that a crash leaves the old or the new one. */
export function writeWhole(path: string, text: string): void {
  const file = openSync(`${path}.tmp`, "w", 0o600);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameWhole(`${path}.tmp`, path);
}

/** A rename that is on the disk when it returns. */
export function renameWhole(from: string, to: string): void {
  renameSync(from, to);
  syncFolder(dirname(to));
}

/** Removes a file or a folder, so that it does not come back with the next power cut. */
export function removeWhole(path: string): void {
  rmSync(path, { recursive: true, force: true });
  // Also where nothing is there any more: another process may have removed it a moment ago.
  if (inodeOf(dirname(path)) !== null) syncFolder(dirname(path));
}

/** Never call it on a database that this process has open: closing any descriptor of a file drops all its POSIX locks. */
export function syncFile(path: string): void {
  const file = openSync(path, "r+");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Makes a rename in the folder durable; Windows has no such call. */
export function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
