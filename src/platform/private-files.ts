import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  type Stats,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { pathsIn } from "./paths.ts";

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

/**
 * [IN8] Replaces a small file as a whole or not at all, also when the machine stops in between: a new file beside it, flushed, then renamed.
 * Keeps the owner of a file that is there. `path` is no symbolic link.
 *
 * @param options.mode for a file that is not SHIM's own: the mode of a new file; a file that is there keeps its mode. Without it the mode is 0600
 * @param options.check runs last before the rename; what it throws leaves the file as it was
 */
export function writeAtomically(path: string, text: string, options: { mode?: number; check?: () => void } = {}): void {
  const present = statSync(path, { throwIfNoEntry: false });
  // Other processes may replace the same file at the same moment.
  const temporary = join(dirname(path), `.${basename(path)}.shim-${process.pid}.tmp`);
  try {
    // A leftover has this name only when an earlier process of the same number was killed here.
    rmSync(temporary, { force: true });
    writeFlushed(temporary, text, present, options.mode);
    options.check?.();
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

function writeFlushed(path: string, text: string, present: Stats | undefined, mode: number | undefined): void {
  const descriptor = openSync(path, "wx", 0o600);
  try {
    writeFileSync(descriptor, text);
    // Under sudo the user's file stays the user's.
    const made = fstatSync(descriptor);
    if (present && (present.uid !== made.uid || present.gid !== made.gid)) {
      fchownSync(descriptor, present.uid, present.gid);
    }
    if (mode !== undefined) fchmodSync(descriptor, (present?.mode ?? mode) & 0o7777);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** A rename that is on the disk when it returns. */
export function renameDurably(from: string, to: string): void {
  renameSync(from, to);
  syncFolder(dirname(to));
}

/** Removes a file or a folder, so that it does not come back with the next power cut. */
export function removeDurably(path: string): void {
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
