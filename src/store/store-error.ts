import { accessSync, constants, statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { StoreErrorCode } from "../contract/errors.ts";
import { codeOf } from "../shared/error.ts";

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

const adviceByCode: Record<Exclude<StoreErrorCode, "store_newer" | "store_upkeep">, string> = {
  store_locked: "another process is writing; try again in a moment. Nothing was changed",
  store_readonly:
    "the folder or the file is read-only; give your user write permission, or set SHIM_HOME to a folder that is writable. Nothing was changed",
  store_full: "the disk is full; free some space, then repeat. Nothing was half-written",
  store_corrupt: "the file is damaged; run `shim doctor`",
  store_unavailable:
    "the file cannot be opened or read; check that the folder exists, belongs to you and is on a working disk, then repeat. Nothing was half-written",
};

type AdvisedCode = keyof typeof adviceByCode;

/** SQLite's primary result codes (sqlite.org/rescode.html) about the file, not the statement. */
const byResultCode: Record<number, AdvisedCode> = {
  5: "store_locked",
  6: "store_locked",
  8: "store_readonly",
  10: "store_unavailable",
  11: "store_corrupt",
  13: "store_full",
  14: "store_unavailable",
  26: "store_corrupt",
};

const resultCodeByName: Record<string, number> = {
  SQLITE_BUSY: 5,
  SQLITE_LOCKED: 6,
  SQLITE_READONLY: 8,
  SQLITE_IOERR: 10,
  SQLITE_CORRUPT: 11,
  SQLITE_FULL: 13,
  SQLITE_CANTOPEN: 14,
  SQLITE_NOTADB: 26,
};

const byErrno: Record<string, AdvisedCode> = {
  EACCES: "store_readonly",
  EPERM: "store_readonly",
  EROFS: "store_readonly",
  ENOSPC: "store_full",
  EDQUOT: "store_full",
  EIO: "store_unavailable",
  EMFILE: "store_unavailable",
  ENFILE: "store_unavailable",
  ENOTDIR: "store_unavailable",
  ELOOP: "store_unavailable",
  ENOENT: "store_unavailable",
  EEXIST: "store_unavailable",
  EBUSY: "store_unavailable",
};

export function toStoreError(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof StoreError) return error;
  const knownCode =
    byResultCode[isUnsupportedFormat(error) ? corruptCode : resultCode(error)] ??
    (isInFolder(error, dirname(path)) ? byErrno[nameOf(error)] : undefined);
  if (!knownCode) return error;
  const code = knownCode === "store_unavailable" ? unavailableCode(dirname(path)) : knownCode;
  return new StoreError(code, `${path}: ${adviceByCode[code]} (${error.message})`, { cause: error });
}

const corruptCode = 11;

/** SQLite reports an unknown format in a damaged header with the code of a wrong statement. */
function isUnsupportedFormat(error: Error): boolean {
  return error.message === "unsupported file format";
}

/** SQLite cannot open its companions (-wal, -shm): read-only folder, or full disk. */
function unavailableCode(folder: string): AdvisedCode {
  if (isReadOnly(folder)) return "store_readonly";
  return isFull(folder) ? "store_full" : "store_unavailable";
}

/** Free bytes below which a disk counts as full; a new -shm takes 32 KB. */
const minFreeBytes = 65_536;

function isFull(folder: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize < minFreeBytes;
  } catch {
    return false;
  }
}

/** Leaves errors about a caller's own files unexplained. */
function isInFolder(error: Error, folder: string): boolean {
  return !("path" in error) || (typeof error.path === "string" && error.path.startsWith(folder));
}

function isReadOnly(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return false;
  } catch (error) {
    const name = codeOf(error) ?? "";
    if (name === "ENOENT" && dirname(folder) !== folder) return isReadOnly(dirname(folder));
    return byErrno[name] === "store_readonly";
  }
}

export function isKeyConflict(error: unknown): boolean {
  return hasExtendedCode(error, { SQLITE_CONSTRAINT_PRIMARYKEY: 1555, SQLITE_CONSTRAINT_UNIQUE: 2067 });
}

export function isConstraint(error: unknown): boolean {
  return error instanceof Error && (resultCode(error) === 19 || nameOf(error).startsWith("SQLITE_CONSTRAINT"));
}

/** Detects SQLITE_CORRUPT_VTAB: the search index can be rebuilt from the rows. */
export function isIndexDamage(error: unknown): boolean {
  return hasExtendedCode(error instanceof StoreError ? error.cause : error, { SQLITE_CORRUPT_VTAB: 267 });
}

function hasExtendedCode(error: unknown, codes: Record<string, number>): boolean {
  if (!(error instanceof Error)) return false;
  if ("errcode" in error) return Object.values(codes).some((code) => error.errcode === code);
  return nameOf(error) in codes;
}

/** better-sqlite3 has names (`SQLITE_BUSY_SNAPSHOT`), `node:sqlite` numbers in `errcode`. */
function resultCode(error: Error): number {
  if ("errcode" in error && typeof error.errcode === "number") return error.errcode & 0xff;
  const primary = /^SQLITE_[A-Z]+/.exec(nameOf(error))?.[0] ?? "";
  return resultCodeByName[primary] ?? 0;
}

function nameOf(error: Error): string {
  return codeOf(error) ?? "";
}
