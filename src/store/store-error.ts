import { accessSync, constants, statSync } from "node:fs";
import { dirname, sep } from "node:path";
import type { StoreErrorCode } from "../contract/errors.ts";
import { errnoOf } from "../platform/errno.ts";
import { tryToWrite } from "../platform/private-files.ts";
import { codeOf } from "../shared/error.ts";
import { fail } from "../shared/result.ts";

export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;
  /** True when the same call may succeed later without intervention. */
  readonly retryable: boolean;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryable = code === "store_locked";
  }
}

/** Found by a process that only reads: only a writer puts it right. */
export class NeedsHostError extends StoreError {}

/** The file is sound, and behind its mark; see write-mark.ts. */
export class LostWritesError extends StoreError {
  constructor(path: string, loss: string) {
    super("store_corrupt", `${path} ${loss}, as when ${path}-wal is deleted, cut or replaced`);
  }
}

/** A copy of an older store is read where nothing can be written. */
export function olderError(path: string): StoreError {
  const message = `${path} must be migrated to the newest schema first`;
  return isReadOnly(dirname(path))
    ? new StoreError("store_readonly", message)
    : new NeedsHostError("store_upkeep", message);
}

/** @returns the refusal of a store as a result @throws any other error: it is a bug */
export function storeRefusal(error: unknown): ReturnType<typeof fail> {
  if (!(error instanceof StoreError)) throw error;
  return fail(error.code, error.message);
}

/** @param onRefused gives the result where the store refuses; other errors are bugs */
export function exceptStoreErrors<T>(work: () => T, onRefused: (error: StoreError) => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return onRefused(error);
  }
}

const adviceByCode: Record<Exclude<StoreErrorCode, "store_newer" | "store_upkeep">, string> = {
  store_locked: "another process is writing; try again in a moment. Nothing was changed",
  store_readonly:
    "the folder or the file is read-only; give your user write permission, or set SHIM_HOME to a folder that is writable. Nothing was changed",
  store_full: "the disk is full; free some space, then try again. Nothing was half-written",
  store_corrupt: "the file is damaged; run `shim doctor`",
  store_unavailable:
    "the file cannot be opened or read; check that the folder exists, belongs to you and is on a working disk, then try again. Nothing was half-written",
};

type AdvisedCode = keyof typeof adviceByCode;

/** SQLite's primary result codes (sqlite.org/rescode.html) about the file, not the statement. */
const resultCodes: readonly (readonly [number: number, name: string, code: AdvisedCode])[] = [
  [5, "SQLITE_BUSY", "store_locked"],
  [6, "SQLITE_LOCKED", "store_locked"],
  [8, "SQLITE_READONLY", "store_readonly"],
  [10, "SQLITE_IOERR", "store_unavailable"],
  [11, "SQLITE_CORRUPT", "store_corrupt"],
  [13, "SQLITE_FULL", "store_full"],
  [14, "SQLITE_CANTOPEN", "store_unavailable"],
  [26, "SQLITE_NOTADB", "store_corrupt"],
];

const errnos: readonly (readonly [code: AdvisedCode, names: readonly string[]])[] = [
  ["store_readonly", ["EACCES", "EPERM", "EROFS"]],
  ["store_full", ["ENOSPC", "EDQUOT"]],
  ["store_unavailable", ["EIO", "EMFILE", "ENFILE", "ENOLCK", "ENOTDIR", "ELOOP", "ENOENT", "EEXIST", "EBUSY"]],
];

/** Errors of the system that do not depend on the file, with what to do. */
const adviceByErrno: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full; free some space (and files: `df -i`), then try again",
  EDQUOT: "your quota on this disk is used up; remove some of your files, then try again",
  EIO: "the disk cannot be read or written; check it (`dmesg`), then try again",
  EMFILE: "too many files are open; raise the limit (`ulimit -n`), then try again",
  ENFILE: "too many files are open on this machine; end some programs, then try again",
};

/** The same for any file. @returns null: it depends on the file */
export function diskAdvice(error: unknown): string | null {
  return adviceByErrno[errnoOf(error) ?? ""] ?? null;
}

function adviceOf(code: AdvisedCode, errno: string | null, path: string): string {
  const folder = code === "store_readonly" && errno !== "EROFS" ? folderOfAnotherUser(path) : null;
  if (folder !== null)
    return `it belongs to another user, as after a command with sudo; make it yours: sudo chown -R "$(id -u)" ${folder}. Nothing was changed`;
  const advice = adviceByErrno[errno ?? ""];
  return advice === undefined ? adviceByCode[code] : `${advice}. Nothing was half-written`;
}

export function toStoreError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof StoreError) return error;
  // Leaves errors about a caller's own files unexplained.
  const folder = dirname(path);
  const isOurs = !("path" in error) || `${String(error.path)}${sep}`.startsWith(`${folder}${sep}`);
  // SQLite reports an unknown format in a damaged header with the code of a wrong statement. A
  // migration finds its tables in another program's file, and where the list of migrations is lost.
  const isOtherFile = /^unsupported file format$|^table \S+ already exists$/.test(error.message);
  const ofResult = isOtherFile ? "store_corrupt" : resultCodes.find(([n, name]) => isResult(error, n, name))?.[2];
  const knownCode = ofResult ?? (isOurs ? codeOfErrno(errnoOf(error)) : undefined);
  if (!knownCode) return error;
  // SQLite does not say what the system has refused: a write now is refused for the same reason.
  const errno = ofResult === "store_unavailable" ? refusalOf(folder) : errnoOf(error);
  const code = codeOfErrno(errno) ?? knownCode;
  return new StoreError(code, `${path}: ${adviceOf(code, errno, path)} (${error.message})`, { cause: error });
}

/** @returns the name of the error with which the system refuses a new file; null: it takes one */
function refusalOf(folder: string): string | null {
  try {
    tryToWrite(folder);
    return null;
  } catch (error) {
    const name = errnoOf(error);
    return name === "ENOENT" && isReadOnly(folder) ? "EACCES" : name;
  }
}

/** Detects a statement on a table or a column that is not there: a bug, or a damaged schema. */
export function isMissingName(error: unknown): error is Error {
  return error instanceof Error && /^no such (?:column|table): /.test(error.message);
}

export function corruptError(path: string, { message }: Error): StoreError {
  return new StoreError("store_corrupt", `${path}: ${adviceByCode.store_corrupt} (${message})`);
}

/** better-sqlite3 has names (`SQLITE_BUSY_SNAPSHOT`), `node:sqlite` numbers in `errcode`. */
function isResult(error: Error, number: number, name: string): boolean {
  if ("errcode" in error && typeof error.errcode === "number") return (error.errcode & 0xff) === number;
  return /^SQLITE_[A-Z]+/.exec(codeOf(error) ?? "")?.[0] === name;
}

function codeOfErrno(name: string | null): AdvisedCode | undefined {
  return errnos.find(([, names]) => names.includes(name ?? ""))?.[0];
}

/** The folder of a file, or the nearest one that can be seen, where that is another user's. */
function folderOfAnotherUser(path: string): string | null {
  try {
    const stats = statSync(path);
    const isOwn = stats.uid === (process.getuid?.() ?? stats.uid);
    return isOwn ? null : stats.isDirectory() ? path : dirname(path);
  } catch {
    return dirname(path) === path ? null : folderOfAnotherUser(dirname(path));
  }
}

function isReadOnly(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return false;
  } catch (error) {
    const name = codeOf(error);
    if (name === "ENOENT" && dirname(folder) !== folder) return isReadOnly(dirname(folder));
    return codeOfErrno(name) === "store_readonly";
  }
}

export function isKeyConflict(error: unknown): boolean {
  return hasExtendedCode(error, { SQLITE_CONSTRAINT_PRIMARYKEY: 1555, SQLITE_CONSTRAINT_UNIQUE: 2067 });
}

export function isConstraint(error: unknown): boolean {
  return error instanceof Error && isResult(error, 19, "SQLITE_CONSTRAINT");
}

/** Detects SQLITE_CORRUPT_VTAB: the search index can be rebuilt from the rows. */
export function isIndexDamage(error: unknown): boolean {
  return hasExtendedCode(error instanceof StoreError ? error.cause : error, { SQLITE_CORRUPT_VTAB: 267 });
}

function hasExtendedCode(error: unknown, codes: Record<string, number>): boolean {
  if (!(error instanceof Error)) return false;
  if ("errcode" in error) return Object.values(codes).some((code) => error.errcode === code);
  return (codeOf(error) ?? "") in codes;
}
