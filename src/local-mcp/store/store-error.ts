export type StoreErrorCode =
  | "store_corrupt"
  | "store_full"
  | "store_readonly"
  | "store_locked"
  | "store_newer"
  | "store_unavailable";

/** The store could not do its work. Nothing was half-written; the message says what to do. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;
  /** Whether the same call may succeed later without anybody doing something. */
  readonly retryable: boolean;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.retryable = code === "store_locked";
  }
}

/** SQLite's primary result codes (sqlite.org/rescode.html) that say something about the file, not about the statement. */
const byResultCode: Record<number, { code: StoreErrorCode; advice: string }> = {
  5: { code: "store_locked", advice: "another process is writing; try again in a moment" },
  6: { code: "store_locked", advice: "another process is writing; try again in a moment" },
  8: {
    code: "store_readonly",
    advice:
      "the folder or the file is read-only; give your user write permission, or set SHIM_HOME to a folder that is writable",
  },
  10: { code: "store_unavailable", advice: "the disk answered with an error; run `shim doctor`" },
  11: { code: "store_corrupt", advice: "the file is damaged; run `shim doctor`" },
  13: { code: "store_full", advice: "the disk is full; free some space, then repeat. Nothing was half-written" },
  14: {
    code: "store_unavailable",
    advice: "the file cannot be opened; check that the folder exists and belongs to you",
  },
  26: { code: "store_corrupt", advice: "the file is not a SQLite database; run `shim doctor`" },
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

/** Turns a driver's error about the file into a {@link StoreError}; anything else is a bug and comes back as it was. */
export function toStoreError(error: unknown, path: string): unknown {
  const known = byResultCode[resultCode(error)];
  if (!known || !(error instanceof Error)) return error;
  return new StoreError(known.code, `${path}: ${known.advice} (${error.message})`, { cause: error });
}

/** better-sqlite3 names the code (`SQLITE_BUSY_SNAPSHOT`), `node:sqlite` gives the extended number in `errcode`. */
function resultCode(error: unknown): number {
  if (typeof error !== "object" || error === null) return 0;
  if ("errcode" in error && typeof error.errcode === "number") return error.errcode & 0xff;
  if ("code" in error && typeof error.code === "string") {
    const primary = /^SQLITE_[A-Z]+/.exec(error.code)?.[0] ?? "";
    return resultCodeByName[primary] ?? 0;
  }
  return 0;
}
