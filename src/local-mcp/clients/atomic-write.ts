import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { syncFolder } from "../store/store-files.ts";
import { isMissing } from "./client-files.ts";

/**
 * [IN8] Replaces the file as a whole or not at all, also when the machine stops in between: a new file beside it, flushed, then
 * renamed. Keeps the mode and owner of a file that is there; a new one gets `mode`. `path` is no symbolic link.
 * `check` runs last before the rename; what it throws leaves the file as it was.
 */
export function writeDurably(path: string, text: string, mode: number, check: () => void = () => {}): void {
  const present = statOf(path);
  const temporary = join(dirname(path), `.${basename(path)}.shim-${process.pid}.tmp`);
  try {
    // A leftover has this name only when an earlier process of the same number was killed here.
    rmSync(temporary, { force: true });
    writeFlushed(temporary, text, present ?? { mode, uid: null, gid: null });
    check();
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
}

interface Owned {
  readonly mode: number;
  readonly uid: number | null;
  readonly gid: number | null;
}

function statOf(path: string): Owned | null {
  try {
    return statSync(path);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

function writeFlushed(path: string, text: string, { mode, uid, gid }: Owned): void {
  const descriptor = openSync(path, "wx", 0o600);
  try {
    writeFileSync(descriptor, text);
    // Under sudo the user's file stays the user's.
    const own = statSync(path);
    if (uid !== null && gid !== null && (uid !== own.uid || gid !== own.gid)) fchownSync(descriptor, uid, gid);
    fchmodSync(descriptor, mode & 0o7777);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
