import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from "node:fs";
import { isAbsolute } from "node:path";
import type { FileNote, FileStamp } from "../contract/work-state.ts";
import { isSecretName } from "./secret-names.ts";
import { codeOf } from "../shared/error.ts";

export interface NoteLimits {
  readonly maxFileBytes: number;
}

/** "deleted": absent at the note, and still; or a command of the chat was to take it away. */
export type FileComparison = "same" | "changed" | "missing" | "deleted" | "unknown";

export interface FileFacts {
  readonly isThere: boolean | null;
  readonly hash: string | null;
  readonly skipped?: string;
  readonly bytes: number;
}

/** Bound of a checkpoint's files; further ones are `unknown`, unread. */
const maxFiles = 500;
const maxComparedFileBytes = 16_777_216;
/** Bytes read for one comparison: well below a second of hashing. */
const maxComparedBytes = 134_217_728;
const blockBytes = 65_536;
/** Why a file that was not there has no hash. */
export const absentReason = "not there";

/** Hashes a regular file of at most `maxFileBytes` without a secret name. */
export function noteFile(path: string, action: FileNote["action"], limits: NoteLimits): FileNote {
  if (!isAbsolute(path)) return { path, hash: null, skipped: "not an absolute path", action };
  const { hash, skipped } = readFacts(path, limits.maxFileBytes);
  if (skipped !== undefined) return { path, hash, skipped, action };
  // The file was made again after its deletion.
  return { path, hash, action: action === "deleted" ? "edited" : action };
}

/** Returns `unknown` for unhashed files. Reads at most 500 of 16 MiB, 128 MiB together. */
export function compareFiles(
  files: readonly FileNote[],
  read: (path: string, maxFileBytes: number) => FileFacts = readFacts,
): (FileNote & { readonly now: FileComparison })[] {
  let bytesLeft = maxComparedBytes;
  return files.map((note, index) => {
    if (index >= maxFiles || !isAbsolute(note.path)) return { ...note, now: "unknown" };
    const found = read(note.path, Math.min(maxComparedFileBytes, bytesLeft));
    bytesLeft -= found.bytes;
    return { ...note, now: compare(note, found) };
  });
}

export function stampOf(path: string): FileStamp | null {
  if (!isAbsolute(path)) return null;
  try {
    const found = lstatSync(path);
    return found.isFile() ? { bytes: found.size, modifiedMs: found.mtimeMs } : null;
  } catch {
    return null;
  }
}

function compare(note: FileNote, now: FileFacts): FileComparison {
  if (note.stamp && now.isThere !== false) {
    const { stamp } = note;
    const found = stampOf(note.path);
    if (found === null) return "unknown";
    return found.bytes === stamp.bytes && found.modifiedMs === stamp.modifiedMs ? "same" : "changed";
  }
  if (note.isRemoved && now.isThere === false) return "deleted";
  if (note.hash === null) return compareUnhashed(note, now);
  if (now.isThere === false) return "missing";
  if (now.hash === null) return "unknown";
  return now.hash === note.hash ? "same" : "changed";
}

/** Without a hash only the file's existence can be compared, if it was noted. */
function compareUnhashed({ skipped }: FileNote, { isThere }: FileFacts): FileComparison {
  if (isThere === null || skipped === undefined) return "unknown";
  if (skipped === absentReason) return isThere ? "changed" : "deleted";
  return isThere ? "unknown" : "missing";
}

function readFacts(path: string, maxFileBytes: number): FileFacts {
  const isSecret = isSecretName(path);
  let file: number;
  try {
    // Without O_NONBLOCK, opening a pipe waits for its other end.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const code = codeOf(error);
    // A client writes U+FFFD for bytes of a path that are no text.
    const isAbsent = (code === "ENOENT" || code === "ENOTDIR") && !path.includes("\uFFFD");
    const isThere = isAbsent ? false : code === "ENXIO" ? true : null;
    const skipped = isThere === false ? absentReason : isThere ? "not a regular file" : "unreadable";
    return { isThere, hash: null, skipped, bytes: 0 };
  }
  try {
    if (!fstatSync(file).isFile()) return { isThere: true, hash: null, skipped: "not a regular file", bytes: 0 };
    if (isSecret) return { isThere: true, hash: null, skipped: "looks secret", bytes: 0 };
    return hashOf(file, maxFileBytes);
  } catch {
    return { isThere: true, hash: null, skipped: "unreadable", bytes: 0 };
  } finally {
    closeSync(file);
  }
}

/** Counts while reading: the reported size may be outdated. */
function hashOf(file: number, maxFileBytes: number): FileFacts {
  if (fstatSync(file).size > maxFileBytes) return { isThere: true, hash: null, skipped: "too large", bytes: 0 };
  const hash = createHash("sha256");
  const block = Buffer.allocUnsafe(blockBytes);
  let bytes = 0;
  for (;;) {
    const bytesRead = readSync(file, block);
    if (bytesRead === 0) return { isThere: true, hash: hash.digest("hex"), bytes };
    bytes += bytesRead;
    if (bytes > maxFileBytes) return { isThere: true, hash: null, skipped: "too large", bytes };
    hash.update(block.subarray(0, bytesRead));
  }
}
