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
import { codeOf } from "../shared/error.ts";
import { isFolder } from "./paths.ts";

export function inodeOf(path: string): bigint | null {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null;
}

/** Sets the modes (0700, 0600) before SQLite opens the file; -wal and -shm inherit them. */
export function createPrivateFile(path: string): void {
  if (inodeOf(path) !== null) return;
  createPrivateFolder(dirname(path));
  closeSync(openSync(path, "a", 0o600));
}

/** The names of new folders are on the disk when it returns. */
export function createPrivateFolder(path: string): void {
  for (const folder of makeFolders(path).toReversed()) syncFolder(dirname(folder));
}

/**
 * Not `recursive` of mkdirSync, which never returns where a folder takes no other one in, as an
 * automount whose server is away. @returns those that were not there, outermost first
 */
function makeFolders(path: string): string[] {
  if (isFolder(path)) return [];
  const outer = makeFolders(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== "EEXIST" || !isFolder(path)) throw error;
    return outer;
  }
  return [...outer, path];
}

/** More than a new -shm of SQLite takes. */
const probeBytes = 65_536;

/**
 * Writes a file and removes it: a quota, or a disk without a free inode, shows only on a write.
 *
 * @throws {Error} the system's, where nothing can be written
 */
export function tryToWrite(folder: string): void {
  const path = temporaryBeside(join(folder, "probe"));
  try {
    writeFileSync(path, Buffer.alloc(probeBytes), { mode: 0o600, flush: true });
  } finally {
    rmSync(path, { force: true });
  }
}

/** Where this process writes a file before it takes its name: another one may do so, too. */
export function temporaryBeside(path: string): string {
  return join(dirname(path), `.${basename(path)}.shim-${process.pid}.tmp`);
}

/**
 * Replaces a small file atomically and durably, and keeps its owner.
 * @param path not a symbolic link
 * @param options.mode for a new file that is not SHIM's own; an existing one keeps its mode
 * @param options.check runs before the rename; if it throws, the file is unchanged
 * @param options.isNew a file that is there is not replaced: EEXIST is thrown
 */
export function writeAtomically(
  path: string,
  text: string,
  options: { mode?: number; check?: () => void; isNew?: boolean } = {},
): void {
  if (options.isNew) requireAbsent(path);
  const present = statSync(path, { throwIfNoEntry: false });
  const temporary = temporaryBeside(path);
  try {
    // Left by a killed process with the same pid.
    rmSync(temporary, { force: true });
    writeFlushed(temporary, text, present, options.mode);
    options.check?.();
    if (options.isNew) requireAbsent(path);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

export function requireAbsent(path: string): void {
  if (inodeOf(path) !== null) throw Object.assign(new Error(`${path} exists`), { code: "EEXIST" });
}

function writeFlushed(path: string, text: string, present: Stats | undefined, mode: number | undefined): void {
  const descriptor = openSync(path, "wx", 0o600);
  try {
    writeFileSync(descriptor, text);
    // Under sudo the file must stay the user's.
    const made = fstatSync(descriptor);
    if (present && (present.uid !== made.uid || present.gid !== made.gid)) {
      fchownSync(descriptor, present.uid, present.gid);
    }
    if (mode !== undefined) fchmodSync(descriptor, (present?.mode ?? mode) & 0o7777);
    fsyncSync(descriptor);
  } catch (error) {
    throw withPath(error, path);
  } finally {
    closeSync(descriptor);
  }
}

/** A write by a descriptor does not say which file was refused. */
export function withPath(error: unknown, path: string): unknown {
  return error instanceof Error && !("path" in error) ? Object.assign(error, { path }) : error;
}

export function renameDurably(from: string, to: string): void {
  renameSync(from, to);
  syncFolder(dirname(to));
}

export function removeDurably(path: string): void {
  rmSync(path, { recursive: true, force: true });
  if (inodeOf(dirname(path)) !== null) syncFolder(dirname(path));
}

/** Never for a database open in this process: closing any descriptor drops its POSIX locks. */
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
